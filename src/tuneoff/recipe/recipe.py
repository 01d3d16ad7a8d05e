"""The recipe: the complete configuration of a comparison in one typed tree.

A user writes only what differs from the defaults. The complete recipe is stored beside the results and can be read
as a recipe again.
"""

import unicodedata
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from itertools import count, islice
from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, Field, SerializeAsAny, field_validator, model_validator

from tuneoff.config.base import Options
from tuneoff.config.budget import BudgetOptions, Duration, read_budget
from tuneoff.config.data import DataOptions, Task
from tuneoff.config.evaluation import EvaluationOptions
from tuneoff.config.judge import JudgeOptions
from tuneoff.config.limits import MOST_METHODS, MOST_SEEDS, MOST_TRIALS
from tuneoff.config.metrics import MetricOptions
from tuneoff.config.model import ModelOptions
from tuneoff.config.search import SearchOptions
from tuneoff.config.search_space import Domain, Range, Space
from tuneoff.config.sweep import SweepOptions
from tuneoff.config.tracking import TrackerName
from tuneoff.config.training import TrainingOptions
from tuneoff.config.verdict import VerdictOptions
from tuneoff.errors import RecipeError, suggest
from tuneoff.methods import Method, expand_groups, read_method
from tuneoff.metrics import METRICS, Metric
from tuneoff.metrics.choice import build_table, choose_metrics, choose_primary
from tuneoff.metrics.judge import WIN_RATE
from tuneoff.metrics.pass_at_k import read_name
from tuneoff.metrics.similarity import NAME as SIMILARITY

Seed = Annotated[int, Field(ge=0, lt=2**32)]


ONE_SEED, FRESH_SEEDS = (0,), (1, 2, 3)
TOO_FEW_SEEDS = "needs at least two seeds: remove seeds, or write all that may be used, such as seeds=[1, 2, 3, 4, 5]"
MOST_ROUNDS = 10  # seeds of a comparison that runs until it is decided, unless the recipe says otherwise


def _require_visible(label: str) -> None:
    """Refuse a label that a table would show as nothing: an empty one, or one of spaces and marks only."""
    if not any(unicodedata.category(character)[0] in "LNPS" for character in label):
        raise ValueError(f"the label {label!r} would not be seen in a table: write one with a letter, digit or sign")


def _choose_default_seeds(fields: Mapping[str, Any]) -> tuple[int, ...]:  # Any: the fields validated so far
    search, replicates = fields.get("search"), fields.get("replicates")
    if number := replicates or fields.get("until_decided"):
        return number_replicates(number, search) if replicates or search else tuple(range(number))
    return FRESH_SEEDS if search else ONE_SEED


def number_replicates(replicates: int, search: SearchOptions | None) -> tuple[int, ...]:
    """Return the seeds of that many replicates: 1, 2, 3 and so on, without the seeds of the search."""
    used = {search.seed, search.second_seed} if search else set()
    return tuple(islice((seed for seed in count(1) if seed not in used), replicates))


