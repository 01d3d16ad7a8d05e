"""The run directory as the rest of the program uses it."""

import logging
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

from tuneoff.config.data import DataOptions
from tuneoff.data import DataSummary
from tuneoff.errors import RunError
from tuneoff.recipe.recipe import Recipe
from tuneoff.records.record import Record
from tuneoff.records.trial import Setting, Trial
from tuneoff.runs import compatibility, integrity, votes
from tuneoff.runs.decisions import read_decisions
from tuneoff.runs.judgements import read_judgements
from tuneoff.runs.layout import ADAPTER, CHECKPOINT, REPORT, TRIALS, has_recipe
from tuneoff.runs.locking import lock_run
from tuneoff.runs.measured import read_measured
from tuneoff.runs.moved_data import find_moved_data
from tuneoff.runs.reading import Run, read_data, read_environment, read_misfits, read_recipe, read_records
from tuneoff.runs.writing import write_record, write_run

_LOG = logging.getLogger(__name__)


@final
class RunDirectory:
    """The directory of one run at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._identity: tuple[int, int] | None = None  # of the locked directory

    @property
    def report(self) -> Path:
        """The folder of the page, the tables and the figures."""
        return self.path / REPORT

    @property
    def votes_file(self) -> Path:
        """The file of the votes that people gave on the page of `tuneoff serve`."""
        return self.path / votes.FILE

    def get_trial_folder(self, trial: Trial) -> Path:
        return self.path / TRIALS / trial.id

    def get_adapter_folder(self, trial: Trial) -> Path:
        """Return the folder of a trial's trained weights."""
        return self.get_trial_folder(trial) / ADAPTER

    def get_checkpoint_file(self, trial: Trial) -> Path:
        """Return the file from which an interrupted trial resumes, or in a search the next higher rung."""
        return self.get_trial_folder(trial) / CHECKPOINT

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes out while a block runs; see `lock_run`."""
        with lock_run(self.path):
            self._identity = _identify(self.path)
            try:
                yield
            finally:
                self._identity = None

    def require_in_place(self) -> None:
        """Check that the directory is still where it was when it was locked.

        Raises:
            RunError: it was moved, removed or replaced. What would be written now would be apart from the rest.
        """
        if self._identity is not None and _identify(self.path) != self._identity:
            raise RunError(
                f"{self.path} was moved, removed or replaced while the run was working in it, so the run stopped. Its "
                "finished trials are where the directory is now: to continue, name it with --run."
            )

    def find_moved_data(self, recipe: Recipe) -> DataOptions | None:
        """Return the stored data options if the recipe differs from the stored one in the place of the data alone."""
        return find_moved_data(self.path, recipe)

    def require_same_recipe(self, recipe: Recipe, *, before_cuts: bool = False) -> None:
        """Check that the directory is new or belongs to this recipe, before anything is loaded for it.

        Args:
            before_cuts: whether the choices of its default search spaces are not yet cut to its model.

        Raises:
            RunError: it belongs to another recipe or to another program.
        """
        compatibility.require_same_recipe(self.path, recipe, before_cuts=before_cuts)

    def take_date(self, recipe: Recipe) -> Recipe:
        """Return the recipe with the date that the run has for chat templates, if it has begun and needs one."""
        return compatibility.take_date(self.path, recipe)

    def adopt_setting(self, setting: Setting, *, elsewhere: bool) -> tuple[Setting, dict[str, str | None]]:
        """Return the setting for new records, and what of it is different here; see `compatibility.adopt_setting`."""
        return compatibility.adopt_setting(self.path, self.read_records(), setting, elsewhere=elsewhere)

    def require_same_setting(self, setting: Setting) -> None:
        """Check that new records of this setting can be ranked with those of the directory.

        Raises:
            RunError: the settings differ.
        """
        compatibility.require_same_setting(self.path, self.read_records(), setting)

    def begin(
        self,
        recipe: Recipe,
        environment: Mapping[str, Any],
        data: DataSummary,
        misfits: Mapping[str, str] | None = None,
    ) -> None:
        """Write what the trials share, and move damaged records away. Call this with the lock held.

        Args:
            misfits: why methods of the recipe do not fit the model, by label.

        Raises:
            RunError: the directory belongs to another recipe or to another program.
        """
        self.require_same_recipe(recipe)
        integrity.set_aside_damaged(self.path)
        write_run(self.path, recipe, environment, data, misfits or {})

    def write_record(self, record: Record) -> None:
        """Write the result of a trial, which finishes it.

        Raises:
            RunError: the directory is no longer in its place.
        """
        self.require_in_place()
        write_record(self.get_trial_folder(record.trial), record, self.get_adapter_folder(record.trial))

    def reset_trial(self, trial: Trial) -> None:
        """Remove the files of a failed trial, except the checkpoint from which it resumes."""
        reset_folder(self.get_trial_folder(trial))

    def remove_checkpoints(self, ids: Collection[str]) -> None:
        """Remove the checkpoints of these trials: each is about three times as large as the trained weights."""
        for file in (file for id in ids for file in (self.path / TRIALS / id).glob("checkpoint.*")):
            file.unlink()

    def read_data(self) -> DataSummary:
        """Read what the splits of the run's data were."""
        return read_data(self.path)

    def read_records(self) -> tuple[Record, ...]:
        """Read every undamaged record with its curve and predictions."""
        return tuple(read_records(self.path)[0].values())

    def read(self) -> Run:
        """Read the whole run. Its recipe may want only some of the records.

        Raises:
            RunError: this is not a run directory, or a file in it cannot be read.
        """
        if not has_recipe(self.path):
            raise RunError(f"{self.path} is not a run directory: it has no recipe.yaml. `tuneoff compare` creates one.")
        integrity.require_self_contained(self.path)
        integrity.require_undamaged(self.path)
        records, left_out = integrity.read_usable_records(self.path)
        for id, reason in left_out.items():
            _LOG.warning(
                "The record of trial %s is left out (%s). `tuneoff compare` runs a damaged trial again.", id, reason
            )
        return Run(
            recipe=read_recipe(self.path),
            environment=read_environment(self.path),
            data=read_data(self.path),
            records=tuple(records.values()),
            left_out=left_out,
            misfits=read_misfits(self.path),
            judgements=read_judgements(self.path),
            decisions=read_decisions(self.path),
            votes=votes.read_votes(self.votes_file),
            measured=read_measured(self.path),
        )


def reset_folder(folder: Path) -> None:
    """Remove the files of an interrupted or failed trial from its folder, except the checkpoint."""
    for entry in folder.glob("*"):
        if entry.name != CHECKPOINT:
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def _identify(path: Path) -> tuple[int, int] | None:
    """Return the device and the inode of a directory, or None if there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
