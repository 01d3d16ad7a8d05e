"""Replay a search from its records: which trials it has so far, which are missing, and which may still continue.

The state follows from the recipe and the records alone. What is kept between two calls only saves time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import final

from tuneoff.config.search import SearchOptions
from tuneoff.config.search_space import Range, Space
from tuneoff.recipe.recipe import Recipe
from tuneoff.records.record import Record
from tuneoff.records.trial import Setting, Trial
from tuneoff.search.course import Course, Outcome, Plan, Step, Wave, make_comparable_points, make_point
from tuneoff.search.effort import choose_configurations
from tuneoff.search.halving import LEARNING_RATE, count_tries, get_validation_score
from tuneoff.search.parabola import RatePoint
from tuneoff.search.recorded import RecordedSearch, find_recorded_search
from tuneoff.search.sampling import Values, get_default


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """A configuration that was drawn, and its trials."""

    values: Values
    widened: bool  # its learning rate is outside the declared range
    trials: tuple[Trial, ...]  # by length: one for each rung it reached, or one straight to the last
    is_independent: bool  # drawn from the design whatever the scores
    second_seed: Trial | None = None  # its training under the second seed, if it is one of the best two


@dataclass(frozen=True, kw_only=True)
class SearchState:
    """The state of the search of one method."""

    configurations: tuple[Configuration, ...]  # drawn so far
    configuration_count: int  # when the search is finished
    waves: tuple[tuple[tuple[int, int], tuple[Trial, ...]], ...]  # all trials, with or without a record, in order
    final_space: Space  # with the learning-rate range widened to the rates tried
    comparable: tuple[RatePoint, ...]  # trainings whose rates can be compared; empty if no rate is searched
    finished: bool
    recorded_choice: Values | None = None  # of a search that another version made, by other rules

    @property
    def trials(self) -> tuple[Trial, ...]:
        """All trials, with or without a record, in the order to run them."""
        return tuple(trial for _, trials in self.waves for trial in trials)


def replay_search(recipe: Recipe, label: str, setting: Setting, known: Mapping[str, Record]) -> SearchState:
    """Return the state of one method's search; see `Replayer` for several."""
    return Replayer(recipe, setting).replay(label, known)


@final
class Replayer:
    """Replays the searches of a recipe. It keeps the trials that it made, because their ids are slow to compute."""

    def __init__(self, recipe: Recipe, setting: Setting) -> None:
        self._recipe, self._setting = recipe, setting
        spaces = {label: recipe.get_space(label) for label in recipe.methods} if recipe.search else {}
        self.spaces = {label: space for label, space in spaces.items() if space}  # of the methods that are searched
        self._books: dict[str, _TrialBook] = {}
        self._courses: dict[str, tuple[Mapping[str, Record], Course]] = {}  # with the records that it follows

    def replay(self, label: str, known: Mapping[str, Record]) -> SearchState:
        """Return the state of one method's search.

        With the mapping of the call before, it goes on from there: records may have been added to it, none replaced.

        Args:
            known: the records that exist, by trial id.
        """
        plan, book = self._make_plan(label, known), self._get_book(label)
        look_up = partial(book.look_up, known)
        followed, course = self._courses.get(label, (None, None))
        if followed is not known or course is None or course.plan != plan:
            course = Course(plan, look_up)
            self._courses[label] = known, course
        waves, finished = course.follow()
        recorded = None if finished else find_recorded_search(self._recipe, label, self._setting, known)
        if recorded is not None:
            return _restore(plan, recorded, known)
        configurations = _group_by_configuration(plan, waves, book)
        return SearchState(
            configurations=configurations,
            configuration_count=plan.configurations or plan.options.configurations,
            waves=tuple((wave.order, tuple(book.get_trial(step) for step in wave.steps)) for wave in waves),
            final_space=_widen_to(plan.space, [configuration.values for configuration in configurations]),
            comparable=tuple(make_comparable_points(plan, waves, look_up)) if LEARNING_RATE in plan.space else (),
            finished=finished,
        )

    def get_first_trial(self, label: str) -> Trial:
        """Return the first trial of a method's search: its defaults, trained to the first rung."""
        return self._get_book(label).get_trial(Step(values=self._get_default(label), rung=0))

    def _make_plan(self, label: str, known: Mapping[str, Record]) -> Plan:
        """Return what determines a method's search, besides the scores of its trials."""
        options = self._recipe.search
        assert options is not None, "the recipe has a search"
        searched = self.spaces if options.effort == "seconds" else {}
        first_records = {other: known.get(self.get_first_trial(other).id) for other in searched}
        return Plan(
            options=options,
            space=self.spaces[label],
            default=self._get_default(label),
            configurations=choose_configurations(self._recipe, label, first_records),
            higher_is_better=self._recipe.metric_table[options.metric].higher_is_better,
            decays=self._recipe.training.schedule != "constant",
        )

    def _get_default(self, label: str) -> Values:
        return get_default(self.spaces[label], self._recipe.methods[label].model_dump())

    def _get_book(self, label: str) -> _TrialBook:
        if label not in self._books:
            assert self._recipe.search is not None, "the recipe has a search"
            self._books[label] = _TrialBook(self._recipe, self._recipe.search, label, self._setting)
        return self._books[label]


