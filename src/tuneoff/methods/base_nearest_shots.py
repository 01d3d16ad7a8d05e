"""The base model with the most similar examples in its prompt. Source: Liu et al. 2022, arXiv:2101.06804."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, final

from pydantic import Field

from tuneoff.methods.base_few_shot import list_showable
from tuneoff.methods.untrained import Untrained

if TYPE_CHECKING:
    from tuneoff.config.data import DataOptions
    from tuneoff.data.other_prompts import PromptWriter
    from tuneoff.methods.method import GetText


@final
class BaseNearestShots(Untrained):
    """Train nothing, and show the base model the examples of train whose source is most like that of the prompt.

    Likeness is rapidfuzz's ratio of shared words. The most similar example stands next to the prompt. The examples
    differ from prompt to prompt, so a server cannot compute them once.
    """

    name: ClassVar[str] = "base-nearest-shots"
    changes_prompts: ClassVar[bool] = True
    shots: int = Field(4, ge=1, le=64)
    """Examples before each prompt."""

    def make_prompts(self, options: DataOptions, tokenizer: Any, get_text: GetText, seed: int) -> PromptWriter:
        from rapidfuzz import fuzz, process

        from tuneoff.data.other_prompts import ShownExamples

        text = get_text()
        candidates = {row: text.train[row]["source"] for row in list_showable(text, self.shots)}

        def find_nearest(source: str) -> list[int]:
            others = {row: candidate for row, candidate in candidates.items() if candidate != source}
            found = process.extract(source, others or candidates, scorer=fuzz.token_set_ratio, limit=self.shots)
            return [row for _, _, row in reversed(found)]

        return ShownExamples(options, tokenizer, text.train, find_nearest)
