"""The data of a recipe: where the text comes from, how it is split and cleaned, and how it becomes a prompt."""

import datetime
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveInt, ValidationInfo, field_validator, model_validator

from tuneoff.config.base import Options
from tuneoff.config.limits import MOST_POSITIONS
from tuneoff.config.template import read_template

CHAT = "chat"  # the one value of `prompt` that is not a template: use the tokenizer's chat template

# What the examples are about, which decides the metrics. "text" is language modeling, without prompts and answers.
Task = Literal["prose", "labels", "answers", "translation", "code", "numbers", "json", "chat", "text"]

# What a row is made of; "auto" recognizes it by the columns and their values
ShapeName = Literal[
    "auto", "pairs", "prompt-completion", "alpaca", "question-answer", "text-label", "messages", "sharegpt", "text"
]

Path = Annotated[str, Field(min_length=1)]
Paths = Path | Annotated[tuple[Path, ...], Field(min_length=1)]

Fraction = Annotated[float, Field(gt=0, lt=1)]


class ColumnNames(Options):
    """The names of the columns that are read, or paths to values inside them, such as `translation.en`.

    Without names, the columns are recognized by their usual names (see `shape`).
    """

    source: str = "source"
    """The column with the text that the model reads: also the instruction or the question."""
    target: str = "target"
    """The column with the text that the model should write: also the label, or the text of `shape: text`."""
    context: str | None = Field(None, exclude_if=lambda column: column is None)
    """The column with what the source is about: the input of an instruction, the text of a question."""
    messages: str | None = Field(None, exclude_if=lambda column: column is None)
    """The column with the messages of a chat."""
    group: str | None = Field(None, exclude_if=lambda column: column is None)  # older settings lack it
    """The column whose equal values mark rows that belong together, such as parts of one document. A group stays in one
    split, and intervals are over groups; null: every row is on its own."""

    @property
    def names(self) -> tuple[str, ...]:
        """The columns to read: source, target, and the others if there are any."""
        others = (self.group, self.context, self.messages)
        return (self.source, self.target, *(name for name in others if name is not None))

    @property
    def by_role(self) -> dict[str, str]:
        """The columns that were named, by what they are for. The default names of source and target are not named."""
        defaults = ColumnNames.model_fields
        named = {role: getattr(self, role) for role in ("source", "target", "context", "messages")}
        return {role: name for role, name in named.items() if name is not None and name != defaults[role].default}


class SplitNames(Options):
    """Which split of the data set to use for each of the three splits. Null takes the split out of train."""

    train: str = "train"
    """The data set's split to train on."""
    validation: str | None = "validation"
    """The data set's split to choose hyperparameters and epochs with; null takes it out of train."""
    test: str | None = "test"
    """The data set's split to report results on; null takes it out of train."""


class SplitFiles(Options):
    """The files of each split: a path, a folder, a pattern such as `data/*.jsonl`, or a list of these.

    If only train is given, and the names of its files say their splits (`train.csv`, `dev.csv`, `test.csv`), they are
    divided by these names. A split without files is taken out of train.
    """

    train: Paths
    """The files to train on."""
    validation: Paths | None = None
    """The files to choose hyperparameters and epochs with; null takes the split out of train."""
    test: Paths | None = None
    """The files to report results on; null takes the split out of train."""


class SplitSizes(Options):
    """The largest number of examples in each split.

    A larger split is sampled: seeded, without replacement, in the order of the data. With the same seed, a smaller
    sample is part of every larger one. For a split that is taken out of train, the size is how many examples to take.
    """

    train: PositiveInt | None = None
    """Examples to train on; null uses all of them."""
    validation: PositiveInt | None = None
    """Examples in the validation split; null uses all of them, or the fraction of train."""
    test: PositiveInt | None = None
    """Examples in the test split; null uses all of them, or the fraction of train."""


class SplitFractions(Options):
    """The share of the rows of train that becomes a split, if the data does not have it and `sizes` does not set it."""

    validation: Fraction = 0.1
    """Share of train that becomes the validation split."""
    test: Fraction = 0.1
    """Share of train that becomes the test split."""


