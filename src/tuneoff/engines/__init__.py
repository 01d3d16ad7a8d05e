"""The engines: ways to start workers for a comparison. A new one is one file and one entry in the table.

An engine only starts `tuneoff work RUN` and ends it. What runs is decided by the plan and the records.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tuneoff.engines.engine import Engine
from tuneoff.engines.local import LocalEngine
from tuneoff.engines.manual import ManualEngine
from tuneoff.engines.ray import RayEngine
from tuneoff.engines.slurm import SlurmEngine
from tuneoff.errors import RunError, suggest

ENGINES: dict[str, type[Engine]] = {
    engine.name: engine for engine in (LocalEngine, ManualEngine, RayEngine, SlurmEngine)
}


def read_engine(name: str, options: Mapping[str, Any]) -> Engine:
    """Return the engine called `name` with the options that are not None.

    Raises:
        RecipeError: an option is not one of this engine, or does not fit.
        RunError: there is no such engine.
    """
    if name not in ENGINES:
        raise RunError(f"There is no engine {name!r}.{suggest(name, ENGINES)}")
    given = {option: value for option, value in options.items() if value is not None}
    return ENGINES[name].read(given, f"engine {name}")


__all__ = ["ENGINES", "Engine", "read_engine"]
