"""How the hyper-parameters of each method are searched: the same number of tries, rungs and tokens for all."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from tuneoff.config.base import Options
from tuneoff.config.search_space import Space


class SearchOptions(Options):
    """Successive halving over configurations drawn from each method's space.

    All configurations are trained up to the first rung; of those at a rung, the best `1 / eta` go on to the next.
    The last rung is the full training, whose learning-rate schedule all of them follow from the start.
    """

    configurations: int = Field(8, ge=1)  # of each method
    rungs: int = Field(3, ge=1)
    eta: int = Field(2, ge=2)
    sampler: Literal["quasi-random", "random", "tpe", "gp"] = "quasi-random"
    metric: Literal["loss", "rougeL", "rouge1", "rouge2", "rougeLsum"] = "loss"  # on validation, never on test
    seed: int = Field(0, ge=0, lt=2**32)  # of the draws, and of every training in the search
    widen: bool = True  # beyond the edge of a learning-rate range, if the best of the first draws lies there
    spaces: Mapping[str, Space] = Field(default_factory=dict)  # by method label, beside or in place of its own

    @property
    def shares(self) -> tuple[float, ...]:
        """The rungs as shares of the full training, the last being all of it."""
        return tuple(float(self.eta) ** -k for k in reversed(range(self.rungs)))
