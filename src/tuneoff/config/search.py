"""How the hyperparameters of each method are searched: the same number of configurations and rungs for all."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from tuneoff.config.base import Options
from tuneoff.config.search_space import Space


class SearchOptions(Options):
    """Successive halving over configurations drawn from each method's search space.

    All configurations are trained up to the first rung. At each rung, the best `1 / eta` of them continue to the next.
    The last rung is the full training, and all configurations follow its learning-rate schedule from the start.
    """

    configurations: int = Field(8, ge=1)
    """Configurations drawn for each method."""
    rungs: int = Field(3, ge=1)
    """Stages of successive halving; the last one is the full training."""
    eta: int = Field(2, ge=2)
    """One in `eta` configurations continues to the next rung, which is `eta` times as long."""
    sampler: Literal["quasi-random", "random", "tpe", "gp"] = "quasi-random"
    """How configurations are drawn: independently of results (quasi-random, random), or guided by them (tpe, gp)."""
    metric: str = "loss"  # a name in `tuneoff.records.metrics.METRICS`, which `Recipe` checks
    """The metric to choose by, always on the validation split."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Seed of the draws and of every training in the search."""
    widen: bool = True
    """Extend a learning-rate range if the best of the first configurations lies at its edge."""
    spaces: Mapping[str, Space] = Field(default_factory=dict)
    """By method label, the hyperparameters to search, in addition to the method's own or in place of them: a list of
    choices, or a range `{low: 1e-5, high: 1e-3}`."""

    @property
    def shares(self) -> tuple[float, ...]:
        """The length of each rung as a share of the full training; the last is 1."""
        return tuple(float(self.eta) ** -k for k in reversed(range(self.rungs)))
