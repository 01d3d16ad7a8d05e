"""TensorBoard: a folder of event files for each run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, final

from tuneoff.tracking.back_end import BackEnd
from tuneoff.tracking.content import Table, TrackerRun


@final
class TensorBoard(BackEnd):
    """Every trial has a folder of its own, because runs in one folder overdraw each other.

    Event files can only be added to, and a second one doubles every point. So those of an earlier telling are replaced.
    """

    name: ClassVar[str] = "tensorboard"
    accelerate_name: ClassVar[str] = "tensorboard"
    module: ClassVar[str] = "tensorboard"

    def make_options(self, run: TrackerRun) -> Mapping[str, Any]:
        folder = self.folder / run.project / run.group
        for file in (folder / run.name).glob("events.out.tfevents.*"):
            file.unlink()
        return {"run_name": run.name, "logging_dir": folder}

    def store_config(self, run: TrackerRun) -> None:
        """Write the hyperparameters into the run's own folder; accelerate would make a folder with a time as its name.

        What the table of hyperparameters shows as metrics are the values of the last point.
        """
        from torch.utils.tensorboard.summary import hparams

        final = run.points[-1].values if run.points else {}
        for summary in hparams(dict(run.config), dict.fromkeys(final, None)):  # type: ignore[no-untyped-call]
            self._tracker.writer.file_writer.add_summary(summary)

    def attach(self, tables: Sequence[Table], files: Sequence[Path], note: str) -> None:
        """Write tables and the note as text. It holds no files."""
        texts = {table.name: _format_markdown(table) for table in tables} | ({"note": note} if note else {})
        for name, text in texts.items():
            self._tracker.writer.add_text(name, text, global_step=0)

    def describe_view(self) -> str:
        return f"tensorboard --logdir {self.folder}"


def _format_markdown(table: Table) -> str:
    lines = [table.columns, ("---",) * len(table.columns), *table.rows]
    return "\n".join("| " + " | ".join(_escape(cell) for cell in line) + " |" for line in lines)


def _escape(cell: str) -> str:
    return cell.replace("\n", " ").replace("|", "\\|")
