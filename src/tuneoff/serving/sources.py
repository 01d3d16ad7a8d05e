"""Where arms come from: the trials of runs, and folders of adapters in peft's format."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tuneoff.budget.spending import read_spending
from tuneoff.errors import DataError, RunError
from tuneoff.evaluation.labels import LabelSet
from tuneoff.methods import get_method
from tuneoff.models.language_model import LanguageModel
from tuneoff.recipe.recipe import drop_methods
from tuneoff.records.record import Record
from tuneoff.records.trial import Setting
from tuneoff.runner.asking import make_prompt_writer
from tuneoff.runner.plan import select_records
from tuneoff.runner.trained_model import choose_trial, require_adapter
from tuneoff.runs import RunDirectory
from tuneoff.runs.layout import has_recipe
from tuneoff.serving.arms import ArmSource
from tuneoff.serving.prompts import Prompts, make_sampling


def read_source(place: str | Path, base: LanguageModel) -> ArmSource:
    """Return the source that `RUN:LABEL` or the folder of an adapter names.

    Raises:
        RunError: there is nothing of the kind, or it is damaged.
    """
    run, _, label = str(place).rpartition(":")
    if run and has_recipe(Path(run)):
        directory = RunDirectory(Path(run))
        return read_trial(directory, choose_trial(read_records(directory), label, None), base)
    folder = Path(place)
    if (folder / "adapter_config.json").is_file():
        return _read_adapter(folder, base)
    raise RunError(
        f"{place} is neither RUN:LABEL, with a run directory and the label of a method, nor a folder with an "
        "adapter_config.json."
    )


def read_records(directory: RunDirectory) -> tuple[Record, ...]:
    """Return the records of a run that its recipe wants, in the order of its methods.

    Raises:
        RunError: this is not a run directory, or a file in it cannot be read.
    """
    stored, spending = directory.read(), read_spending(directory.path)
    recipe = drop_methods(stored.recipe, stored.misfits)
    recipe = spending.fit.shrink(recipe) if spending.fit else recipe
    records = select_records(recipe, stored.records, stored.data.train_samples)
    order = list(recipe.methods)
    return tuple(sorted(records, key=lambda record: order.index(record.trial.label)))


def read_trial(directory: RunDirectory, record: Record, base: LanguageModel) -> ArmSource:
    """Return what a finished trial of a run trained.

    Raises:
        RunError: a file of the adapter is missing or damaged, or its prompts show data that is gone.
    """
    trial, setting = record.trial, record.trial.setting
    method = get_method(trial.method)
    require_adapter(directory, record)
    prompts = read_prompts(record, base.tokenizer)
    return ArmSource(
        method=method.read(trial.hyperparameters),
        folder=directory.get_adapter_folder(trial) if method.trains else None,
        ends=prompts.writer.ends,
        prompts=prompts,
        fingerprint=describe_weights(setting),
        base=setting.model.name,
        place=f"{directory.path}, {trial.label}",
        note=" ".join(_list_notes(record)),
    )


def read_prompts(record: Record, tokenizer: Any) -> Prompts:  # Any: transformers' tokenizers share no type
    """Return how a run asks the model of a trial, and lets it answer.

    Raises:
        RunError: the prompts show examples of data that is gone, or is another one now.
    """
    trial, setting = record.trial, record.trial.setting
    try:
        writer = make_prompt_writer(trial, tokenizer)
    except (DataError, OSError) as error:
        raise RunError(f"The prompts of {trial.label} cannot be written: {error}") from error
    labels = record.facts.get("labels")
    return Prompts(
        writer=writer,
        sampling=make_sampling(
            setting.evaluation, setting.data, writer.stops, LabelSet.from_fact(labels) if labels else None
        ),
        writes_chats=get_method(trial.method).changes_prompts,
    )


def _list_notes(record: Record) -> Iterator[str]:
    if get_method(record.trial.method).changes_prompts:
        yield "It is the base model with prompts of its own, for `fields` and for chats."
    beams = record.trial.setting.evaluation.generation.beams
    if beams > 1:
        yield f"Its run searched with {beams} beams, and here the most likely token follows."


def describe_weights(setting: Setting) -> str:
    """Return what decides the weights of a base model: its files, and how they are quantised."""
    quantise = setting.model.quantise
    return f"{setting.model_fingerprint} in {quantise}" if quantise else setting.model_fingerprint


def _read_adapter(folder: Path, base: LanguageModel) -> ArmSource:
    """Return an adapter of peft.

    Raises:
        RunError: its config cannot be read, or names another base model.
    """
    try:
        config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
        peft_type, trained_from = str(config["peft_type"]), str(config.get("base_model_name_or_path"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{folder / 'adapter_config.json'} cannot be read: {error}") from error
    if trained_from != base.known_as:
        raise RunError(
            f"{folder} is an adapter for {trained_from}, and {base.known_as} is served. Serve it with its own base."
        )
    return ArmSource(
        method=get_method("peft").read({"peft_type": peft_type}), folder=folder, base=trained_from, place=str(folder)
    )
