"""The model that a finished trial of a run trained, loaded again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tuneoff.data.batches import chunk
from tuneoff.data.example import Row
from tuneoff.data.other_prompts import PromptWriter
from tuneoff.errors import ModelError, RunError, suggest
from tuneoff.evaluation.generation import generate_batch
from tuneoff.evaluation.labels import LabelSet, choose_labels
from tuneoff.methods import get_method
from tuneoff.models.loading import load_model, load_tokenizer
from tuneoff.models.precision import get_dtype, hold_for_inference
from tuneoff.models.quantisation import dequantise
from tuneoff.models.sources import Source, find_source
from tuneoff.records.record import Record
from tuneoff.records.trial import Setting
from tuneoff.runner.asking import encode_unanswered, make_prompt_writer
from tuneoff.runs import RunDirectory
from tuneoff.runs.integrity import find_foreign_files
from tuneoff.system.checksums import CHECKSUMS, find_damaged_files

if TYPE_CHECKING:
    from datasets import Dataset

    from tuneoff.models.language_model import LanguageModel


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """A model that a trial trained, with the prompt and the limits of its run."""

    language_model: LanguageModel  # ready for inference, on the CPU
    setting: Setting
    prompts: PromptWriter
    labels: LabelSet | None = None  # that answers are chosen from; None: any text

    def generate(self, sources: Sequence[str | Row | Sequence[Row]], *, max_new_tokens: int | None = None) -> list[str]:
        """Return the text that the model writes for each source, as for the predictions of its run.

        Each source is put into the run's prompt template and cut to its limit, since the model was trained on such
        prompts.

        Args:
            sources: for each text to write, the source text, which is cleaned as in the run; or a row as in the data,
                whose answer is not used; or the messages of a chat, `[{"role": "user", "content": ...}]`.
            max_new_tokens: the run's own limit unless given.

        Raises:
            DataError: a row lacks a column that the template uses, or the model was trained on single texts and this is
                a chat of several turns.
            RecipeError: `max_new_tokens` is not a positive number.
        """
        from datasets import Dataset

        if not sources:
            return []
        model, data, options = self.language_model, self.setting.data, self.setting.evaluation.generation
        prompts = encode_unanswered(sources, self.prompts)
        split = Dataset.from_dict({"tokens": prompts, "prompt_tokens": [len(prompt) for prompt in prompts]})
        if max_new_tokens is not None:
            options = type(options).read({**options.model_dump(), "max_new_tokens": max_new_tokens})
        if options.constrain_to is None:
            options = options.model_copy(update={"stop": (*options.stop, *self.prompts.stops)})
        batches = chunk(range(len(prompts)), options.prompts_at_once)
        if self.labels and options.constrain_to is None:
            return [name for rows in batches for name in self._choose_labels(split, rows, self.labels)]
        return [
            answers[0]
            for rows in batches
            for answers in generate_batch(
                model,
                split,
                rows,
                options,
                max_new_tokens=data.max_target_tokens,
                ends=self.prompts.ends,
                labels=self.labels,
            )
        ]

    def chat(self, messages: Sequence[Row], *, max_new_tokens: int | None = None) -> str:
        """Return the next message of the assistant.

        Args:
            messages: a chat, `[{"role": "user", "content": ...}, ...]`, that does not end with the assistant.
            max_new_tokens: the run's own limit unless given.

        Raises:
            DataError, RecipeError: as for `generate`.
        """
        return self.generate([messages], max_new_tokens=max_new_tokens)[0]

    def _choose_labels(self, split: Dataset, rows: Sequence[int], labels: LabelSet) -> list[str]:
        of_labels = self.setting.evaluation.labels
        per_token = of_labels is not None and of_labels.per_token
        return choose_labels(self.language_model, split, rows, labels, per_token=per_token)


def choose_trial(records: Sequence[Record], label: str, seed: int | None) -> Record:
    """Return the record of a method's confirmed trial.

    Args:
        records: the records of a run.
        label: the method, as the recipe labels it.
        seed: the lowest one whose trial finished if None.

    Raises:
        RunError: there is no such trial, or it did not finish.
    """
    confirmed = [record for record in records if record.trial.stage == "confirm"]
    labels = dict.fromkeys(record.trial.label for record in confirmed)
    if label not in labels:
        raise RunError(f"The run has no confirmed trial of a method {label!r}.{suggest(label, labels)}")
    by_seed = {record.trial.seed: record for record in confirmed if record.trial.label == label}
    finished = sorted(known for known, record in by_seed.items() if record.status == "done")
    if seed is None:
        seed = finished[0] if finished else min(by_seed)
    if seed not in by_seed:
        raise RunError(f"The run has no trial of {label} with seed {seed}. It has the seeds {_join(sorted(by_seed))}.")
    if seed not in finished:
        record = by_seed[seed]
        alternative = f"one of the seeds {_join(finished)}" if finished else "another method"
        raise RunError(
            f"The trial of {label} with seed {seed} ended as {record.status}: {record.reason or 'no reason recorded'}. "
            f"Run `tuneoff compare --retry`, or load {alternative}."
        )
    return by_seed[seed]


def _join(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds))


def load_trained_model(directory: RunDirectory, record: Record) -> TrainedModel:
    """Return the base model with what a finished trial trained, on the CPU, held as the trial was evaluated.

    Raises:
        DataError: the trial shows examples of the run's data, which is gone or is another one.
        ModelError: the base model cannot be loaded.
        RunError: the base model has changed since the trial, or a file of the adapter is missing or damaged.
    """
    _, tuned = load_tuned(directory, record)
    return make_trained_model(record, hold_for_inference(tuned, get_dtype(record.trial.setting.precision)))


def make_trained_model(record: Record, tuned: LanguageModel) -> TrainedModel:
    """Return a model with the prompt and the limits of its run.

    Raises:
        DataError: the trial shows examples of the run's data, which is gone or is another one.
    """
    labels = record.facts.get("labels")
    return TrainedModel(
        language_model=tuned,
        setting=record.trial.setting,
        prompts=make_prompt_writer(record.trial, tuned.tokenizer),
        labels=LabelSet.from_fact(labels) if labels else None,
    )


def load_tuned(directory: RunDirectory, record: Record, *, dequantised: bool = False) -> tuple[Source, LanguageModel]:
    """Return the base model's files, and the base model with what a finished trial trained, in its files' precision.

    Args:
        dequantised: whether a quantised base gets plain layers, with the weights that its codes stand for.

    Raises:
        ModelError, RunError: as for `load_trained_model`.
    """
    trial, setting = record.trial, record.trial.setting
    source = find_source(setting.model)
    require_same_model(source, setting)
    require_adapter(directory, record)
    base = load_model(source, setting.model, load_tokenizer(source, setting.model))
    if dequantised:
        dequantise(base.network, setting.model.name)
    folder = directory.get_adapter_folder(trial)
    try:
        return source, get_method(trial.method).read(trial.hyperparameters).load(base, folder)
    except (OSError, ModelError) as error:
        raise RunError(f"The adapter in {folder} cannot be loaded: {error}") from error


def require_same_model(source: Source, setting: Setting) -> None:
    """Check that a model's files are those that a run used.

    Raises:
        RunError: they are others, with both fingerprints.
    """
    if source.fingerprint != setting.model_fingerprint:
        raise RunError(
            f"{setting.model.name} is not the model that this run used: its fingerprint is {source.fingerprint}, and "
            f"the run's is {setting.model_fingerprint}. Restore the files or the revision of that time, or run the "
            "comparison again in a new run directory."
        )


def require_adapter(directory: RunDirectory, record: Record) -> None:
    """Check the adapter's files against the checksums in the trial's folder."""
    folder = directory.get_trial_folder(record.trial)
    adapter = directory.get_adapter_folder(record.trial)
    files = [*find_damaged_files(folder), *find_foreign_files(folder)]
    damaged = [folder / name for name in files if name == CHECKSUMS or name.startswith(f"{adapter.name}/")]
    trained = record.costs is None or record.costs.trainable_parameters > 0
    if trained and not adapter.is_dir():
        damaged = [adapter]
    if damaged:
        raise RunError(
            f"{damaged[0]} is {'damaged' if damaged[0].exists() else 'missing'}, so what the trial trained cannot be "
            f"loaded. Restore it, or remove {folder} and run the same `tuneoff compare` again to repeat the trial."
        )
