"""The table of optimizers. To add one, write its file in this package and add it to `OPTIMIZERS` and to the names."""

from collections.abc import Mapping

from tuneoff.optimizers.adafactor import Adafactor
from tuneoff.optimizers.adamw import AdamW
from tuneoff.optimizers.adamw_8bit import AdamW8bit
from tuneoff.optimizers.adamw_bf16 import AdamWBf16
from tuneoff.optimizers.apollo import Apollo
from tuneoff.optimizers.lion import Lion
from tuneoff.optimizers.lisa import LISA
from tuneoff.optimizers.lora_fa import LoRAFA
from tuneoff.optimizers.muon import Muon
from tuneoff.optimizers.optimizer import Optimizer, OptimizerName, ParameterGroups, build_groups

OPTIMIZERS: Mapping[OptimizerName, Optimizer] = {
    optimizer.name: optimizer
    for optimizer in (AdamW(), AdamW8bit(), AdamWBf16(), Adafactor(), Lion(), Muon(), Apollo(), LoRAFA(), LISA())
}

# that can train whole blocks
FOR_BLOCKS: frozenset[OptimizerName] = frozenset(
    {"adamw", "adamw-8bit", "adamw-bf16", "adafactor", "lion", "muon", "apollo"}
)

__all__ = ["FOR_BLOCKS", "OPTIMIZERS", "Optimizer", "OptimizerName", "ParameterGroups", "build_groups"]
