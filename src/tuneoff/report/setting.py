"""Titled facts about a run, in the words of the page: the few numbers at its top, the setting, the environment."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.costs import COSTS
from tuneoff.budget.spending import Spending
from tuneoff.config.budget import BudgetOptions
from tuneoff.recipe.recipe import Recipe
from tuneoff.records.metrics import ROUGE_L
from tuneoff.report.format import (
    format_bytes,
    format_confidence,
    format_interval,
    format_score,
    format_seconds,
    format_share,
    join_list,
    pluralize,
)


@dataclass(frozen=True, kw_only=True)
class Fact:
    """A title, a value and what goes with it."""

    title: str
    value: str
    detail: str = ""


def list_headline_facts(comparison: Comparison) -> Iterator[Fact]:
    """What the best method reached and what it took; nothing before there is a best."""
    best = comparison.best
    if best is None:
        return
    estimate = best.scores[ROUGE_L.name]
    yield Fact(
        title="Best ROUGE-L",
        value=format_score(ROUGE_L, estimate.mean),
        detail=f"{best.label}, {format_interval(ROUGE_L, estimate)}",
    )
    base = comparison.base
    lead = comparison.find_pair(ROUGE_L, best, base) if base and base.scores and base is not best else None
    if lead is not None:
        yield Fact(
            title="Above the untouched model",
            value=f"+{format_score(ROUGE_L, lead.difference.mean)}",
            detail=f"{format_interval(ROUGE_L, lead.difference)}, paired",
        )
    if best.is_base:
        return
    if "train_seconds" in best.costs:
        yield Fact(
            title="Its training", value=format_seconds(best.costs["train_seconds"]), detail=_cheapest(comparison)
        )
    if "adapter_bytes" in best.costs:
        memory = best.costs.get("training_memory")
        yield Fact(
            title="Its files",
            value=format_bytes(best.costs["adapter_bytes"]),
            detail=f"trained within {format_bytes(memory)}" if memory else "",
        )


def list_setting_facts(comparison: Comparison) -> Iterator[Fact]:
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
        value=f"at most {pluralize(training.epochs, 'epoch')}",
        detail="no early stopping" if training.patience is None else f"patience {training.patience}",
    )
    yield Fact(
        title="Effective batch size",
        value=pluralize(training.effective_batch_size, "example"),
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
    yield from _search_facts(run.recipe)
    yield Fact(
        title="Seeds",
        value=join_list([str(seed) for seed in run.recipe.seeds]),
        detail="fresh: none of them took part in the search" if run.recipe.search else "",
    )
    if run.recipe.budget:
        yield _budget_fact(run.recipe.budget, comparison.spending)
    margins = run.recipe.verdict
    yield Fact(
        title="What counts as a difference",
        value=f"{margins.margin_rouge:g} of ROUGE-L × 100, {margins.margin_loss:g} nats",
        detail=f"smaller ones are called equal; intervals of {format_confidence(margins.confidence)}; "
        f"among equals the cheaper by {_cost_title(margins.cheaper_by)} is preferred",
    )
    yield Fact(title="Device", value=setting.device, detail=f"matrix products in {setting.precision}")


def _search_facts(recipe: Recipe) -> Iterator[Fact]:
    options = recipe.search
    if options is None:
        return
    shares = [format_share(share) for share in options.shares]
    rungs = f"rungs at {join_list(shares)} of a training; at each the best 1 in {options.eta} go on"
    yield Fact(
        title="Search of each method",
        value=f"{pluralize(options.configurations, 'configuration')}, {options.sampler}",
        detail=f"{rungs if len(shares) > 1 else 'each trained in full'}; compared by validation {options.metric}, "
        f"seed {options.seed}; {'a range whose edge is best is widened' if options.widen else 'no range is widened'}",
    )


def _budget_fact(budget: BudgetOptions, spending: Spending | None) -> Fact:
    fit = spending.fit if spending else None
    price = f" at {budget.price_per_hour:g} an hour" if budget.price_per_hour else ""
    return Fact(
        title="Budget",
        value=budget.time or (f"until {budget.until}" if budget.until else f"{budget.money:g}{price}"),
        detail=f"cut to {join_list(fit.cuts)}" if fit and fit.cuts else "nothing was cut for it",
    )


def _cost_title(name: str) -> str:
    return COSTS[name].title.lower()


def list_environment_facts(environment: Mapping[str, Any]) -> Iterator[Fact]:  # Any: whatever was written down
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
                yield Fact(title=title, value=format_bytes(value))
            case _:
                yield Fact(title=title, value=str(value))


def _cheapest(comparison: Comparison) -> str:
    spent = {
        row.label: row.costs["train_seconds"]
        for row in comparison.rows
        if row.finished and not row.is_base and "train_seconds" in row.costs
    }
    fastest = min(spent, key=lambda label: spent[label])
    return f"fastest: {fastest}, {format_seconds(spent[fastest])}" if len(spent) > 1 else ""


def _source(data: Mapping[str, Any]) -> str:
    files = data.get("files")
    parts = [data["source"], data.get("path"), data.get("config"), data.get("aspect"), files and files["train"]]
    return " · ".join(str(part) for part in parts if part)
