"""What a recipe may say about its text: where it stands, how it is split and cleaned, and how it becomes a prompt."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveInt, ValidationInfo, field_validator, model_validator

from tuneoff.config.base import Options

CHAT = "chat"  # the one value of `prompt` that is no template: use the tokenizer's own
PLACE = "{source}"  # where a template takes the source

Fraction = Annotated[float, Field(gt=0, lt=1)]


class Fields(Options):
    """The columns that hold the text to read and the text to write."""

    source: str = "source"
    target: str = "target"


class SplitNames(Options):
    """Which split of the data serves as which of ours; null has it made out of train."""

    train: str = "train"
    validation: str | None = "validation"
    test: str | None = "test"


class SplitFiles(Options):
    """One file for each split; a split without a file is made out of train."""

    train: str
    validation: str | None = None
    test: str | None = None


class Sizes(Options):
    """The most examples of a split: a seeded sample without replacement, its order kept.

    A smaller sample is part of a larger one under the same seed. For a split that has to be made, the size is
    how many examples are taken out of train.
    """

    train: PositiveInt | None = None
    validation: PositiveInt | None = None
    test: PositiveInt | None = None


class Fractions(Options):
    """The share of the rows of train that a split takes where it has to be made and no size is given."""

    validation: Fraction = 0.1
    test: Fraction = 0.1


class Clean(Options):
    """What is done to source and target before anything else looks at them."""

    lower: bool = False
    punctuation: bool = False  # True removes every character that Unicode calls punctuation
    whitespace: bool = True  # runs of white space become one space, empty lines go, none is left at the ends


class TextOptions(Options):
    """What every source of text has in common: from rows to prompt tokens and target tokens."""

    sizes: Sizes = Sizes()
    fractions: Fractions = Fractions()
    seed: NonNegativeInt = 0  # decides which rows are drawn, never their order
    clean: Clean = Clean()
    prompt: str = "{source}\n\nTL;DR: "  # or `chat`
    chat_instruction: str = "Summarize the following text in one sentence.\n\n{source}"  # with `prompt: chat` only
    max_tokens: Annotated[int, Field(ge=2)] = 256  # prompt and target together, EOS included
    max_target_tokens: PositiveInt = 64  # EOS included
    loss_on: Literal["target", "all"] = "target"

    @field_validator("prompt", "chat_instruction")
    @classmethod
    def _takes_the_source_once(cls, template: str, info: ValidationInfo) -> str:
        chat = info.field_name == "prompt" and template == CHAT
        if not chat and template.count(PLACE) != 1:
            raise ValueError(f"a template needs {PLACE} exactly once: write it where the source text belongs")
        return template

    @model_validator(mode="after")
    def _leaves_room_for_the_prompt(self) -> Self:
        if self.max_target_tokens >= self.max_tokens:
            raise ValueError(
                f"max_target_tokens ({self.max_target_tokens}) leaves nothing of max_tokens ({self.max_tokens}) "
                "for the prompt: lower the one or raise the other"
            )
        return self

    @model_validator(mode="after")
    def _leaves_room_for_train(self) -> Self:
        if self.fractions.validation + self.fractions.test >= 1:
            raise ValueError("the fractions of validation and test leave nothing for train: lower them")
        return self


class HubText(TextOptions):
    """A data set of the Hugging Face hub, or a local folder laid out like one."""

    source: Literal["hub"]
    path: str
    config: str | None = None
    revision: str | None = None
    splits: SplitNames = SplitNames()
    fields: Fields = Fields()


class FileText(TextOptions):
    """Local files, plain or gzipped (`.gz`): one path whose splits are made, or a path for each split."""

    source: Literal["csv", "tsv", "json", "jsonl", "parquet"]
    files: SplitFiles
    fields: Fields = Fields()

    @field_validator("files", mode="before")
    @classmethod
    def _one_path_is_train(cls, files: Any) -> Any:  # Any: what a user wrote, before it is checked
        return {"train": files} if isinstance(files, str) else files


class SavedText(TextOptions):
    """A folder written by `save_to_disk` of `datasets`; a lone Dataset is all train, and the rest is made."""

    source: Literal["saved"]
    path: str
    splits: SplitNames = SplitNames()
    fields: Fields = Fields()


class AclsumText(TextOptions):
    """Abstracts of computational linguistics papers with one-sentence summaries, from the package `aclsum`.

    100 train, 50 validation and 100 test examples. Source: Takeshita et al. 2024, "ACLSum", arXiv:2403.05303.
    """

    source: Literal["aclsum"]
    aspect: Literal["challenge", "approach", "outcome"] = "challenge"


DataOptions = Annotated[HubText | FileText | SavedText | AclsumText, Field(discriminator="source")]
