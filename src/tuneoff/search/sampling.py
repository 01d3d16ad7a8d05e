"""Draw configurations from a search space: from a seeded design, or with a sampler that learns from earlier scores."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, final

from tuneoff.config.search import SearchOptions
from tuneoff.config.search_space import Domain, Range, Space

Values = Mapping[str, Any]  # Any: the value of a hyperparameter
MAX_POINTS_PER_DRAW = 20  # without a new configuration, a small space of choices is taken to be exhausted
ADAPTIVE = frozenset({"tpe", "gp"})


def get_default(space: Space, hyperparameters: Mapping[str, Any]) -> Values:  # Any: as for `Values`
    """Return the configuration of a method's own values, which a search tries first.

    A value outside the space gives way to the middle of the range or to the first choice.
    """
    return {name: _get_nearest_default(domain, hyperparameters[name]) for name, domain in space.items()}


def _get_nearest_default(domain: Domain, value: Any) -> Any:
    if isinstance(domain, Range):
        return value if domain.low <= value <= domain.high else domain.interpolate(0.5)
    return value if value in domain else domain[0]


def draw_configurations(space: Space, options: SearchOptions, count: int, seed: int) -> list[Values]:
    """Return the first `count` configurations of a design, all different; fewer if the space has fewer.

    The first coordinate of the design is the learning rate, so that methods with the same number of configurations try
    the same fractions of their learning-rate ranges, whatever else they search.
    """
    if not space:
        return [{}]
    key = repr((space, options.sampler, seed))
    if key not in _designs:
        _designs[key] = _Design(space, options.sampler, seed)
    return _designs[key].take(count)


@final
class _Design:
    """A growing list of different configurations, so that a longer one does not draw the same points again."""

    def __init__(self, space: Space, sampler: str, seed: int) -> None:
        self._space = space
        self._names = sorted(space, key=lambda name: (name != "learning_rate", list(space).index(name)))
        self._points = enumerate(_iterate_points(len(space), sampler, seed))
        self._drawn: dict[str, tuple[int, Values]] = {}  # with the number of points before it
        self._last = -1

    def take(self, count: int) -> list[Values]:
        most_points = count * MAX_POINTS_PER_DRAW
        while len(self._drawn) < count and self._last + 1 < most_points:
            self._last, point = next(self._points)
            values = {
                n: _get_value_at(self._space[n], fraction) for n, fraction in zip(self._names, point, strict=True)
            }
            self._drawn.setdefault(repr(values), (self._last, values))
        return [values for i, values in itertools.islice(self._drawn.values(), count) if i < most_points]


_designs: dict[str, _Design] = {}  # every plan replays the search


def suggest_configuration(
    spaces: Sequence[Space],
    options: SearchOptions,
    history: Sequence[tuple[Values, float | None]],
    *,
    higher_is_better: bool = False,
) -> Values:
    """Return the next configuration of an adaptive sampler.

    The sampler is created anew for every suggestion and given the whole history, so that the same records always lead
    to the same suggestion. Its seed depends on the length of the history, since a new sampler with the same seed would
    repeat its first random number.

    Args:
        spaces: the space of each draw, past and to come; the one after the history is drawn from.
        history: the configurations before this one with their validation scores; None for one that diverged.
    """
    key = repr((spaces, options, history, higher_is_better))
    if key not in _suggestions:
        _suggestions[key] = _compute_suggestion(spaces, options, history, higher_is_better)
    return _suggestions[key]


_suggestions: dict[str, Values] = {}  # every plan replays the search, and a Gaussian process takes seconds


def _compute_suggestion(
    spaces: Sequence[Space],
    options: SearchOptions,
    history: Sequence[tuple[Values, float | None]],
    higher_is_better: bool,
) -> Values:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        direction="maximize" if higher_is_better else "minimize",
        sampler=_create_sampler(options, len(history)),
    )
    states = optuna.trial.TrialState
    for space, (values, score) in zip(spaces, history, strict=False):
        study.add_trial(
            optuna.trial.create_trial(
                params={name: _encode_value(domain, values[name]) for name, domain in space.items()},
                distributions=_build_distributions(space),
                state=states.PRUNED if score is None else states.COMPLETE,  # pruned: worse than any score
                value=score,
            )
        )
    space = spaces[len(history)]
    params = study.ask(_build_distributions(space)).params
    return {name: _decode_value(domain, params[name]) for name, domain in space.items()}


def _iterate_points(dimensions: int, sampler: str, seed: int) -> Iterator[Sequence[float]]:
    """Yield points of the unit cube without end, the same ones for the same seed."""
    import numpy as np
    from scipy.stats import qmc

    generator = np.random.default_rng(seed)
    if sampler == "random":
        while True:
            yield generator.random(dimensions).tolist()
    halton = qmc.Halton(dimensions, scramble=True, rng=generator)  # balanced at any number of points, unlike Sobol
    while True:
        yield halton.random(1)[0].tolist()


def _get_value_at(domain: Domain, fraction: float) -> Any:
    if isinstance(domain, Range):
        return domain.interpolate(fraction)
    return domain[min(int(fraction * len(domain)), len(domain) - 1)]


def _create_sampler(options: SearchOptions, history_length: int) -> Any:  # Any: optuna is imported when needed
    import optuna

    random_draws = max(2, options.configurations // 2)  # before the sampler starts to learn
    seed = options.seed + history_length
    if options.sampler == "gp":
        return optuna.samplers.GPSampler(seed=seed, n_startup_trials=random_draws)
    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=random_draws)


def _build_distributions(space: Space) -> dict[str, Any]:  # Any: optuna's distributions
    return {name: _build_distribution(domain) for name, domain in space.items()}


def _build_distribution(domain: Domain) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if not isinstance(domain, Range):
        return CategoricalDistribution(range(len(domain)))
    if isinstance(domain.low, int) and isinstance(domain.high, int):
        return IntDistribution(domain.low, domain.high, log=True)
    return FloatDistribution(domain.low, domain.high, log=True)


def _encode_value(domain: Domain, value: Any) -> Any:
    """Return a value for optuna. A choice becomes its index, because choices may have any type."""
    return value if isinstance(domain, Range) else domain.index(value)


def _decode_value(domain: Domain, value: Any) -> Any:
    return domain.round(value) if isinstance(domain, Range) else domain[value]
