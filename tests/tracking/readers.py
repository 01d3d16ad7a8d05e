"""Read back what a tracking tool was told, with the tool's own reader where it has one: values by name and step."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Values = Counter[tuple[str, int, float]]  # a value that was told twice counts twice


def read_tensorboard(folder: Path) -> dict[str, Values]:
    """By run name, as TensorBoard shows it: the folder of the event files, relative to its root."""
    from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer

    multiplexer = EventMultiplexer(size_guidance={"scalars": 0}).AddRunsFromDirectory(str(folder))
    multiplexer.Reload()
    return {
        run: Counter(
            (name, event.step, event.value) for name in tags["scalars"] for event in multiplexer.Scalars(run, name)
        )
        for run, tags in multiplexer.Runs().items()
    }


def read_mlflow(uri: str, experiment: str) -> dict[str, Values]:
    """By run name."""
    import mlflow

    client = mlflow.MlflowClient(uri)
    known = client.get_experiment_by_name(experiment)
    runs = client.search_runs([known.experiment_id])
    return {
        run.info.run_name: Counter(
            (name, value.step, value.value)
            for name in run.data.metrics
            for value in client.get_metric_history(run.info.run_id, name)
        )
        for run in runs
    }


def read_trackio(project: str) -> dict[str, Values]:
    """By run name."""
    import trackio
    from trackio.sqlite_storage import SQLiteStorage

    return {
        run.name: Counter(
            (name, row["step"], value)
            for row in SQLiteStorage.get_logs(project, run.name)
            for name, value in row.items()
            if name not in {"step", "timestamp"}
        )
        for run in trackio.Api().runs(project)
    }


def read_wandb(folder: Path) -> dict[str, Values]:
    """By run name, from the transaction logs that `wandb sync` sends."""
    runs: dict[str, Values] = {}
    for file in folder.glob("wandb/offline-run-*/run-*.wandb"):
        name, values = "", Values()
        for record in _read_transactions(file):
            name = record.run.display_name or name
            if record.HasField("history"):
                row = {
                    "/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in record.history.item
                }
                values.update((key, row["_step"], value) for key, value in row.items() if not key.startswith("_"))
        assert name not in runs, "one folder for each run"
        runs[name] = values
    return runs


def _read_transactions(file: Path) -> Iterator[Any]:
    """Yield the records of a LevelDB log: blocks of 32 kB, chunks with a checksum, a length and a type."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, offset, parts = file.read_bytes(), 7, b""  # after wandb's own header
    while offset + 7 <= len(content):
        left = 32768 - offset % 32768
        if left < 7:
            offset += left
            continue
        length, kind = int.from_bytes(content[offset + 4 : offset + 6], "little"), content[offset + 6]
        if not kind:
            return
        parts += content[offset + 7 : offset + 7 + length]
        offset += 7 + length
        if kind in {1, 4}:  # full, or the last of several
            record = Record()
            record.ParseFromString(parts)
            yield record
            parts = b""
