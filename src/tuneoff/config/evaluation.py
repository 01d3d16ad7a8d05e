"""How predictions are generated and scored."""

from pydantic import Field

from tuneoff.config.base import Options


class GenerationOptions(Options):
    """Greedy unless `beams` says otherwise; generation ends at EOS or after `max_new_tokens`."""

    beams: int = Field(1, ge=1)
    max_new_tokens: int | None = Field(None, ge=1)  # None: the data's own target limit
    min_new_tokens: int = Field(0, ge=0)
    batch_size: int = Field(64, ge=1)


class EvaluationOptions(Options):
    """Loss over validation and test, predictions over test, and what became of unrelated text."""

    batch_size: int = Field(8, ge=1)
    generation: GenerationOptions = GenerationOptions()
    unrelated_passages: int = Field(16, ge=0)  # of text that has nothing to do with the data; 0: none
