"""Facts about a run as the page shows them: the few numbers at its top, the setting and the environment."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.costs import COSTS
from tuneoff.budget.shrink import Fit
from tuneoff.budget.spending import Spending
from tuneoff.config.budget import BudgetOptions
from tuneoff.config.data import DataOptions
from tuneoff.config.evaluation import EvaluationOptions
from tuneoff.config.training import TrainingOptions
from tuneoff.config.verdict import VerdictOptions
from tuneoff.methods.method import ADAMW
from tuneoff.metrics import LOSS, Metric
from tuneoff.recipe.recipe import Recipe
from tuneoff.report.data_warnings import describe_rows
from tuneoff.report.format import (
    format_bytes,
    format_confidence,
    format_share,
    join_list,
    pluralize,
)
from tuneoff.report.main_metrics import list_main_metrics
from tuneoff.report.population import describe_population, describe_samples
from tuneoff.report.sentences.names import name_metric
from tuneoff.runs import Run
from tuneoff.runs.split_use import SplitUse


@dataclass(frozen=True, kw_only=True)
class Fact:
    """A title, a value and a detail."""

    title: str
    value: str
    detail: str = ""


def list_setting_facts(comparison: Comparison) -> Iterator[Fact]:
    """Yield what was equal for all methods."""
    setting, run = comparison.setting, comparison.run
    model, data = setting.model, setting.data
    revision = f"revision {model.revision}, " if model.revision else ""
    quantised = f"linear layers held in {model.quantise}, " if model.quantise else ""
    yield Fact(
        title="Base model", value=model.name, detail=f"{revision}{quantised}fingerprint {setting.model_fingerprint}"
    )
    yield Fact(title="Data", value=_format_source(data.model_dump()), detail=f"fingerprint {setting.data_fingerprint}")
    if run.data.shape:
        rows = describe_rows(run.data).removeprefix(f"{run.data.shape}, ")
        yield Fact(title="Rows", value=run.data.shape, detail=rows)
    yield from _list_text_facts(data)
    yield from _list_training_facts(setting.training, run.recipe)
    yield _build_prediction_fact(setting.evaluation, data.max_target_tokens)
    yield from _list_search_facts(run.recipe)
    yield from _list_replicate_facts(run)
    yield Fact(title="The verdict is about", value=describe_population(comparison))
    if comparison.split_use:
        yield _build_use_fact(comparison.split_use)
    if run.recipe.budget:
        yield _build_budget_fact(run.recipe.budget, comparison.spending)
    yield _build_margin_fact(comparison)
    yield Fact(title="Device", value=setting.device, detail=f"matrix multiplication in {setting.precision}")


def _list_text_facts(data: DataOptions) -> Iterator[Fact]:
    limit = f"at most {data.max_target_tokens} of them in the target"
    yield Fact(title="Maximum length", value=f"{data.max_tokens} tokens", detail=limit)
    yield Fact(title="Prompt", value=(data.chat_instruction if data.prompt == "chat" else data.prompt) or "")
    yield Fact(title="Loss on", value="target tokens" if data.loss_on == "target" else "prompt and target tokens")


def _list_training_facts(training: TrainingOptions, recipe: Recipe) -> Iterator[Fact]:
    yield Fact(
        title="Training",
        value=f"at most {pluralize(training.epochs, 'epoch')}",
        detail="no early stopping" if training.patience is None else f"patience {training.patience}",
    )
    yield Fact(
        title="Effective batch size",
        value=pluralize(training.effective_batch_size, "example"),
        detail=f"{training.batch_size} × {training.accumulation} accumulation steps",
    )
    if training.devices > 1:
        parts = " and its part of the model" if training.shard else ""
        yield Fact(
            title="Devices of a trial",
            value=f"{training.devices}, each with its share of every step{parts}",
            detail=f"times are of the clock, and each second is paid for on {training.devices} devices; memory is that "
            "of all processes together on a CPU, and else that of the GPU that needs most",
        )
    clipping = f"gradients clipped at {training.clip_norm:g}" if training.clip_norm else "no gradient clipping"
    others = [
        f"{method.optimizer} for {label}" for label, method in recipe.methods.items() if method.optimizer != ADAMW
    ]
    yield Fact(
        title="Optimizer",
        value=join_list(["AdamW", *others]),
        detail=f"{training.schedule} schedule, {100 * training.warmup:g} % warmup, {clipping}",
    )


def _list_replicate_facts(run: Run) -> Iterator[Fact]:
    recipe = run.recipe
    yield Fact(
        title="Replicates" if recipe.replicates else "Seeds",
        value=join_list([str(seed) for seed in recipe.seeds]),
        detail="none of them was used in the search" if recipe.search else "",
    )
    if recipe.replicates and run.data.train_samples:
        yield Fact(
            title="Train samples",
            value=describe_samples(run.data.train_samples),
            detail="each replicate has a seed and a sample of its own, the same for all methods"
            + ("; the search used the train split" if recipe.search else ""),
        )


def _build_margin_fact(comparison: Comparison) -> Fact:
    margins = comparison.run.recipe.verdict
    return Fact(
        title="What counts as a difference",
        value=", ".join(_format_margin(metric, margins) for metric in list_main_metrics(comparison)),
        detail=f"ranked by {name_metric(comparison.metric)}; smaller differences count as equal; confidence "
        f"{format_confidence(margins.confidence)}; "
        f"a tie goes to the method with the lower cost ({_get_cost_title(margins.cheaper_by)})",
    )


def _format_margin(metric: Metric, options: VerdictOptions) -> str:
    margin = metric.get_margin(options)
    if metric is LOSS:
        return f"{margin:g} nats"
    return f"{margin:g} in {metric.title}{f' ({metric.unit})' if metric.unit else ''}"


def _build_prediction_fact(evaluation: EvaluationOptions, max_target_tokens: int) -> Fact:
    generation, labels = evaluation.generation, evaluation.labels
    if labels and labels.predict_by == "likelihood":
        per_token = " per token" if labels.per_token else ""
        return Fact(title="Predictions", value="the most likely label", detail=f"by log-probability{per_token}")
    value = "greedy" if generation.beams == 1 else f"{generation.beams} beams"
    if generation.temperature is not None:
        limits = {"top-p": generation.top_p, "top-k": generation.top_k}
        parts = [f"sampled at temperature {generation.temperature:g}"]
        value = ", ".join(parts + [f"{name} {limit:g}" for name, limit in limits.items() if limit is not None])
    details = [f"at most {generation.max_new_tokens or max_target_tokens} new tokens"]
    if generation.constrain_to:
        details = ["constrained to the labels"]
    if generation.stop:
        details.append(f"ends before {join_list([repr(stop) for stop in generation.stop])}")
    if generation.samples > 1:
        details.append(f"{generation.samples} samples per prompt")
    return Fact(title="Generation", value=value, detail="; ".join(details))


def _list_search_facts(recipe: Recipe) -> Iterator[Fact]:
    options = recipe.search
    if options is None:
        return
    shares = [format_share(share) for share in options.shares]
    rungs = f"rungs at {join_list(shares)} of the training; the best 1 in {options.eta} continue from each"
    yield Fact(
        title="Search of each method",
        value=f"{pluralize(options.configurations, 'configuration')}, {options.sampler}",
        detail=f"{rungs if len(shares) > 1 else 'each trained in full'}; ranked by validation {options.metric}; "
        f"seed {options.seed}, the best two also {options.second_seed}; equal {options.effort}; "
        f"ranges are {'widened if their edge is best' if options.widen else 'not widened'}",
    )


def _build_budget_fact(budget: BudgetOptions, spending: Spending | None) -> Fact:
    fit = spending.fit if spending else None
    price = f" at {budget.price_per_hour:g} per hour" if budget.price_per_hour else ""
    return Fact(
        title="Budget",
        value=budget.time or (f"until {budget.until}" if budget.until else f"{budget.money:g}{price}"),
        detail=_describe_cuts(fit),
    )


def _build_use_fact(use: SplitUse) -> Fact:
    problem = f". The count may be too low: {use.problem}" if use.problem else ""
    return Fact(
        title="Test split",
        value=f"scored by {pluralize(use.trials, 'trial')} in {pluralize(use.runs, 'run')}",
        detail=f"on this machine since {use.since:%Y-%m-%d}, compared {pluralize(use.looks, 'time')}; "
        f"fingerprint {use.fingerprint}{problem}",
    )


def _describe_cuts(fit: Fit | None) -> str:
    cuts = [f"plan reduced to {join_list(fit.cuts)}"] if fit and fit.cuts else []
    dropped = [f"left out: {join_list(fit.dropped)}"] if fit and fit.dropped else []
    return "; ".join(cuts + dropped) or "plan not reduced"


def _get_cost_title(name: str) -> str:
    return COSTS[name].title.lower()


def list_environment_facts(environment: Mapping[str, Any]) -> Iterator[Fact]:  # Any: JSON
    """Yield the machine and the versions in `environment.json`."""
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


def _format_source(data: Mapping[str, Any]) -> str:
    files = data.get("files")
    parts = [data["source"], data.get("path"), data.get("config"), data.get("aspect"), files and files["train"]]
    return " · ".join(str(part) for part in parts if part)