class CleaningOptions(Options):
    """How source and target are cleaned, before anything else uses them."""

    lower: bool = False
    """Convert to lower case."""
    punctuation: bool = False
    """Remove every character that Unicode classifies as punctuation."""
    whitespace: bool = False
    """Collapse runs of white space to one space, and remove empty lines and white space at both ends. It destroys code,
    tables and verse."""


class TextOptions(Options):
    """The options that all sources of text share: from rows to prompt tokens and target tokens."""

    sizes: SplitSizes = SplitSizes()
    """The largest number of examples in each split."""
    fractions: SplitFractions = SplitFractions()
    """The share of train for each split that the data does not have."""
    seed: NonNegativeInt = 0
    """The seed that decides which rows are drawn. They keep the order of the data."""
    clean: CleaningOptions = CleaningOptions()
    """How source and target are cleaned."""
    task: Task | None = Field(None, exclude_if=lambda task: task is None)  # older settings lack it
    """What the examples are about, which decides the default metrics and the default prompt; null recognizes it."""
    prompt: str | None = None
    """The prompt: a template in Jinja with the columns of the data, such as
    `"{{ context }}\\n\\nQ: {{ question }}\\nA:"`; `source` is the source text, and `{source}` is short for
    `{{ source }}`. Or `chat` for the chat template of the tokenizer. Null chooses by what the examples are."""
    chat_instruction: str | None = None
    """The user's message in the chat template, a template as `prompt`. Used with `prompt: chat` only, for data that
    are not chats themselves. Null chooses by what the examples are."""
    chat_template_kwargs: Mapping[str, Any] = Field({}, exclude_if=lambda arguments: not arguments)
    """Arguments for the chat template, such as `{enable_thinking: false}`."""
    turns: Literal["last", "all"] = Field("last", exclude_if=lambda turns: turns == "last")
    """Which answers of a chat to train on and to evaluate the loss on: the last one, or all. The last one is
    generated."""
    date: datetime.date | None = Field(None, exclude_if=lambda day: day is None)
    """The date that a chat template writes if it writes today's; null is the day the run began."""
    truncate: Literal["end", "start", "middle"] = Field("end", exclude_if=lambda part: part == "end")
    """Which part to remove from a text that is too long."""
    never_cut: tuple[str, ...] = Field((), exclude_if=lambda names: not names)
    """Columns that are never cut. Of the others, the longest is cut if a prompt is too long."""
    max_tokens: Annotated[int, Field(ge=2, le=MOST_POSITIONS)] = 256
    """Limit for prompt and target together, including EOS. A longer prompt is cut, see `truncate`."""
    max_target_tokens: PositiveInt = 64
    """Limit for the target, including EOS."""
    loss_on: Literal["target", "all"] = "target"
    """Train on the tokens of the target, or on all tokens of prompt and target."""
    shape: ShapeName = Field("auto", exclude_if=lambda shape: shape == "auto")  # older settings lack these
    """What a row is made of: two texts (`pairs`), `prompt-completion`, instruction, input and output (`alpaca`),
    `question-answer` with or without a context, `text-label`, a chat (`messages`, or `sharegpt` with its
    conversations), or `text` alone. `auto` recognizes it by the columns and their values."""
    references: Literal["several", "join"] = Field("several", exclude_if=lambda rule: rule == "several")
    """What a list as target is: several accepted answers, of which the first is trained on, or one text of its items,
    one on each line."""
    na: Literal["keep", "leave-out", "refuse"] = Field("keep", exclude_if=lambda rule: rule == "keep")
    """Targets that spell a missing value, such as NA, nan, None or NULL: keep them as text and report them, leave the
    rows out, or refuse the data. Cells without any value are left out, and `refuse` refuses them too."""
    empty_targets: Literal["leave-out", "keep"] = Field("leave-out", exclude_if=lambda rule: rule == "leave-out")
    """Rows whose target is an empty text: leave them out, or keep them, where an empty answer is right."""
    equal_sources: Literal["group", "separate"] = Field("group", exclude_if=lambda rule: rule == "group")
    """Rows with equal source: a group that stays in one split, or rows that are each on its own."""
    near_duplicates: Literal["report", "remove"] = Field("report", exclude_if=lambda rule: rule == "report")
    """Examples of train whose source is nearly that of an example of validation or test: report or remove them."""
    allow_left_out: bool = Field(False, exclude_if=lambda allowed: not allowed)
    """Whether to go on if more than half of the rows are no usable examples."""

    @field_validator("prompt", "chat_instruction")
    @classmethod
    def _require_template(cls, template: str | None, info: ValidationInfo) -> str | None:
        if template is not None and not (info.field_name == "prompt" and template == CHAT):
            read_template(template)
        return template

    @model_validator(mode="after")
    def _require_tokens_for_prompt(self) -> Self:
        if self.max_target_tokens >= self.max_tokens:
            raise ValueError(
                f"max_target_tokens ({self.max_target_tokens}) leaves nothing of max_tokens ({self.max_tokens}) "
                "for the prompt: lower max_target_tokens or raise max_tokens"
            )
        return self

    @model_validator(mode="after")
    def _require_rows_for_train(self) -> Self:
        if self.fractions.validation + self.fractions.test >= 1:
            raise ValueError("the fractions of validation and test leave nothing for train: lower them")
        return self


