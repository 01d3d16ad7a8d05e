"""How the hyperparameters of each method are searched: the same number of configurations and rungs for all."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from tuneoff.config.base import Options
from tuneoff.config.limits import MOST_CONFIGURATIONS, MOST_RUNGS
from tuneoff.config.search_space import Space

SEED_DISTANCE = 1_000_000  # from the seed of a search to its second seed; far from the small seeds that people choose


class SearchOptions(Options):
    """Successive halving over configurations from each method's search space, then a few last tries.

    The first configuration is the method's defaults. All configurations but the last tries are trained up to the first
    rung. At each rung, the best `1 / eta` of them continue to the next, and at least two reach the last. It is the full
    training, and all configurations follow its learning-rate schedule from the start. One in four configurations, and
    at least two of four or more, is a last try: the best one at another learning rate, trained straight to the last
    rung. The best two are then compared under two seeds.
    """

    configurations: int = Field(8, ge=1, le=MOST_CONFIGURATIONS)
    """Configurations that each method tries."""
    effort: Literal["tokens", "seconds"] = "tokens"
    """What is equal for all methods: with seconds, a faster method tries more configurations, up to four times as
    many, so that its trainings take as long as those of the slowest."""
    rungs: int = Field(3, ge=1, le=MOST_RUNGS)
    """Stages of successive halving; the last one is the full training."""
    eta: int = Field(2, ge=2)
    """One in `eta` configurations continues to the next rung, which is `eta` times as long."""
    sampler: Literal["quasi-random", "random", "tpe", "gp"] = "quasi-random"
    """How configurations are drawn: independently of results (quasi-random, random), or guided by them (tpe, gp)."""
    metric: str = "loss"  # a name in `tuneoff.metrics.METRICS`, which `Recipe` checks
    """The metric to choose by, always on the validation split."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Seed of the draws and of every training in the search, except the second one of the best two."""
    widen: bool = True
    """Whether a last try may lie outside the learning-rate range: half a decade beyond the best, if that is the lowest
    or the highest rate that was trained to the last rung."""
    spaces: Mapping[str, Space] = Field(default_factory=dict)
    """By method label, the hyperparameters to search, in addition to the method's own or in place of them: a list of
    choices, or a range `{low: 1e-5, high: 1e-3}`."""

    @property
    def second_seed(self) -> int:
        """The seed under which the best two configurations are trained again."""
        return (self.seed + SEED_DISTANCE) % 2**32

    @property
    def shares(self) -> tuple[float, ...]:
        """The length of each rung as a share of the full training; the last is 1."""
        return tuple(float(self.eta) ** -k for k in reversed(range(self.rungs)))
