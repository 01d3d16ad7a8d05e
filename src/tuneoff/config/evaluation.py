"""How predictions are generated and scored."""

from pydantic import Field

from tuneoff.config.base import Options


class GenerationOptions(Options):
    """Greedy decoding, or beam search with more than one beam. A prediction ends at EOS or after `max_new_tokens`."""

    beams: int = Field(1, ge=1)
    """The number of beams; 1 is greedy decoding."""
    max_new_tokens: int | None = Field(None, ge=1)
    """The maximum length of a prediction; null uses `data.max_target_tokens`."""
    min_new_tokens: int = Field(0, ge=0)
    """The minimum length of a prediction: EOS is not allowed before it."""
    batch_size: int = Field(64, ge=1)
    """Prompts in one batch of generation."""


class EvaluationOptions(Options):
    """The loss on validation and test, the predictions on test, and the loss on unrelated text."""

    batch_size: int = Field(8, ge=1)
    """Examples in one forward pass when computing the loss."""
    generation: GenerationOptions = GenerationOptions()
    """How predictions are generated."""
    unrelated_passages: int = Field(16, ge=0)
    """Passages of text unrelated to the data, whose loss shows what the model forgot; 0 skips this."""
