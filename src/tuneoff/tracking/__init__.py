"""Tell tracking tools what a run found, from its records: never inside a training, and in a process of its own.

A new tool is one file and one entry in the table.
"""

from collections.abc import Mapping

from tuneoff.config.tracking import TrackerName
from tuneoff.tracking.back_end import BackEnd
from tuneoff.tracking.mlflow import Mlflow
from tuneoff.tracking.others import Aim, ClearMl, Comet, SwanLab
from tuneoff.tracking.tensorboard import TensorBoard
from tuneoff.tracking.trackio import Trackio
from tuneoff.tracking.wandb import Wandb

BACK_ENDS: Mapping[TrackerName, type[BackEnd]] = {
    "tensorboard": TensorBoard,
    "mlflow": Mlflow,
    "wandb": Wandb,
    "trackio": Trackio,
    "comet": Comet,
    "aim": Aim,
    "swanlab": SwanLab,
    "clearml": ClearMl,
}

__all__ = ["BACK_ENDS", "BackEnd"]
