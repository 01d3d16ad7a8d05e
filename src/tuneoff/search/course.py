"""The course of one method's search: which trainings it consists of, given the scores of those that are done. Pure.

1. Configurations are drawn. The first is the method's defaults; the next differ from it in the learning rate only; the
   last ones have the best of these rates and other values of the other hyperparameters.
2. They are trained to the first rung, and the best of them to the next, up to the last rung.
3. A few last tries move the learning rate of the best configuration. They are trained straight to the last rung, since
   an earlier rung prefers higher rates: its part of the schedule has not decayed.
4. The best two are trained straight to the last rung under a second seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter

from tuneoff.config.search import SearchOptions
from tuneoff.config.search_space import Range, Space
from tuneoff.search.halving import FINALISTS, LEARNING_RATE, TryCounts, count_tries
from tuneoff.search.next_rate import choose_next_rate
from tuneoff.search.parabola import MIN_RATES, RatePoint
from tuneoff.search.sampling import ADAPTIVE, Values, draw_configurations, suggest_configuration


@dataclass(frozen=True, kw_only=True)
class Step:
    """One training of one configuration."""

    values: Values
    rung: int  # index of the rung that it ends at
    is_straight: bool = False  # starts from the base model instead of the rung below
    is_second_seed: bool = False

    @cached_property
    def values_key(self) -> str:
        """What distinguishes the configuration from others of its search."""
        return str(sorted(self.values.items(), key=itemgetter(0)))

    @cached_property
    def key(self) -> str:
        """What distinguishes the step from others of its search. Plans look steps up again and again."""
        return f"{self.rung} {self.is_straight} {self.is_second_seed} {self.values_key}"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What is known of a step that is done."""

    loss: float | None  # the validation score, negative if higher is better; None: diverged or failed


