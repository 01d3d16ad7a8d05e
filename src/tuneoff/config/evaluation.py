"""How predictions are generated and scored."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveInt, field_validator, model_validator

from tuneoff.config.base import Options
from tuneoff.config.limits import MOST_PASSAGES, MOST_POSITIONS


def _is_unset(value: object) -> bool:
    """Return whether an option that older settings lack has the value that they imply."""
    return value is None or value == ()


class GenerationOptions(Options):
    """Greedy decoding, beam search with more than one beam, or sampling at a temperature.

    A prediction ends at EOS, at a stop string or after `max_new_tokens`.
    """

    beams: int = Field(1, ge=1)
    """The number of beams; 1 is greedy decoding."""
    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(None, exclude_if=_is_unset)
    """Sample at this temperature; null takes the most likely tokens. What is sampled for a prompt is decided by the
    prompt and `seed`, and does not depend on batches."""
    top_p: Annotated[float, Field(gt=0, le=1)] | None = Field(None, exclude_if=_is_unset)
    """Sample from the fewest tokens whose probabilities sum to at least this; null: from all."""
    top_k: PositiveInt | None = Field(None, exclude_if=_is_unset)
    """Sample from this many of the most likely tokens; null: from all."""
    samples: PositiveInt = Field(1, exclude_if=lambda samples: samples == 1)
    """Texts sampled for each prompt. A metric takes their mean."""
    seed: NonNegativeInt = Field(0, exclude_if=lambda seed: seed == 0)
    """The seed of the sampling, the same for all methods and all seeds of training."""
    stop: tuple[Annotated[str, Field(min_length=1)], ...] = Field((), exclude_if=_is_unset)
    """Strings at which a prediction ends; its text is what stands before the first of them. One string or a list."""
    constrain_to: Literal["labels"] | None = Field(None, exclude_if=_is_unset)
    """`labels` lets a prediction become nothing but one of the labels: the distinct targets of train, or those in
    `evaluation.labels`."""
    max_new_tokens: int | None = Field(None, ge=1, le=MOST_POSITIONS)
    """The maximum length of a prediction; null uses `data.max_target_tokens`."""
    min_new_tokens: int = Field(0, ge=0)
    """The minimum length of a prediction: EOS is not allowed before it."""
    batch_size: int = Field(64, ge=1)
    """Texts in one batch of generation."""

    @property
    def prompts_at_once(self) -> int:
        """Prompts in one batch: together they get no more than `batch_size` texts, if that is possible."""
        return max(1, self.batch_size // self.samples)

    @field_validator("stop", mode="before", json_schema_input_type=str | tuple[str, ...])
    @classmethod
    def _read_one_string(cls, stop: Any) -> Any:  # Any: unchecked user input
        return (stop,) if isinstance(stop, str) else stop

    @model_validator(mode="after")
    def _require_one_way(self) -> Self:
        if self.temperature is None:
            for name in ("top_p", "top_k", "samples", "seed"):
                if getattr(self, name) != type(self).model_fields[name].default:
                    raise ValueError(f"{name} has no effect without sampling: set a temperature, such as 0.8")
        elif self.beams > 1:
            raise ValueError("beam search and sampling exclude each other: remove beams or temperature")
        if self.constrain_to and self.stop:
            raise ValueError("a prediction that is constrained to the labels ends with its label: remove stop")
        if self.constrain_to and self.min_new_tokens:
            raise ValueError(
                "a prediction that is constrained to the labels is as long as its label: remove min_new_tokens"
            )
        return self


class LabelOptions(Options):
    """The labels of a task whose answers are labels, and how one of them is predicted."""

    predict_by: Literal["likelihood", "generation"] = "likelihood"
    """`likelihood` predicts the label that the model finds most likely after the prompt, and generates nothing;
    `generation` predicts what the model writes."""
    per_token: bool = False
    """Compare the likelihoods per token, so that a longer label is not less likely because of its length."""
    names: Annotated[tuple[str, ...], Field(min_length=2)] | None = None
    """The labels; null: the distinct targets of train."""


class BenchmarkOptions(Options):
    """Tasks of lm-evaluation-harness, on which the base model and every tuned model are measured.

    They show what a model forgot, or learned, besides the data. They need the extra `tuneoff[benchmarks]`.
    """

    tasks: Annotated[tuple[str, ...], Field(min_length=1)]
    """Names of tasks or groups, such as `arc_easy`, or paths of YAML files."""
    limit: PositiveInt | None = None
    """The number of examples of each task, from its beginning; null uses all of them."""
    few_shot: NonNegativeInt | None = None
    """Solved examples before each question; null uses the task's own number."""
    chat_template: bool = False
    """Put the questions into the chat template of the tokenizer."""
    batch_size: PositiveInt = 8
    """Texts in one forward pass."""


class EvaluationOptions(Options):
    """The loss on validation and test, the predictions on test, and the loss on unrelated text."""

    batch_size: int = Field(8, ge=1)
    """Examples in one forward pass when computing the loss."""
    generation: GenerationOptions = GenerationOptions()
    """How predictions are generated."""
    labels: LabelOptions | None = Field(None, exclude_if=_is_unset)
    """For a task whose answers are labels: `likelihood` predicts the label that the model finds most likely. Null
    generates predictions."""
    benchmarks: BenchmarkOptions | None = Field(None, exclude_if=_is_unset)
    """Tasks of lm-evaluation-harness to measure every model on: a list of names and paths, or options."""
    unrelated_passages: int = Field(16, ge=0, le=MOST_PASSAGES)
    """Passages of text unrelated to the data, whose loss shows what the model forgot; 0 skips this."""

    @field_validator("labels", mode="before", json_schema_input_type=Literal["likelihood"] | LabelOptions | None)
    @classmethod
    def _read_likelihood(cls, labels: Any) -> Any:  # Any: unchecked user input
        return {} if labels == "likelihood" else labels

    @field_validator("benchmarks", mode="before", json_schema_input_type=tuple[str, ...] | BenchmarkOptions | None)
    @classmethod
    def _read_tasks(cls, benchmarks: Any) -> Any:  # Any: unchecked user input
        return {"tasks": benchmarks} if isinstance(benchmarks, list | tuple) else benchmarks

    @model_validator(mode="after")
    def _require_generation_for_its_options(self) -> Self:
        generation, labels = self.generation, self.labels
        if labels is None or labels.predict_by == "generation":
            if labels and labels.per_token:
                raise ValueError("labels.per_token compares likelihoods: write labels.predict_by: likelihood")
            if labels and not generation.constrain_to:
                raise ValueError("labels has no effect: set generation.constrain_to: labels, or predict_by: likelihood")
        elif generation.constrain_to or generation.temperature is not None or generation.beams > 1 or generation.stop:
            raise ValueError(
                "labels are predicted by likelihood, so nothing is generated: remove the options of generation, or set "
                "labels.predict_by: generation"
            )
        return self
