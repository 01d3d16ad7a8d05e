"""The README of an exported folder: what it is, what it is worth, what it cost, and how to use it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from huggingface_hub import EvalResult, ModelCardData

from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.row import Row
from tuneoff.config.data import HubText
from tuneoff.exports.adapter import PEFT_CONFIG
from tuneoff.exports.check import ExportCheck, describe_check
from tuneoff.exports.exportable import Exportable
from tuneoff.exports.format import Format
from tuneoff.report.format import format_interval, format_score
from tuneoff.report.hyperparameters import format_hyperparameters
from tuneoff.report.sentences import describe_verdict
from tuneoff.report.tables import format_markdown_table


def write_card(exportable: Exportable, chosen: Format, check: ExportCheck, written: Path, folder: str) -> str:
    """Return the README as Markdown, with the metadata that the hub reads.

    Args:
        written: the folder as it was written.
        folder: its name in the commands that the card shows.
    """
    comparison, trial = exportable.comparison, exportable.record.trial
    row = _find_row(exportable)
    verdict = describe_verdict(comparison)
    sections = {
        "How to use it": chosen.usage(exportable, folder),
        "What it is": "\n".join(f"- {name}: {value}" for name, value in _list_facts(exportable)),
        "The comparison": "\n\n".join(
            [verdict.headline, "\n".join(f"- {point}" for point in verdict.points), format_markdown_table(comparison)]
        ),
        "Checked": describe_check(check),
    }
    title = f"{comparison.run.recipe.name}: {trial.label} on {exportable.model.known_as}"
    body = "\n\n".join(f"## {heading}\n\n{text}" for heading, text in sections.items())
    metadata = _make_metadata(exportable, comparison, row, written).to_yaml()
    return f"---\n{metadata}\n---\n\n# {title}\n\n{body}\n"


def _find_row(exportable: Exportable) -> Row:
    return next(row for row in exportable.comparison.rows if row.label == exportable.label)


def _make_metadata(exportable: Exportable, comparison: Comparison, row: Row, written: Path) -> ModelCardData:
    data, name = exportable.record.trial.setting.data, comparison.run.recipe.name
    return ModelCardData(
        base_model=exportable.model.known_as,
        library_name="peft" if (written / PEFT_CONFIG).is_file() else "transformers",
        pipeline_tag="text-generation",
        tags=["tuneoff", exportable.record.trial.method],
        model_name=f"{name}-{exportable.label}",
        eval_results=[
            EvalResult(
                task_type="text-generation",
                dataset_type=data.path if isinstance(data, HubText) else name,
                dataset_name=data.path if isinstance(data, HubText) else name,
                dataset_split="test",
                metric_type=metric.name,
                metric_name=f"{metric.title} ({metric.unit})",
                metric_value=round(row.scores[metric.name].mean, 4),
                metric_args={
                    "low": round(row.scores[metric.name].low, 4),
                    "high": round(row.scores[metric.name].high, 4),
                    "confidence": comparison.run.recipe.verdict.confidence,
                },
            )
            for metric in comparison.metrics
            if metric.name in row.scores
        ],
    )


def _list_facts(exportable: Exportable) -> Iterator[tuple[str, str]]:
    comparison, trial = exportable.comparison, exportable.record.trial
    data = comparison.run.data
    row = _find_row(exportable)
    quantise = trial.setting.model.quantise
    held = f", its linear layers held in {quantise}" if quantise else ""
    yield "base model", f"{exportable.model.known_as}{held}. Its license applies."
    yield "method", f"{trial.method}: {format_hyperparameters(trial.hyperparameters)}"
    yield "seed", f"{trial.seed}, one of {len(row.records)} runs of this method"
    sizes = ", ".join(f"{split.examples:,} {name}" for name, split in data.splits.items())
    yield "data", f"{sizes} examples, fingerprint {data.fingerprint}"
    for metric in comparison.metrics:
        if metric.name in row.scores:
            score = row.scores[metric.name]
            yield (
                metric.title,
                f"{format_score(metric, score.mean)} {metric.unit} {format_interval(metric, score)}, mean of its runs",
            )
    costs = exportable.record.costs
    if costs:
        yield "trained", f"{costs.trainable_parameters:,} parameters in {costs.train_seconds:,.0f} s"
        yield "takes from the context", f"{costs.context_tokens} tokens"
