"""The table of optimizers. To add one, write its file in this package and add it to `OPTIMIZERS` and to the names."""

from collections.abc import Mapping

from tuneoff.optimizers.adafactor import Adafactor
from tuneoff.optimizers.adamw import AdamW
from tuneoff.optimizers.adamw_8bit import AdamW8bit
from tuneoff.optimizers.lion import Lion
from tuneoff.optimizers.muon import Muon
from tuneoff.optimizers.optimizer import Optimizer, OptimizerName, ParameterGroups, build_groups

OPTIMIZERS: Mapping[OptimizerName, Optimizer] = {
    optimizer.name: optimizer for optimizer in (AdamW(), AdamW8bit(), Adafactor(), Lion(), Muon())
}

__all__ = ["OPTIMIZERS", "Optimizer", "OptimizerName", "ParameterGroups", "build_groups"]
