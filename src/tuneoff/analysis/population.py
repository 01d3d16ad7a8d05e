"""What a verdict speaks of: these trained models, the methods on one train split, or on such train samples."""

from collections.abc import Mapping, Sequence
from typing import Literal

from tuneoff.errors import UnequalSettingsError
from tuneoff.methods import METHODS
from tuneoff.records.record import Record

Population = Literal["models", "train split", "train samples"]


def find_population(finished: Mapping[str, Sequence[Record]]) -> Population:
    """Return what a difference between methods speaks of.

    A method that was trained once stands for that one model. Then so does the whole comparison: it is as general as
    its least general method.

    Args:
        finished: the finished confirmed trials of each method, by label. The base model, which is not trained, and
            methods without one do not count.
    """
    trained = [records for records in finished.values() if records and METHODS[records[0].trial.method].depends_on_seed]
    if not trained or min(len(records) for records in trained) == 1:
        return "models"
    samples = {record.trial.train_sample for records in trained for record in records}
    return "train split" if None in samples else "train samples"


def require_same_samples(confirmed: Sequence[Record]) -> None:
    """Check that all methods were trained on the same sample under the same seed, since they are paired by seed.

    Raises:
        UnequalSettingsError: two trials with one seed were trained on different samples.
    """
    samples: dict[int, str | None] = {}
    for trial in (record.trial for record in confirmed if METHODS[record.trial.method].depends_on_seed):
        if samples.setdefault(trial.seed, trial.train_sample) != trial.train_sample:
            raise UnequalSettingsError(
                f"Trials with seed {trial.seed} were trained on different train samples, so they must not be ranked "
                "together. Keep one run directory for the trials of one recipe."
            )
