"""Hand over what a run trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tuneoff.api.comparisons import load_comparison
from tuneoff.api.loading import choose_record
from tuneoff.errors import RunError, suggest
from tuneoff.runs import RunDirectory

if TYPE_CHECKING:
    from tuneoff.exports.check import ExportCheck
    from tuneoff.exports.format import Precision


def export(
    run: str | Path,
    *,
    to: str | Path,
    format: str = "adapter",
    label: str | None = None,
    seed: int | None = None,
    precision: str | None = None,
    converter: str | Path | None = None,
) -> ExportCheck:
    """Write a trained model in the form that another tool takes, and check what was written.

    Args:
        run: the run directory.
        to: a new folder.
        format: a name in `tuneoff.exports.FORMATS`.
        label: the method, as the recipe labels it; by default the best one by the primary metric.
        seed: of the trial; by default the lowest one that finished.
        precision: how numbers are stored; by default as in the base model's files.
        converter: a llama.cpp checkout, or its convert_hf_to_gguf.py, for GGUF.

    Returns:
        How much the export differs from the trained model on test examples. It is in the folder too, as export.json.

    Raises:
        RunError: there is no such format or trial, the method does not fit the format, or the export differs from the
            trained model by more than rounding.
        ModelError: the base model cannot be loaded.
    """
    from tuneoff.exports import FORMATS, ExportOptions
    from tuneoff.exports.exporting import export as export_trial
    from tuneoff.exports.exporting import load_exportable

    if format not in FORMATS:
        raise RunError(f"There is no format {format!r}.{suggest(format, FORMATS)} Formats: {', '.join(FORMATS)}.")
    comparison = load_comparison(run)
    exportable = load_exportable(comparison, RunDirectory(Path(run)), choose_record(comparison, label, seed))
    options = ExportOptions(precision=_read_precision(precision), converter=Path(converter) if converter else None)
    return export_trial(exportable, FORMATS[format], Path(to), options)


def _read_precision(name: str | None) -> Precision | None:
    from tuneoff.exports.format import PRECISIONS

    for known in (None, *PRECISIONS):
        if known == name:
            return known
    raise RunError(f"There is no precision {name!r}. Precisions: {', '.join(PRECISIONS)}.")


def push(folder: str | Path, repository: str, *, public: bool = False) -> str:
    """Upload an exported folder to a repository of the Hugging Face hub, which is created if it does not exist.

    The token comes from the environment variable `HF_TOKEN` alone, and is stored nowhere.

    Args:
        repository: `owner/name`.
        public: create a public repository. An existing public one is refused without it.

    Returns:
        The address of the commit.

    Raises:
        RunError: there is no token, the folder is no export, or the hub refuses.
    """
    from tuneoff.exports.hub import upload

    return upload(Path(folder), repository, public=public)