class Recipe(Options):
    """The methods to compare, and everything that is equal between them."""

    name: str = Field(pattern=r"^[\w-][\w.-]*$", max_length=100)  # a directory name too, so never `..`
    """The name of the comparison and of its run directory: letters, digits, `_`, `-` and `.`."""
    note: str = ""
    """A remark for the report, such as the reason for the sizes."""
    model: ModelOptions
    """The base model."""
    data: DataOptions
    """The text to train and evaluate on. `source` says where it comes from."""
    methods: Mapping[str, SerializeAsAny[Method]]
    """The methods to compare: a list of names, or for each label the hyperparameters that differ from the defaults.
    A label that is not the name of a method needs the key `method`. The name of a group, such as `all`, stands for its
    methods; `tuneoff methods` lists the groups."""
    strict: bool = Field(False, exclude_if=lambda strict: not strict)
    """Refuse the recipe if one of its methods does not fit the model. Otherwise the others are compared, and the report
    says which one does not fit and why."""
    training: TrainingOptions = TrainingOptions()
    """How every method is trained."""
    evaluation: EvaluationOptions = EvaluationOptions()
    """How every method is evaluated."""
    metrics: Literal["auto"] | Mapping[str, MetricOptions] = "auto"
    """The metrics to score by: `auto` for those of the task that the data shows, a list of names, or a mapping that may
    also name functions of your own, such as `{auto: null, mine: file.py:score}`. The loss is always among them."""
    search: SearchOptions | None = None
    """How hyperparameters are searched; null trains each method with the hyperparameters of the recipe."""
    replicates: Annotated[int, Field(ge=2, le=MOST_SEEDS)] | None = None
    """Train each method this many times, each time with a seed and a train sample of its own, the same for all methods.
    Takes the place of `seeds`. The samples have the size `data.sizes.train` and are drawn from all rows for train."""
    until_decided: Annotated[int, Field(ge=2, le=MOST_SEEDS)] | None = None
    """Train one seed after another, and stop training a method once it is shown to be worse than the best one. The
    verdict is then right at every look. The number is that of the seeds that the comparison is planned for; `true`
    means as many as `seeds` has, and 10 without `seeds`."""
    seeds: tuple[Seed, ...] = Field(default_factory=_choose_default_seeds, min_length=1, max_length=MOST_SEEDS)
    """One training for each seed. The default is 0; after a search 1, 2 and 3; with `until_decided` as many as that."""
    verdict: VerdictOptions = VerdictOptions()
    """Which differences count."""
    judge: JudgeOptions | None = Field(None, exclude_if=lambda judge: judge is None)
    """A language model that says which of two answers is better; null asks none."""
    sweep: SweepOptions | None = Field(None, validation_alias=AliasChoices("sweep", "vary"))  # vary: before 0.2
    """Make one comparison for each value of a parameter."""
    budget: BudgetOptions | None = None
    """What the comparison may spend, such as `2h30m`; null sets no limit."""
    track: tuple[TrackerName, ...] = Field((), exclude_if=lambda track: not track)
    """Tracking tools to tell about each trial as it ends, and about the verdict. Where a tool sends this, and under
    which account, is set up as the tool says, by its environment variables. No record depends on it."""

    @model_validator(mode="before")
    @classmethod
    def _plan_rounds(cls, values: Any) -> Any:  # Any: unchecked user input
        """Write the number of seeds for `until_decided: true`, so that seeds added later change no earlier look."""
        match values:
            case {"until_decided": True, "replicates": int(number)} | {"until_decided": True, "seeds": [*_] as number}:
                number = number if isinstance(number, int) else len(number)
                if number < 2:
                    raise ValueError(f"until_decided {TOO_FEW_SEEDS}")
                return {**values, "until_decided": number}
            case {"until_decided": bool(is_on)}:
                return {**values, "until_decided": MOST_ROUNDS if is_on else None}
        return values

    @field_validator("methods", mode="before")
    @classmethod
    def _read_methods(cls, value: Any) -> dict[str, Method]:  # Any: unchecked user input
        if isinstance(value, str):
            value = [value]
        if isinstance(value, list) and all(isinstance(label, str) for label in value):
            value = dict.fromkeys(value)
        if not isinstance(value, Mapping) or not value or not all(isinstance(label, str) for label in value):
            raise ValueError("write the methods to compare, as `methods: [base, lora]` or `methods: {lora: {rank: 8}}`")
        methods = expand_groups(value)
        if len(methods) > MOST_METHODS:
            raise ValueError(f"{len(methods):,} methods are more than a comparison can have, which is {MOST_METHODS}")
        for label in methods:
            _require_visible(label)
        return {label: m if isinstance(m, Method) else read_method(label, m) for label, m in methods.items()}

    @field_validator("metrics", mode="before")
    @classmethod
    def _read_metrics(cls, value: Any) -> Any:  # Any: unchecked user input
        if isinstance(value, str):
            return value if value == "auto" else {value: None}
        if not isinstance(value, list):
            return value
        named: dict[str, Any] = {}
        for entry in value:  # a name, or a mapping of one's own
            named |= entry if isinstance(entry, Mapping) else {str(entry): None}
        return named

    @field_validator("track", mode="before")
    @classmethod
    def _read_track(cls, value: Any) -> Any:  # Any: unchecked user input
        return () if value is None else (value,) if isinstance(value, str) else value

    @field_validator("budget", mode="before", json_schema_input_type=Duration | BudgetOptions | None)
    @classmethod
    def _read_budget(cls, value: Any) -> Any:  # Any: unchecked user input
        return read_budget(value)

    @model_validator(mode="after")
    def _reject_budget_of_sweep(self) -> Self:
        if self.sweep and self.budget:
            raise ValueError("a sweep makes several comparisons, and a budget is for one: remove sweep or budget")
        return self

    @model_validator(mode="after")
    def _require_samples_for_replicates(self) -> Self:
        if self.replicates is None:
            return self
        if self.seeds != number_replicates(self.replicates, self.search):
            raise ValueError("each replicate has a seed of its own: remove either replicates or seeds")
        if self.data.sizes.train is None:
            raise ValueError(
                "each replicate draws a train sample, and data.sizes.train does not say how large: "
                "set it to at most half of the rows for train"
            )
        return self

    @model_validator(mode="after")
    def _require_answers_to_judge(self) -> Self:
        if self.judge and self.judge.against == "base" and not any(method.is_base for method in self.methods.values()):
            raise ValueError(
                "the judge compares with the base model, which is not among the methods: add base to methods, or set "
                "judge.against: reference"
            )
        return self

    @model_validator(mode="after")
    def _require_judge_in_time(self) -> Self:
        """A judge is asked after the last trial, about the test split. What is decided before cannot go by it."""
        if self.search and self.search.metric == WIN_RATE.name:
            raise ValueError(
                "a search compares on validation, about which no judge is asked: write another search.metric, such as "
                "loss"
            )
        if self.until_decided and self.verdict.metric == WIN_RATE.name:
            raise ValueError(
                "until_decided decides after every seed, and a judge is asked after the last one: write another "
                "verdict.metric, or remove until_decided"
            )
        return self

    @model_validator(mode="after")
    def _require_rounds(self) -> Self:
        if self.until_decided and self.sweep:
            raise ValueError("a sweep makes several comparisons, and until_decided is for one: remove one of the two")
        if self.until_decided and len(self.seeds) < 2:
            raise ValueError(f"until_decided {TOO_FEW_SEEDS}")
        return self

    @model_validator(mode="after")
    def _require_plannable_size(self) -> Self:
        trials = len(self.methods) * (len(self.seeds) + (self.search.configurations if self.search else 0))
        if trials > MOST_TRIALS:
            raise ValueError(
                f"{len(self.methods)} methods with {len(self.seeds):,} seeds"
                f"{f' and {self.search.configurations:,} configurations' if self.search else ''} are {trials:,} "
                f"trials, and a comparison can have {MOST_TRIALS:,}: write fewer seeds, configurations or methods"
            )
        return self

    @model_validator(mode="after")
    def _require_fresh_seeds(self) -> Self:
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("the same seed twice would repeat the same trial: write different seeds")
        search_seeds = (self.search.seed, self.search.second_seed) if self.search else ()
        if used := [seed for seed in search_seeds if seed in self.seeds]:
            raise ValueError(
                f"the search uses seed {used[0]}, and its choice must be confirmed on fresh seeds: "
                "remove that seed from seeds, or change search.seed"
            )
        return self

    @model_validator(mode="after")
    def _require_known_metric(self) -> Self:
        named = () if self.metrics == "auto" else self.metrics
        judged = [WIN_RATE.name] if self.judge else []
        known = list(dict.fromkeys([*METRICS, SIMILARITY, *judged, *named]))
        keys = {"verdict.metric": self.verdict.metric, "search.metric": self.search.metric if self.search else None}
        keys |= {f"verdict.margins.{name}": name for name in self.verdict.margins}
        for key, name in keys.items():
            if name is not None and name not in known:
                if name == WIN_RATE.name:
                    raise RecipeError(
                        f"{key} is judge, and the recipe has none. Add one, such as judge: {{model: NAME}}."
                    )
                raise RecipeError(f"{key} is {name!r}, which is not a metric.{suggest(name, known)}")
        build_table(self.metrics, self._named_metrics)
        return self

    @model_validator(mode="after")
    def _require_samples(self) -> Self:
        samples = self.evaluation.generation.samples
        for name in self.metric_table:
            if (pass_at_k := read_name(name)) and pass_at_k[1] > samples:
                raise ValueError(
                    f"{name} needs at least {pass_at_k[1]} samples of each prompt, and evaluation.generation.samples "
                    f"is {samples}: raise it, with a temperature"
                )
        return self

    @model_validator(mode="after")
    def _check_spaces(self) -> Self:
        for label in self.search.spaces if self.search else ():
            if label not in self.methods:
                raise RecipeError(
                    f"search.spaces has {label!r}, which is not a method of this recipe.{suggest(label, self.methods)}"
                )
            self._check_space(label)
        return self

    def _check_space(self, label: str) -> None:
        """Require that the method accepts every choice, and both ends of every range."""
        for hyperparameter, domain in self.get_space(label).items():
            if hyperparameter == "optimizer":
                raise RecipeError(
                    f"search.spaces.{label} has optimizer, and each optimizer has learning rates of its own. Write a "
                    f"label for each instead, such as methods: {{{label}-lion: {{method: {self.methods[label].name}, "
                    "optimizer: lion}}."
                )
            for value in (domain.low, domain.high) if isinstance(domain, Range) else domain:
                self._set_hyperparameters(label, {hyperparameter: value}, where=f"search.spaces.{label}")

    def get_space(self, label: str) -> Space:
        """Return what the search varies of a method; empty without a search.

        That is the method's own search space without the hyperparameters that the recipe fixes, then the space that
        the recipe gives for this label.
        """
        if self.search is None:
            return {}
        method = self.methods[label]
        default = {name: domain for name, domain in method.default_space.items() if name not in method.model_fields_set}
        written = self.search.spaces.get(label, {})
        return default | {name: self._convert_choices(label, name, domain) for name, domain in written.items()}

    def _convert_choices(self, label: str, hyperparameter: str, domain: Domain) -> Domain:
        """Convert choices to the type of the hyperparameter, such as a number that was written as text."""
        if isinstance(domain, Range):
            return domain
        where = f"search.spaces.{label}"
        methods = [self._set_hyperparameters(label, {hyperparameter: choice}, where) for choice in domain]
        return tuple(getattr(method, hyperparameter) for method in methods)

    def configure(self, label: str, values: Mapping[str, Any]) -> Method:
        """Return the method of a label with some hyperparameters set to other values."""
        return self._set_hyperparameters(label, values, where=f"methods.{label}")

    def _set_hyperparameters(self, label: str, values: Mapping[str, Any], where: str) -> Method:
        method = self.methods[label]
        return type(method).read({**method.model_dump(), **values}, where=where)

    @property
    def metric_table(self) -> dict[str, Metric]:
        """The metrics by name. Where the task is not known yet, and in recipes of earlier versions, those of ROUGE."""
        judged = {WIN_RATE.name: WIN_RATE} if self.verdict.metric == WIN_RATE.name else {}
        return judged | build_table(self.metrics, self._named_metrics)

    @property
    def primary_metric(self) -> Metric:
        """The metric that ranks: the one that the verdict names, and else the first of `metrics`."""
        table = self.metric_table
        names = table if self.metrics == "auto" or "auto" in self.metrics else self.metrics
        return table[self.verdict.metric or choose_primary(names)]

    @property
    def needs_generation(self) -> bool:
        """Whether text must be generated, for any of the metrics or for a judge."""
        return self.judge is not None or any(metric.needs_generation for metric in self.metric_table.values())

    @property
    def _named_metrics(self) -> tuple[str, ...]:
        named = (self.verdict.metric, self.search.metric if self.search else None)
        return tuple(name for name in named if name is not None and name != WIN_RATE.name)

    def choose_metrics(self, task: Task, references: Sequence[str]) -> Self:
        """Return the recipe with its metrics written out, for data of a task and the references that are scored.

        Raises:
            MetricError: a function of the user's own cannot be loaded.
        """
        metrics = choose_metrics(self.metrics, self._named_metrics, task, references)
        verdict = self.verdict.model_copy(update={"metric": self.verdict.metric or choose_primary(metrics)})
        return self.model_copy(update={"metrics": metrics, "verdict": verdict})

    def take_metrics(self, other: "Recipe") -> Self:
        """Return the recipe with the metrics of another, which were written out."""
        return self.model_copy(update={"metrics": other.metrics, "verdict": other.verdict})

    def set_date(self, day: date | None) -> Self:
        """Return the recipe with the date that chat templates write as today's."""
        return self.model_copy(update={"data": self.data.model_copy(update={"date": day})})

    def get_seeds(self, label: str) -> tuple[int, ...]:
        """Return the seeds to train a method with; a single fixed seed if the method does not depend on it."""
        return self.seeds if self.methods[label].depends_on_seed else (0,)

    def to_dict(self) -> dict[str, Any]:
        """Return the complete recipe as plain values, which `Recipe.read` accepts."""
        recipe = self.model_dump(mode="json", exclude={"seeds"} if self.replicates else None)
        recipe["methods"] = {
            label: {"method": method.name, **method.model_dump(mode="json")} for label, method in self.methods.items()
        }
        if self.search:  # with the default spaces, because a method with all its hyperparameters fixes all of them
            spaces = {label: self.get_space(label) for label in self.methods}
            recipe["search"] = self.search.model_copy(update={"spaces": spaces}).model_dump(mode="json")
        return recipe


def drop_methods(recipe: Recipe, labels: Collection[str]) -> Recipe:
    """Return the recipe without some of its methods."""
    methods = {label: method for label, method in recipe.methods.items() if label not in labels}
    search = recipe.search
    if search:
        spaces = {label: space for label, space in search.spaces.items() if label in methods}
        search = search.model_copy(update={"spaces": spaces})
    return recipe.model_copy(update={"methods": methods, "search": search})


def cut_spaces(recipe: Recipe, spaces: Mapping[str, Space]) -> Recipe:
    """Return the recipe with fewer choices for some hyperparameters of a search, by label."""
    if not recipe.search or not spaces:
        return recipe
    written = recipe.search.spaces
    cut = {**written, **{label: {**written.get(label, {}), **space} for label, space in spaces.items()}}
    return recipe.model_copy(update={"search": recipe.search.model_copy(update={"spaces": cut})})
