"""The base model without any tuning: the reference row of every report."""

from __future__ import annotations

from typing import ClassVar, final

from tuneoff.methods.untrained import Untrained


@final
class Base(Untrained):
    """Train nothing. The only cost is the evaluation."""

    name: ClassVar[str] = "base"
    is_base: ClassVar[bool] = True