@dataclass(frozen=True, kw_only=True)
class Wave:
    """Steps that can be trained in any order; the next wave depends on their outcomes."""

    order: tuple[int, int]  # the waves of all methods run in this order
    steps: tuple[Step, ...]
    is_independent: bool = False  # drawn from the design whatever the outcomes, so that the steps differ only by chance


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What determines the course of a search, besides the outcomes."""

    options: SearchOptions
    space: Space
    default: Values
    configurations: int | None  # None: not known before the default has been trained to the first rung
    higher_is_better: bool  # by the metric of the search
    decays: bool  # whether the learning rate falls during training, so that only the last rung has decayed scores


LookUp = Callable[[Step], Outcome | None]  # None: the step is not done
FIRST, HALVING, LAST_TRIES, SECOND_SEED = range(4)


class Course:
    """The course of one search, as far as the outcomes determine it.

    Args:
        look_up: returns the outcome of a step. Outcomes may be added later, but none changes.
    """

    def __init__(self, plan: Plan, look_up: LookUp) -> None:
        self.plan, self._look_up = plan, look_up
        self._waves: list[Wave] = []
        self._further: Iterator[Wave] | None = _Steps(plan, look_up).iterate_waves()

    def follow(self) -> tuple[tuple[Wave, ...], bool]:
        """Return the waves, the last of which may be unfinished, and whether all are done."""
        while not self._waves or all(self._look_up(step) is not None for step in self._waves[-1].steps):
            wave = next(self._further, None) if self._further else None
            if wave is None:
                self._further = None
                return tuple(self._waves), self.plan.configurations is not None
            self._waves.append(wave)
        return tuple(self._waves), False


def make_comparable_points(plan: Plan, waves: Sequence[Wave], look_up: LookUp) -> list[RatePoint]:
    """Return the trainings whose rates can be compared: of equal length, with decayed scores, under the first seed.

    A configuration that diverged before that length is among them, since no longer training would save it.
    """
    steps = [step for wave in waves for step in wave.steps if look_up(step) is not None]
    return _compare_rates(plan, steps, look_up)


def make_point(values: Values, outcome: Outcome) -> RatePoint:
    """Return a training as a point of its learning rate, which its configuration must have."""
    others = sorted(f"{name} {value!r}" for name, value in values.items() if name != LEARNING_RATE)
    return RatePoint(log_rate=math.log10(values[LEARNING_RATE]), loss=outcome.loss, others=tuple(others))


class _Steps:
    """Makes the waves one after another; each is asked for only when those before it are done."""

    def __init__(self, plan: Plan, look_up: LookUp) -> None:
        self._plan, self._look_up = plan, look_up
        self._options, self._space = plan.options, plan.space
        self._steps: list[Step] = []  # of all waves so far
        self._drawn: list[Values] = []

    def iterate_waves(self) -> Iterator[Wave]:
        if self._plan.configurations is None:
            yield self._make_wave((FIRST, 0), [Step(values=self._plan.default, rung=0)])
            return
        counts = count_tries(self._options, self._plan.configurations)
        draw = self._draw_adaptively if self._options.sampler in ADAPTIVE else self._draw_rates_first
        yield from draw(counts.at_rungs[0])
        yield from self._halve(counts)
        for i in range(counts.last_tries):
            values = self._choose_last_try()
            if values is None:
                break
            if values not in self._drawn:
                self._drawn.append(values)
            yield self._make_wave((LAST_TRIES, i), [self._make_full_step(values)])
        finalists = self._list_finalists()
        if len(finalists) == FINALISTS:
            yield self._make_wave((SECOND_SEED, 0), [self._make_full_step(v, second=True) for v in finalists])

    def _make_wave(self, order: tuple[int, int], steps: Sequence[Step], *, independent: bool = False) -> Wave:
        self._steps += steps
        return Wave(order=order, steps=tuple(steps), is_independent=independent)

    def _draw_rates_first(self, count: int) -> Iterator[Wave]:
        rates, others = self._split_space()
        vary_rates = 1 + math.ceil((count - 1) / 2) if others else count
        self._drawn.append(self._plan.default)
        yield self._make_wave((FIRST, 0), [Step(values=self._plan.default, rung=0)])
        if rates:
            yield from self._draw_more((FIRST, 1), rates, self._plan.default, vary_rates, independent=True)
            yield from self._draw_more((FIRST, 2), others, self._get_best_so_far(), count)
            yield from self._draw_more((FIRST, 3), rates, self._plan.default, count)
        yield from self._draw_more((FIRST, 4), self._space, {}, count, independent=not rates)

    def _draw_more(
        self, order: tuple[int, int], space: Space, fixed: Values, total: int, *, independent: bool = False
    ) -> Iterator[Wave]:
        """Draw from a part of the space until there are `total` configurations, or it has no new ones."""
        new = self._draw_new(space, fixed, total - len(self._drawn))
        self._drawn += new
        if new:
            yield self._make_wave(order, [Step(values=values, rung=0) for values in new], independent=independent)

    def _draw_new(self, space: Space, fixed: Values, count: int) -> list[Values]:
        if not space or count <= 0:
            return []
        design = draw_configurations(space, self._options, count + len(self._drawn), self._options.seed)
        complete: list[Values] = []
        for values in design:
            merged = {name: {**fixed, **values}[name] for name in self._space}
            if merged not in self._drawn and merged not in complete:
                complete.append(merged)
        return complete[:count]

    def _draw_adaptively(self, count: int) -> Iterator[Wave]:
        self._drawn.append(self._plan.default)
        yield self._make_wave((FIRST, 0), [Step(values=self._plan.default, rung=0)])
        for i in range(1, count):
            values = self._suggest()
            if values is None:
                break
            self._drawn.append(values)
            yield self._make_wave((FIRST, i), [Step(values=values, rung=0)])

    def _suggest(self) -> Values | None:
        """Return the next configuration of an adaptive sampler; another one if it suggests one that was drawn."""
        higher_is_better = self._plan.higher_is_better
        losses = [self._get_loss(Step(values=values, rung=0)) for values in self._drawn]
        scores = [-loss if loss is not None and higher_is_better else loss for loss in losses]
        history = list(zip(self._drawn, scores, strict=True))
        suggestion = suggest_configuration(
            [self._space] * (len(history) + 1), self._options, history, higher_is_better=higher_is_better
        )
        if suggestion not in self._drawn:
            return suggestion
        return next(iter(self._draw_new(self._space, {}, 1)), None)

    def _halve(self, counts: TryCounts) -> Iterator[Wave]:
        members = list(self._drawn)
        for rung in range(1, len(counts.at_rungs)):
            ranked = self._rank([Step(values=values, rung=rung - 1) for values in members])
            best = [step.values for step in ranked[: counts.at_rungs[rung]]]
            members = [values for values in members if values in best]  # in the order drawn
            if members:
                yield self._make_wave((HALVING, rung), [Step(values=values, rung=rung) for values in members])

    def _choose_last_try(self) -> Values | None:
        """Return the configuration of the next last try: the best one at another rate, else the next of the design."""
        if LEARNING_RATE in self._space:
            points = _compare_rates(self._plan, self._steps, self._look_up)
            full = self._rank(self._list_full_steps())
            others = full[0].values if full else self._plan.default
            target = choose_next_rate(points, self._get_bounds())
            values = None if target is None else self._set_rate(others, target)
            if values is not None:
                return values
        return next(iter(self._draw_new(self._space, {}, 1)), None)

    def _set_rate(self, others: Values, log_rate: float) -> Values | None:
        """Return a configuration at a rate, or at the nearest choice that was not trained to the end."""
        domain, done = self._space[LEARNING_RATE], [step.values for step in self._list_full_steps()]
        if isinstance(domain, Range):
            return {**others, LEARNING_RATE: domain.round(10.0**log_rate)}
        choices = sorted(domain, key=lambda rate: abs(math.log10(rate) - log_rate))
        configurations = ({**others, LEARNING_RATE: rate} for rate in choices)
        return next((values for values in configurations if values not in done), None)

    def _get_bounds(self) -> tuple[float, float] | None:
        domain = self._space[LEARNING_RATE]
        if self._options.widen and isinstance(domain, Range):
            return None
        low, high = (domain.low, domain.high) if isinstance(domain, Range) else (min(domain), max(domain))
        return math.log10(low), math.log10(high)

    def _list_finalists(self) -> list[Values]:
        """Return the configurations with the best scores at the last rung, in the order drawn."""
        best = [step.values for step in self._rank(self._list_full_steps())[:FINALISTS]]
        return [values for values in self._drawn if values in best]

    def _list_full_steps(self) -> list[Step]:
        last = self._options.rungs - 1
        return [step for step in self._steps if step.rung == last and not step.is_second_seed]

    def _make_full_step(self, values: Values, *, second: bool = False) -> Step:
        return Step(values=values, rung=self._options.rungs - 1, is_straight=True, is_second_seed=second)

    def _get_best_so_far(self) -> Values:
        ranked = self._rank([Step(values=values, rung=0) for values in self._drawn])
        return ranked[0].values if ranked else self._plan.default

    def _rank(self, steps: Sequence[Step]) -> list[Step]:
        """Return the steps that have a score, best first, equal ones in their own order."""
        scored = [(loss, step) for step in steps if (loss := self._get_loss(step)) is not None]
        return [step for _, step in sorted(scored, key=lambda pair: pair[0])]

    def _get_loss(self, step: Step) -> float | None:
        outcome = self._look_up(step)
        return outcome.loss if outcome else None

    def _split_space(self) -> tuple[Space, Space]:
        rates = {name: domain for name, domain in self._space.items() if name == LEARNING_RATE}
        return rates, {name: domain for name, domain in self._space.items() if name != LEARNING_RATE}


def _compare_rates(plan: Plan, steps: Sequence[Step], look_up: LookUp) -> list[RatePoint]:
    """Return the comparable points among steps that are done. See `make_comparable_points`."""
    last = plan.options.rungs - 1
    for rung in (last,) if plan.decays else range(last, -1, -1):
        points = _list_points_at(rung, steps, look_up)
        if len({point.log_rate for point in points if point.loss is not None}) >= MIN_RATES:
            return points
    return _list_points_at(last, steps, look_up)


def _list_points_at(rung: int, steps: Sequence[Step], look_up: LookUp) -> list[RatePoint]:
    points = []
    for step in steps:
        if step.is_second_seed or step.rung > rung:
            continue
        outcome = look_up(step)
        if outcome is not None and (step.rung == rung or outcome.loss is None):
            points.append(make_point(step.values, outcome))
    return points