class HubText(TextOptions):
    """A data set of the Hugging Face hub, or a local folder with the same layout."""

    source: Literal["hub"]
    """Read with `datasets.load_dataset`."""
    path: str
    """The id of the data set on the hub, or a local folder."""
    config: str | None = None
    """The configuration (subset) of the data set."""
    revision: str | None = None
    """A branch, tag or commit of the data set on the hub."""
    splits: SplitNames = SplitNames()
    """Which split of the data set to use for which purpose."""
    fields: ColumnNames = ColumnNames()
    """The columns of source and target, and of groups if there are any."""


class FileText(TextOptions):
    """Local files: CSV and other separated values, JSON, JSON lines, Parquet, Arrow, Excel or plain text.

    Formats, compression (gzip, bzip2, xz, Zstandard, zip) and encodings are recognized by the content. Plain text has
    one column, `text`.
    """

    source: Literal["files", "csv", "tsv", "json", "jsonl", "parquet"]
    """`files`, or a format for files whose content and name leave a choice."""
    files: SplitFiles
    """A path, folder, pattern or list of these for all splits, or for each split."""
    records: str | None = Field(None, exclude_if=lambda key: key is None)  # older settings lack it
    """Where the rows are in a file: the key of the list in a JSON file (`data.items`), the sheet of a workbook, or
    `line`, `paragraph` or `document` for plain text. Null finds it if there is one only."""
    encoding: str | None = Field(None, exclude_if=lambda name: name is None)
    """The encoding of text files, such as `cp1252`; null detects it."""
    fields: ColumnNames = ColumnNames()
    """The columns of source and target, and of groups if there are any."""

    @field_validator("files", mode="before", json_schema_input_type=Paths | SplitFiles)
    @classmethod
    def _read_paths_as_train(cls, files: Any) -> Any:  # Any: unchecked user input
        return {"train": files} if isinstance(files, str | list | tuple) else files


class SavedText(TextOptions):
    """A folder written by `save_to_disk` of `datasets`. Validation and test are taken out of a single Dataset."""

    source: Literal["saved"]
    """Read with `datasets.load_from_disk`."""
    path: str
    """The path of the folder."""
    splits: SplitNames = SplitNames()
    """Which split of the data set to use for which purpose."""
    fields: ColumnNames = ColumnNames()
    """The columns of source and target, and of groups if there are any."""


class AclsumText(TextOptions):
    """Abstracts of computational linguistics papers with one-sentence summaries, from the package `aclsum`.

    100 train, 50 validation and 100 test examples. Source: Takeshita et al. 2024, "ACLSum", arXiv:2403.05303.
    """

    source: Literal["aclsum"]
    """Read from the installed package, without a network."""
    aspect: Literal["challenge", "approach", "outcome"] = "challenge"
    """What the summary is about."""


def get_fields(options: TextOptions) -> ColumnNames:
    """Return the columns to read; a source without the option has the default names."""
    return getattr(options, "fields", None) or ColumnNames()


DataOptions = Annotated[HubText | FileText | SavedText | AclsumText, Field(discriminator="source")]
