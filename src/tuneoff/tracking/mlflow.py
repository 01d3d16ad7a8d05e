"""MLflow: a server, or a SQLite file on this machine."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, final

from tuneoff.tracking.back_end import BackEnd, Place, TrackerError, write_csv
from tuneoff.tracking.content import Table, TrackerRun

ID_TAG, GROUP_TAG = "tuneoff.id", "tuneoff.group"
MIXING = ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_NAME")  # put every trial into one run, or elsewhere


@final
class Mlflow(BackEnd):
    """A run is found again by a tag with its id, because MLflow chooses its own ids.

    MLflow keeps every value that it is told, also a second one for the same step. So it is asked for those it has.
    """

    name: ClassVar[str] = "mlflow"
    accelerate_name: ClassVar[str] = "mlflow"
    module: ClassVar[str] = "mlflow"

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        if present := [name for name in MIXING if name in os.environ]:
            raise TrackerError(f"{present[0]} is set, and would put every trial into one place. Unset it.")
        if place.offline:
            os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # read when it is imported
        import mlflow

        self._is_local = place.offline or not os.environ.get("MLFLOW_TRACKING_URI")
        if self._is_local:
            self.folder.mkdir(parents=True, exist_ok=True)
            mlflow.set_tracking_uri(self.uri)
        self._client = mlflow.MlflowClient()

    @property
    def uri(self) -> str:
        """The store on this machine."""
        return f"sqlite:///{self.folder.resolve() / 'mlflow.db'}"

    def make_options(self, run: TrackerRun) -> Mapping[str, Any]:
        experiment = run.project if run.group == run.project else f"{run.project}/{run.group}"
        return {
            "experiment_name": experiment,
            "run_id": self._find_run(experiment, run.id),
            "run_name": run.name,
            "tags": {ID_TAG: run.id, GROUP_TAG: run.group, **{f"tuneoff.{tag}": "yes" for tag in run.tags}},
            "logging_dir": (self.folder.resolve() / "artifacts").as_uri() if self._is_local else None,
        }

    def _find_run(self, experiment: str, id: str) -> str | None:
        known = self._client.get_experiment_by_name(experiment)
        if known is None:
            return None
        runs = self._client.search_runs([known.experiment_id], f"tags.`{ID_TAG}` = '{id}'", max_results=1)
        return str(runs[0].info.run_id) if runs else None

    def list_known(self, run: TrackerRun) -> set[tuple[str, int]]:
        id, names = self._run_id, {name for point in run.points for name in point.values}
        has = self._client.get_run(id).data.metrics.keys() & names
        return {(name, value.step) for name in has for value in self._client.get_metric_history(id, name)}

    @property
    def _run_id(self) -> str:
        return str(self._tracker.tracker.info.run_id)

    def attach(self, tables: Sequence[Table], files: Sequence[Path], note: str) -> None:
        """Store files, and tables as CSV files. The note is the run's description."""
        with tempfile.TemporaryDirectory() as folder:
            for file in (*write_csv(tables, Path(folder)), *files):
                self._client.log_artifact(self._run_id, str(file))
        if note:
            self._client.set_tag(self._run_id, "mlflow.note.content", note)

    def finish(self, *, failed: bool) -> None:
        import mlflow

        mlflow.end_run("FAILED" if failed else "FINISHED")

    def describe_view(self) -> str:
        return f"mlflow ui --backend-store-uri {self.uri}" if self._is_local else os.environ["MLFLOW_TRACKING_URI"]
