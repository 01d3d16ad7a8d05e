"""The base model with examples in its prompt. Source: Brown et al. 2020, arXiv:2005.14165."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, ClassVar, final

from pydantic import Field

from tuneoff.errors import DataError
from tuneoff.methods.untrained import Untrained

if TYPE_CHECKING:
    from tuneoff.config.data import DataOptions
    from tuneoff.data import TextData
    from tuneoff.data.other_prompts import PromptWriter
    from tuneoff.methods.method import GetText


@final
class BaseFewShot(Untrained):
    """Train nothing, and show the base model examples of train before every prompt.

    The examples are drawn by the seed, the same for every prompt. They take context and time in every request, which
    the costs show.
    """

    name: ClassVar[str] = "base-few-shot"
    depends_on_seed: ClassVar[bool] = True
    changes_prompts: ClassVar[bool] = True
    shots: int = Field(4, ge=1, le=64)
    """Examples before each prompt."""

    def make_prompts(self, options: DataOptions, tokenizer: Any, get_text: GetText, seed: int) -> PromptWriter:
        from tuneoff.data.other_prompts import ShownExamples

        text = get_text()
        rows = draw_shots(text, self.shots, seed)
        return ShownExamples(options, tokenizer, text.train, lambda _: rows)


def draw_shots(text: TextData, shots: int, seed: int) -> list[int]:
    """Return rows of train to show as examples, none of which was cut.

    Raises:
        DataError: there are too few.
    """
    whole = list_showable(text, shots)
    return random.Random(seed).sample(whole, shots)


def list_showable(text: TextData, shots: int) -> list[int]:
    """Return the rows of train that can be shown.

    Raises:
        DataError: there are fewer than `shots`, or the data has no prompts.
    """
    from tuneoff.data.other_prompts import list_whole

    if text.options.task == "text":
        raise DataError("The data are texts without prompts, so no examples can be shown before one.")
    whole = list_whole(text.train)
    if len(whole) < shots:
        raise DataError(
            f"{shots} examples should be shown before every prompt, and train has {len(whole)} of which nothing is "
            "cut. Lower shots, or raise data.max_tokens."
        )
    return whole
