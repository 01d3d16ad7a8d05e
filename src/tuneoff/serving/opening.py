"""Open an engine for what some runs trained."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tuneoff.errors import RunError, suggest
from tuneoff.methods import METHODS, get_method
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.loading import load_model, load_tokenizer
from tuneoff.models.precision import get_dtype, hold_for_inference
from tuneoff.models.quantisation import dequantise
from tuneoff.models.sources import find_source
from tuneoff.records.record import Record
from tuneoff.runner.trained_model import choose_trial, require_same_model
from tuneoff.runs import RunDirectory
from tuneoff.serving.arms import ArmSource
from tuneoff.serving.engine import Engine
from tuneoff.serving.sources import describe_weights, read_prompts, read_records, read_trial

_LOG = logging.getLogger(__name__)

BASE = "base"  # what the base model is called


def open_engine(runs: Sequence[str | Path], arms: Sequence[str] | None = None, **limits: Any) -> Engine:
    """Load the base model of some runs once, and beside it what each method trained.

    Args:
        runs: run directories. With several, an arm is called `RUN/LABEL`, after the directory.
        arms: which arms; by default all that finished.
        limits: those of `Engine`, such as `max_rows`.

    Returns:
        The engine, which is to be started. The base model is served as `base`.

    Raises:
        ModelError: the base model cannot be loaded.
        RunError: a directory is no run, the runs have different base models, or an arm does not exist, is damaged or
            cannot be served.
    """
    records = _list_records([RunDirectory(Path(run)) for run in runs], arms)
    first = next(iter(records.values()))[1].trial.setting
    for directory, record in records.values():
        setting = record.trial.setting
        if describe_weights(setting) != describe_weights(first):
            raise RunError(
                f"{directory.path} has the base model {setting.model.name}, and {runs[0]} has {first.model.name}: the "
                f"fingerprints are {describe_weights(setting)} and {describe_weights(first)}. One server has one base "
                "model. Serve each on a port of its own."
            )
    source = find_source(first.model)
    require_same_model(source, first)
    base = load_model(source, first.model, load_tokenizer(source, first.model))
    dequantise(base.network, first.model.name)  # adapters in a batch share plain layers; the numbers are the same
    base = hold_for_inference(base, get_dtype(first.precision))
    engine = Engine(base, fingerprint=describe_weights(first), **limits)
    if BASE not in records:
        engine.add_arm(BASE, _make_base_source([record for _, record in records.values()], base))
    for name, (directory, record) in records.items():
        if arms is None or name in (*arms, BASE):
            try:
                engine.add_arm(name, read_trial(directory, record, base))
            except RunError as error:
                if arms is not None:
                    raise
                _LOG.warning("%s is left out. %s", name, error)
    return engine


def _make_base_source(records: Iterable[Record], base: LanguageModel) -> ArmSource:
    """Return the base model, asked as the first arm that has the prompts of its recipe."""
    method = METHODS["base"].read({})
    asked = next((record for record in records if not get_method(record.trial.method).changes_prompts), None)
    if asked is None:
        return ArmSource(method=method)
    prompts = read_prompts(asked, base.tokenizer)
    return ArmSource(method=method, ends=prompts.writer.ends, prompts=prompts)


def _list_records(
    directories: Sequence[RunDirectory], arms: Sequence[str] | None
) -> dict[str, tuple[RunDirectory, Record]]:
    """Return the trial of each arm: of those that finished, the one with the lowest seed.

    Raises:
        RunError: there is none, or an arm that is asked for is not there.
    """
    found: dict[str, tuple[RunDirectory, Record]] = {}
    failed: dict[str, str] = {}
    for directory in directories:
        records = read_records(directory)
        labels = dict.fromkeys(record.trial.label for record in records if record.trial.stage == "confirm")
        for label in labels:
            name = label if len(directories) == 1 else f"{directory.path.resolve().name}/{label}"
            if name in found:
                raise RunError(f"Two runs are called {directory.path.resolve().name}. Rename one of the directories.")
            try:
                found[name] = directory, choose_trial(records, label, None)
            except RunError as error:
                failed[name] = str(error)
    for arm in arms or ():
        if arm in failed:
            raise RunError(failed[arm])
        if arm not in found and arm != BASE:
            raise RunError(f"There is no arm {arm!r}.{suggest(arm, found)}")
    if not found:
        raise RunError(f"No trial of {', '.join(str(one.path) for one in directories)} has finished yet.")
    return found
