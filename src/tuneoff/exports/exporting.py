"""Export a finished trial: write it, read it back, compare it with what was trained, and only then keep it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from tuneoff.analysis.comparison import Comparison
from tuneoff.data.prompt import Encoder
from tuneoff.errors import RunError
from tuneoff.exports.card import write_card
from tuneoff.exports.check import ExportCheck, compare_readers, require_equal
from tuneoff.exports.exportable import Exportable, Prompt
from tuneoff.exports.format import ExportOptions, Format
from tuneoff.exports.readers import TunedReader, list_ends
from tuneoff.methods import get_method
from tuneoff.models.precision import hold_for_inference
from tuneoff.models.quantisation import list_quantised
from tuneoff.records.record import Prediction, Record
from tuneoff.runner.trained_model import load_tuned
from tuneoff.runs import RunDirectory
from tuneoff.system.atomic_write import replace_folder_atomically
from tuneoff.system.progress_bars import limit_progress_bars

CHECK_FILE, CARD_FILE = "export.json", "README.md"
PROMPTS = 5  # test examples that an export is checked with
PROMPT_TOKENS, ANSWER_TOKENS = 192, 64  # of each


def load_exportable(comparison: Comparison, directory: RunDirectory, record: Record) -> Exportable:
    """Load the trial's model in float32, with the test examples to check its exports with.

    Raises:
        RunError: there is nothing to export.
        ModelError, RunError: as for `load_tuned`.
    """
    if get_method(record.trial.method).changes_prompts:
        raise RunError(
            f"{record.trial.label} has nothing to export: it is the base model with prompts of its own. Hand over the "
            "base model, and write its prompts as the recipe says."
        )
    source, model = load_tuned(directory, record)
    quantised = None
    if list_quantised(model.network):
        quantised = hold_for_inference(model, torch.float32)
        source, model = load_tuned(directory, record, dequantised=True)
    model = model.float().eval()
    encoder = Encoder(record.trial.setting.data, model.tokenizer)
    # a chat's turn may end with another token than a text, and who takes the export must know both
    model.base.generation_config.eos_token_id = sorted({*list_ends(model), *encoder.ends})
    return Exportable(
        comparison=comparison,
        record=record,
        model=model,
        source=source,
        adapter=directory.get_adapter_folder(record.trial),
        prompts=_make_prompts(model.tokenizer, record.predictions),
        quantised=quantised,
    )


def export(exportable: Exportable, chosen: Format, folder: Path, options: ExportOptions) -> ExportCheck:
    """Write the folder. It appears only if what was written computes what the trained model computes.

    Raises:
        RunError: the folder exists, the method does not fit the format, or the export differs by more than rounding.
    """
    if folder.exists() and any(folder.iterdir()):
        raise RunError(f"{folder} exists and is not empty. Name a new folder with --to.")
    if options.precision and options.precision not in chosen.precisions:
        stored = (
            f"stores {', '.join(chosen.precisions)}" if chosen.precisions else "keeps the precision of the training"
        )
        raise RunError(f"--as {chosen.name} {stored}, not {options.precision}.")
    if exportable.quantised and chosen.base == "files":
        raise RunError(
            f"{exportable.label} was trained on a quantised base, and --as {chosen.name} would put it on the base "
            "model's own weights, which it was not trained on. Export it with --as merged, which merges it into the "
            "weights that the codes stand for, or with --as adapter."
        )
    judged = exportable.quantised if exportable.quantised and chosen.base == "same" else exportable.model
    with replace_folder_atomically(folder) as temporary, limit_progress_bars(to_terminals=True):
        chosen.write(exportable, temporary, options)
        check = compare_readers(
            TunedReader(model=judged),
            chosen.read(exportable, temporary),
            exportable.prompts,
            name=chosen.name,
            precision=chosen.choose_precision(exportable, options),
        )
        require_equal(check)
        if exportable.quantised and judged is exportable.model:
            check = check.model_copy(update={"dequantised": _compare_dequantised(exportable)})
        (temporary / CHECK_FILE).write_text(check.model_dump_json(indent=2) + "\n")
        (temporary / CARD_FILE).write_text(write_card(exportable, chosen, check, temporary, folder.name))
    return check


def _compare_dequantised(exportable: Exportable) -> ExportCheck:
    """Compare the model that is exported with the one on the quantised base, which the run judged."""
    assert exportable.quantised is not None
    readers = TunedReader(model=exportable.quantised), TunedReader(model=exportable.model)
    return compare_readers(*readers, exportable.prompts, name="dequantised", precision="float32")


def _make_prompts(tokenizer: object, predictions: Sequence[Prediction]) -> tuple[Prompt, ...]:
    """Return some test examples as tokens, evenly spaced, without the template of the run."""
    step = max(1, len(predictions) // PROMPTS)
    chosen = predictions[::step][:PROMPTS]
    return tuple(
        Prompt(
            tokens=tuple(_tokenize(tokenizer, p.source, PROMPT_TOKENS)),
            answer=tuple(_tokenize(tokenizer, p.reference, ANSWER_TOKENS, add_special_tokens=False)),
        )
        for p in chosen
        if p.source.strip() and p.reference.strip()
    )


def _tokenize(tokenizer: object, text: str, limit: int, **options: bool) -> list[int]:
    tokens: list[int] = tokenizer(text, verbose=False, **options)["input_ids"][:limit]  # type: ignore[operator]
    return tokens
