"""The names of the files and folders in a run directory."""

import re
from pathlib import Path

from tuneoff.system.checksums import CHECKSUMS

RECIPE, ENVIRONMENT, DATA, MISFITS = "recipe.yaml", "environment.json", "data.json", "misfits.json"
RECORD, CURVE, PREDICTIONS = "record.json", "curve.jsonl", "predictions.jsonl"
BENCHMARKS = "benchmarks.jsonl"  # only of a record that has some
TRACKERS = "trackers.json"  # the id under which tracking tools know the run
INDEX = "index.json"  # a copy of all records; see `tuneoff.runs.index`
FILES = "files"  # the key in `record.json` of the checksums of all other files that belong to the record
LOCK, TRIALS, SET_ASIDE, ADAPTER, REPORT = ".lock", "trials", "set-aside", "adapter", "report"
CHECKPOINT = "checkpoint.safetensors"  # in the folder of a trial
WORK = "work"  # only while workers are at the run; see `tuneoff.runs.work_folder`
SHARE = "share.json"  # only while a run is worked on through a URL; see `tuneoff.runs.shared_work`
# What a process that ends before it has written the recipe can leave behind, as prefixes of names.
WRITTEN_BEFORE_RECIPE = (LOCK, CHECKSUMS, f".{CHECKSUMS}.", f".{RECIPE}.")

_TRIAL_ID = re.compile("[0-9a-f]{12}")


def has_recipe(path: Path) -> bool:
    """Return whether `path` is a run directory, of this program or of another one that has a recipe."""
    return (path / RECIPE).is_file()


def list_recorded_trials(path: Path) -> list[Path]:
    """Return the folders of the trials that have a record, sorted by trial id."""
    files = sorted(path.glob(f"{TRIALS}/*/{RECORD}"))
    return [file.parent for file in files if is_trial_id(file.parent.name)]


def is_trial_id(name: str) -> bool:
    """Return whether this is the name of a trial's folder."""
    return _TRIAL_ID.fullmatch(name) is not None
