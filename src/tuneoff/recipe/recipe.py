"""The recipe: the whole configuration of a comparison in one typed tree."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import AliasChoices, Field, SerializeAsAny, field_validator, model_validator

from tuneoff.config.base import Options
from tuneoff.config.budget import BudgetOptions, read_budget
from tuneoff.config.data import DataOptions
from tuneoff.config.evaluation import EvaluationOptions
from tuneoff.config.model import ModelOptions
from tuneoff.config.search import SearchOptions
from tuneoff.config.search_space import Knob, Range, Space
from tuneoff.config.sweep import SweepOptions
from tuneoff.config.training import TrainingOptions
from tuneoff.config.verdict import VerdictOptions
from tuneoff.errors import RecipeError, suggest
from tuneoff.methods import Method, read_method

Seed = Annotated[int, Field(ge=0, lt=2**32)]


ONE_SEED, FRESH_SEEDS = (0,), (1, 2, 3)


def _choose_default_seeds(written: Mapping[str, Any]) -> tuple[int, ...]:  # Any: the fields read so far
    return FRESH_SEEDS if written.get("search") else ONE_SEED


class Recipe(Options):
    """What is compared: methods by label, and everything that is equal between them."""

    name: str = Field(pattern=r"^[\w-][\w.-]*$", max_length=100)  # also the run directory's, so never `..`
    note: str = ""  # shown on the page: why these sizes
    model: ModelOptions
    data: DataOptions
    methods: Mapping[str, SerializeAsAny[Method]]
    training: TrainingOptions = TrainingOptions()
    evaluation: EvaluationOptions = EvaluationOptions()
    search: SearchOptions | None = None  # None: each method is trained as it is written
    seeds: tuple[Seed, ...] = Field(
        default_factory=_choose_default_seeds, min_length=1
    )  # three fresh ones after a search
    verdict: VerdictOptions = VerdictOptions()
    sweep: SweepOptions | None = Field(
        None, validation_alias=AliasChoices("sweep", "vary")
    )  # vary: its name before 0.2
    budget: BudgetOptions | None = None  # None: as long as it takes

    @field_validator("methods", mode="before")
    @classmethod
    def _read_methods(cls, written: Any) -> dict[str, Method]:  # Any: what a user wrote, before it is checked
        if isinstance(written, list) and all(isinstance(label, str) for label in written):
            written = dict.fromkeys(written)
        if not isinstance(written, Mapping) or not written or not all(isinstance(label, str) for label in written):
            raise ValueError("write the methods to compare, as `methods: [base, lora]` or `methods: {lora: {rank: 8}}`")
        return {label: m if isinstance(m, Method) else read_method(label, m) for label, m in written.items()}

    @field_validator("budget", mode="before")
    @classmethod
    def _read_budget(cls, written: Any) -> Any:  # Any: what a user wrote, before it is checked
        return read_budget(written)

    @model_validator(mode="after")
    def _a_study_has_no_budget(self) -> Self:
        if self.sweep and self.budget:
            raise ValueError("a budget is one comparison's, and a sweep makes several: leave the one or the other out")
        return self

    @model_validator(mode="after")
    def _seeds_differ(self) -> Self:
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("the same seed twice would be the same trial: write different seeds")
        if self.search and self.search.seed in self.seeds:
            raise ValueError(
                f"the search has seed {self.search.seed}, and what it chose is to be confirmed on fresh ones: "
                "take that seed out of seeds, or write another search.seed"
            )
        return self

    @model_validator(mode="after")
    def _spaces_fit(self) -> Self:
        for label in self.search.spaces if self.search else ():
            if label not in self.methods:
                raise RecipeError(
                    f"search.spaces has {label!r}, which is no method here.{suggest(label, self.methods)}"
                )
            self._try_ends_of(label)
        return self

    def _try_ends_of(self, label: str) -> None:
        """Every choice of a knob and both ends of its range must be a value that the method takes."""
        method = self.methods[label]
        for knob, values in self.get_space(label).items():
            for value in (values.low, values.high) if isinstance(values, Range) else values:
                type(method).read({**method.model_dump(), knob: value}, where=f"search.spaces.{label}")

    def get_space(self, label: str) -> Space:
        """What the search varies of a method: the knobs that it declares and the recipe does not fix, and the
        recipe's own. Nothing without a search."""
        if self.search is None:
            return {}
        method = self.methods[label]
        declared = {knob: values for knob, values in method.space.items() if knob not in method.model_fields_set}
        own = {knob: self._as_read(label, knob, values) for knob, values in self.search.spaces.get(label, {}).items()}
        return {**declared, **own}

    def _as_read(self, label: str, knob: str, values: Knob) -> Knob:
        """A range as it is; choices as the method reads them, such as a number that was written as text."""
        if isinstance(values, Range):
            return values
        method, where = self.methods[label], f"search.spaces.{label}"
        read = [type(method).read({**method.model_dump(), knob: value}, where=where) for value in values]
        return tuple(getattr(one, knob) for one in read)

    def configure(self, label: str, values: Mapping[str, Any]) -> Method:
        """The method of that label with some knobs set."""
        method = self.methods[label]
        return type(method).read({**method.model_dump(), **values}, where=f"methods.{label}")

    def get_seeds(self, label: str) -> tuple[int, ...]:
        """The seeds that a method is tried with: one fixed seed where none matters to it."""
        return self.seeds if self.methods[label].depends_on_seed else (0,)

    def to_dict(self) -> dict[str, Any]:
        """The filled-in whole, as plain values that `Recipe.read` takes back."""
        whole = self.model_dump(mode="json")
        whole["methods"] = {
            label: {"method": method.name, **method.model_dump(mode="json")} for label, method in self.methods.items()
        }
        if self.search:  # written out, since a method that is written out fixes all its knobs
            spaces = {label: self.get_space(label) for label in self.methods}
            whole["search"] = self.search.model_copy(update={"spaces": spaces}).model_dump(mode="json")
        return whole
