"""Drawing configurations from a space: by a seeded design, or by a sampler that learns from what came of the others."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tuneoff.config.search import SearchOptions
from tuneoff.config.search_space import Domain, Range, Space
from tuneoff.records.metrics import METRICS

Values = Mapping[str, Any]  # Any: what a knob takes
MAX_POINTS_PER_DRAW = 20  # before a small space of choices is taken for exhausted
ADAPTIVE = frozenset({"tpe", "gp"})


def draw_configurations(space: Space, options: SearchOptions, count: int, seed: int) -> list[Values]:
    """The first `count` configurations of a design, all different; fewer where the space has fewer.

    The learning rate is drawn along the first coordinate, so that methods with the same number of configurations
    try the same places of their ranges, whatever else they vary.
    """
    if not space:
        return [{}]
    knobs = sorted(space, key=lambda name: (name != "learning_rate", list(space).index(name)))
    found: list[Values] = []
    for point in itertools.islice(_iterate_points(len(knobs), options.sampler, seed), count * MAX_POINTS_PER_DRAW):
        values = {name: _get_value_at(space[name], share) for name, share in zip(knobs, point, strict=True)}
        if values not in found:
            found.append(values)
        if len(found) == count:
            break
    return found


def suggest_configuration(
    spaces: Sequence[Space], options: SearchOptions, told: Sequence[tuple[Values, float | None]]
) -> Values:
    """The next configuration of an adaptive sampler, after all that was told.

    The study is made anew and told everything again, so that the same records always lead to the same suggestion.
    A sampler made anew would also repeat its first random number, and so has a seed of its own for each draw.

    Args:
        spaces: the space of each draw, told or to come; the last is the one to draw from.
        told: the configurations before this one with their validation scores; None for one that diverged.
    """
    key = repr((spaces, options, told))
    if key not in _suggestions:
        _suggestions[key] = _compute_suggestion(spaces, options, told)
    return _suggestions[key]


_suggestions: dict[str, Values] = {}  # a plan is made anew after every trial, and a Gaussian process takes seconds


def _compute_suggestion(
    spaces: Sequence[Space], options: SearchOptions, told: Sequence[tuple[Values, float | None]]
) -> Values:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    maximize = METRICS[options.metric].higher_is_better
    study = optuna.create_study(
        direction="maximize" if maximize else "minimize", sampler=_create_sampler(options, len(told))
    )
    states = optuna.trial.TrialState
    for space, (values, score) in zip(spaces, told, strict=False):
        study.add_trial(
            optuna.trial.create_trial(
                params={name: _encode_value(knob, values[name]) for name, knob in space.items()},
                distributions=_build_distributions(space),
                state=states.PRUNED if score is None else states.COMPLETE,  # pruned: worse than any score
                value=score,
            )
        )
    space = spaces[len(told)]
    asked = study.ask(_build_distributions(space)).params
    return {name: _decode_value(knob, asked[name]) for name, knob in space.items()}


def _iterate_points(dimensions: int, sampler: str, seed: int) -> Iterator[Sequence[float]]:
    """Points of the unit cube, without end, the same for the same seed."""
    import numpy as np
    from scipy.stats import qmc

    generator = np.random.default_rng(seed)
    if sampler == "random":
        while True:
            yield generator.random(dimensions).tolist()
    halton = qmc.Halton(dimensions, scramble=True, rng=generator)  # unlike Sobol's, balanced at any number of points
    while True:
        yield halton.random(1)[0].tolist()


def _get_value_at(knob: Domain, share: float) -> Any:
    return knob.interpolate(share) if isinstance(knob, Range) else knob[min(int(share * len(knob)), len(knob) - 1)]


def _create_sampler(options: SearchOptions, told: int) -> Any:  # Any: optuna's samplers, imported when asked for
    import optuna

    first = max(2, options.configurations // 2)  # drawn at random, to learn from
    if options.sampler == "gp":
        return optuna.samplers.GPSampler(seed=options.seed + told, n_startup_trials=first)
    return optuna.samplers.TPESampler(seed=options.seed + told, n_startup_trials=first)


def _build_distributions(space: Space) -> dict[str, Any]:  # Any: optuna's distributions
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    def of(knob: Domain) -> Any:
        if not isinstance(knob, Range):
            return CategoricalDistribution(range(len(knob)))
        if isinstance(knob.low, int) and isinstance(knob.high, int):
            return IntDistribution(knob.low, knob.high, log=True)
        return FloatDistribution(knob.low, knob.high, log=True)

    return {name: of(knob) for name, knob in space.items()}


def _encode_value(knob: Domain, value: Any) -> Any:
    """A value as optuna knows it: a choice by its place, since choices may be of any type."""
    return value if isinstance(knob, Range) else knob.index(value)


def _decode_value(knob: Domain, asked: Any) -> Any:
    return knob.round(asked) if isinstance(knob, Range) else knob[asked]
