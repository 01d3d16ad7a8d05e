"""Which metrics a comparison is scored by."""

from typing import Any, Literal

from pydantic import Field, model_validator

from tuneoff.config.base import Options

Tokenizer = Literal["english", "words", "characters"]


def _is_unset(value: object) -> bool:
    return value is None


class MetricOptions(Options):
    """A shipped metric with its options, or one of the user's own.

    A metric of one's own is a function `score(prediction, references, row)` that returns a number for one example:
    `prediction` is the text, `references` a list of all accepted answers, and `row` the columns of the data.
    """

    function: str | None = Field(
        None, pattern=r"^[^:]+:[A-Za-z_]\w*$|^[A-Za-z]:\\[^:]+:[A-Za-z_]\w*$", exclude_if=_is_unset
    )
    """The function of one's own metric, as `file.py:score` or `package.module:score`."""
    title: str | None = Field(None, exclude_if=_is_unset)
    """What tables call one's own metric; null takes its name."""
    unit: str | None = Field(None, exclude_if=_is_unset)
    """The unit of one's own metric, such as `points`."""
    direction: Literal["higher", "lower"] | None = Field(None, exclude_if=_is_unset)
    """Whether a higher or a lower number is better, for one's own metric; null means higher."""
    decimals: int | None = Field(None, ge=0, le=6, exclude_if=_is_unset)
    """Decimals that tables show of one's own metric; null means 3."""
    margin: float | None = Field(None, ge=0, allow_inf_nan=False, exclude_if=_is_unset)
    """The smallest difference that matters, for one's own metric; null means any. `verdict.margins` goes before it."""
    model: str | None = Field(None, min_length=1, exclude_if=_is_unset)
    """For `similarity`: the embedding model, as the name of a folder with its files or its id on the hub."""
    sha256: str | None = Field(None, exclude_if=_is_unset)
    """The checksum of the function's file, or the fingerprint of the model. A run writes it."""
    tokenizer: Tokenizer | None = Field(None, exclude_if=_is_unset)
    """What ROUGE and BLEU take as tokens: `english` is the usual tokenizer, which drops letters with accents and other
    scripts; `words` are those of Unicode; `characters` are for scripts without spaces. Null chooses by the references.
    """

    @model_validator(mode="before")
    @classmethod
    def _read_function(cls, value: Any) -> Any:  # Any: unchecked user input
        """Read `file.py:score` as the function, and null as no options."""
        return {"function": value} if isinstance(value, str) else {} if value is None else value
