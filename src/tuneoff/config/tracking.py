"""The names of the tracking tools that a recipe can name."""

from typing import Literal, get_args

TrackerName = Literal["tensorboard", "mlflow", "wandb", "trackio", "comet", "aim", "swanlab", "clearml"]
TRACKER_NAMES: tuple[TrackerName, ...] = get_args(TrackerName)