def _restore(plan: Plan, recorded: RecordedSearch, known: Mapping[str, Record]) -> SearchState:
    """Return the state of a finished search that followed other rules."""
    configurations = tuple(
        Configuration(
            values=values,
            widened=(widened := _is_outside(plan.space, values)),
            trials=trials,
            is_independent=not widened,
        )
        for values, trials in recorded.trials
    )
    longest = [
        (
            c.values,
            c.trials[-1],
            _make_outcome(known[c.trials[-1].id], plan.options.metric, higher_is_better=plan.higher_is_better),
        )
        for c in configurations
    ]
    return SearchState(
        configurations=configurations,
        configuration_count=len(configurations),
        waves=(((0, 0), tuple(trial for c in configurations for trial in c.trials)),),
        final_space=_widen_to(plan.space, [configuration.values for configuration in configurations]),
        comparable=tuple(
            make_point(values, outcome)
            for values, trial, outcome in longest
            if LEARNING_RATE in values and (trial.rungs[-1] == 1.0 or outcome.loss is None)
        ),
        finished=True,
        recorded_choice=recorded.chosen,
    )


def find_resumable(search: SearchState, recipe: Recipe, known: Mapping[str, Record]) -> set[str]:
    """Return the ids of the trials that may still continue to the next rung, and so need their checkpoints."""
    options = recipe.search
    assert options is not None, "the recipe has a search"
    counts, shares = count_tries(options, search.configuration_count).at_rungs, options.shares
    resumable: set[str] = set()
    if search.recorded_choice is not None:
        return resumable
    for rung in range(options.rungs - 1):
        scored = [
            (score, by_rung)
            for by_rung in (_index_by_rung(configuration, shares) for configuration in search.configurations)
            if rung in by_rung
            and (score := get_validation_score(known.get(by_rung[rung].id), options.metric)) is not None
        ]
        scored.sort(key=lambda pair: pair[0], reverse=recipe.metric_table[options.metric].higher_is_better)
        for _, by_rung in scored[: counts[rung + 1]]:
            has_continued = rung + 1 in by_rung and by_rung[rung + 1].id in known
            if not has_continued:
                resumable.add(by_rung[rung].id)
    return resumable


def _index_by_rung(configuration: Configuration, shares: tuple[float, ...]) -> dict[int, Trial]:
    """Return the trials that continue from rung to rung, without a training straight to the last."""
    return {len(t.rungs) - 1: t for t in configuration.trials if t.rungs == shares[: len(t.rungs)]}


def _group_by_configuration(plan: Plan, waves: Sequence[Wave], book: _TrialBook) -> tuple[Configuration, ...]:
    """Return the configurations in the order drawn, each with its trials."""
    by_values: dict[str, list[Step]] = {}
    for step in (step for wave in waves for step in wave.steps):
        by_values.setdefault(step.values_key, []).append(step)
    independent = {step.values_key for wave in waves if wave.is_independent for step in wave.steps}
    configurations = []
    for key, steps in by_values.items():
        second = [book.get_trial(step) for step in steps if step.is_second_seed]
        configurations.append(
            Configuration(
                values=steps[0].values,
                widened=_is_outside(plan.space, steps[0].values),
                trials=tuple(book.get_trial(step) for step in steps if not step.is_second_seed),
                is_independent=key in independent,
                second_seed=second[0] if second else None,
            )
        )
    return tuple(configurations)


def _is_outside(space: Space, values: Values) -> bool:
    rates = space.get(LEARNING_RATE)
    return isinstance(rates, Range) and not rates.low <= values[LEARNING_RATE] <= rates.high


def _widen_to(space: Space, drawn: Sequence[Values]) -> Space:
    """Return the space with its learning-rate range extended to all rates tried."""
    declared = space.get(LEARNING_RATE)
    if not isinstance(declared, Range) or not any(_is_outside(space, values) for values in drawn):
        return space
    rates = [values[LEARNING_RATE] for values in drawn]
    widened = Range(low=min(declared.low, *rates), high=max(declared.high, *rates))
    return {**space, LEARNING_RATE: widened}


def _make_outcome(record: Record, metric: str, *, higher_is_better: bool) -> Outcome:
    score = get_validation_score(record, metric)
    return Outcome(loss=-score if score is not None and higher_is_better else score)


class _TrialBook:
    """The trials of one search, by step."""

    def __init__(self, recipe: Recipe, options: SearchOptions, label: str, setting: Setting) -> None:
        self._recipe, self._options, self._label, self._setting = recipe, options, label, setting
        self._higher_is_better = recipe.metric_table[options.metric].higher_is_better
        self._trials: dict[str, Trial] = {}
        self._outcomes: dict[str, tuple[Record, Outcome]] = {}  # with the record that it is of

    def look_up(self, known: Mapping[str, Record], step: Step) -> Outcome | None:
        record = known.get(self.get_trial(step).id)
        if record is None:
            return None
        of, outcome = self._outcomes.get(step.key, (None, None))
        if of is not record or outcome is None:
            outcome = _make_outcome(record, self._options.metric, higher_is_better=self._higher_is_better)
            self._outcomes[step.key] = (record, outcome)
        return outcome

    def get_trial(self, step: Step) -> Trial:
        if step.key not in self._trials:
            self._trials[step.key] = self._make_trial(step)
        return self._trials[step.key]

    def _make_trial(self, step: Step) -> Trial:
        method = self._recipe.configure(self._label, step.values)
        return Trial(
            label=self._label,
            method=method.name,
            hyperparameters=method.model_dump(mode="json"),
            setting=self._setting,
            seed=self._options.second_seed if step.is_second_seed else self._options.seed,
            stage="search",
            rungs=(1.0,) if step.is_straight else self._options.shares[: step.rung + 1],
            choose_by=self._options.metric,
        )
