"""Titled facts about a run, in the words of the page: the few numbers at its top, the setting, the environment."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tuneoff.comparison import Comparison
from tuneoff.report.words import (
    ROUGE_L,
    bytes_in_words,
    counted,
    interval_in_words,
    listed,
    score_in_words,
    seconds_in_words,
)


@dataclass(frozen=True, kw_only=True)
class Fact:
    """A title, a value and what goes with it."""

    title: str
    value: str
    detail: str = ""


def headline_facts(comparison: Comparison) -> Iterator[Fact]:
    """What the best method reached and what it took; nothing before there is a best."""
    best = comparison.best
    if best is None:
        return
    estimate = best.scores[ROUGE_L.name]
    yield Fact(
        title="Best ROUGE-L",
        value=score_in_words(ROUGE_L, estimate.mean),
        detail=f"{best.label}, {interval_in_words(ROUGE_L, estimate)}",
    )
    lead = comparison.lead(ROUGE_L, comparison.base) if comparison.base else None
    if lead is not None:
        yield Fact(
            title="Above the untouched model",
            value=f"+{score_in_words(ROUGE_L, lead.difference.mean)}",
            detail=f"{interval_in_words(ROUGE_L, lead.difference)}, paired",
        )
    if best is comparison.base:
        return
    if "train_seconds" in best.costs:
        yield Fact(
            title="Its training", value=seconds_in_words(best.costs["train_seconds"]), detail=_cheapest(comparison)
        )
    if "adapter_bytes" in best.costs:
        memory = best.costs.get("training_memory")
        yield Fact(
            title="Its files",
            value=bytes_in_words(best.costs["adapter_bytes"]),
            detail=f"trained within {bytes_in_words(memory)}" if memory else "",
        )


def setting_facts(comparison: Comparison) -> Iterator[Fact]:
    """What was equal for all methods."""
    setting, run = comparison.setting, comparison.run
    model, data, training = setting.model, setting.data, setting.training
    generation = setting.evaluation.generation
    revision = f"revision {model.revision}, " if model.revision else ""
    yield Fact(title="Base model", value=model.name, detail=f"{revision}fingerprint {setting.model_fingerprint}")
    yield Fact(title="Data", value=_source(data.model_dump()), detail=f"fingerprint {setting.data_fingerprint}")
    yield Fact(
        title="Lengths",
        value=f"{data.max_tokens} tokens in all",
        detail=f"of these at most {data.max_target_tokens} of target",
    )
    yield Fact(title="Prompt", value=data.chat_instruction if data.prompt == "chat" else data.prompt)
    yield Fact(title="Loss on", value="target tokens" if data.loss_on == "target" else "prompt and target tokens")
    yield Fact(
        title="Training",
        value=f"at most {counted(training.epochs, 'epoch')}",
        detail="no early stopping" if training.patience is None else f"patience {training.patience}",
    )
    yield Fact(
        title="Effective batch size",
        value=counted(training.effective_batch_size, "example"),
        detail=f"{training.batch_size} × {training.accumulation}",
    )
    yield Fact(
        title="Optimizer",
        value="AdamW",
        detail=f"{training.schedule} schedule, {100 * training.warmup:g} % warm-up, "
        + (f"gradients clipped at {training.clip_norm:g}" if training.clip_norm else "no clipping"),
    )
    yield Fact(
        title="Generation",
        value="greedy" if generation.beams == 1 else f"{generation.beams} beams",
        detail=f"at most {generation.max_new_tokens or data.max_target_tokens} new tokens",
    )
    yield Fact(title="Seeds", value=listed([str(seed) for seed in run.recipe.seeds]))
    yield Fact(title="Device", value=setting.device, detail=f"matrix products in {setting.precision}")


def environment_facts(environment: Mapping[str, Any]) -> Iterator[Fact]:  # Any: whatever was written down
    """The machine and the versions, as `environment.json` has them."""
    for key, value in environment.items():
        title = key.removesuffix("_bytes").replace("_", " ").capitalize()
        match value:
            case Mapping():
                detail = " · ".join(f"{name} {version}" for name, version in value.items() if version)
                yield Fact(title=title, value="", detail=detail)
            case list():
                yield Fact(title=title, value=", ".join(map(str, value)) or "none")
            case int() | float() if key.endswith("_bytes"):
                yield Fact(title=title, value=bytes_in_words(value))
            case _:
                yield Fact(title=title, value=str(value))


def _cheapest(comparison: Comparison) -> str:
    spent = {
        row.label: row.costs["train_seconds"]
        for row in comparison.rows
        if row.finished and row is not comparison.base and "train_seconds" in row.costs
    }
    fastest = min(spent, key=lambda label: spent[label])
    return f"fastest: {fastest}, {seconds_in_words(spent[fastest])}" if len(spent) > 1 else ""


def _source(data: Mapping[str, Any]) -> str:
    files = data.get("files")
    parts = [data["source"], data.get("path"), data.get("config"), data.get("aspect"), files and files["train"]]
    return " · ".join(str(part) for part in parts if part)
