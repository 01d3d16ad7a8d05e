"""The metrics of a comparison: from what a recipe says to a table of metrics, and from a task to its metrics."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Literal

from tuneoff.config.data import Task
from tuneoff.config.metrics import MetricOptions, Tokenizer
from tuneoff.errors import RecipeError, suggest
from tuneoff.metrics.code import EDIT, PARSES, parses
from tuneoff.metrics.contains import CONTAINS
from tuneoff.metrics.exact_match import EXACT, EXACT_STRICT
from tuneoff.metrics.json_fields import FIELD_F1, VALID_JSON
from tuneoff.metrics.judge import WIN_RATE
from tuneoff.metrics.labels import ACCURACY, MACRO_F1
from tuneoff.metrics.loss import LOSS
from tuneoff.metrics.metric import Metric
from tuneoff.metrics.numbers import MATH, NUMBER_MATCH
from tuneoff.metrics.own import hash_function, make_own_metric
from tuneoff.metrics.pass_at_k import make_pass_at_k
from tuneoff.metrics.rouge import ROUGE_1, ROUGE_2, ROUGE_L, ROUGE_LSUM, TYPES, make_rouge
from tuneoff.metrics.scripts import choose_tokenizer
from tuneoff.metrics.similarity import NAME as SIMILARITY
from tuneoff.metrics.similarity import find_fingerprint, make_similarity
from tuneoff.metrics.token_f1 import F1
from tuneoff.metrics.translation import BLEU, CHRF, make_bleu

Written = Literal["auto"] | Mapping[str, MetricOptions]  # the recipe's key `metrics`

METRICS: dict[str, Metric] = {  # the shipped ones, in the order of the leaderboard's columns
    metric.name: metric
    for metric in (
        *(ACCURACY, MACRO_F1, EXACT, EXACT_STRICT, F1, CONTAINS, NUMBER_MATCH, MATH),
        *(FIELD_F1, VALID_JSON, EDIT, PARSES, CHRF, BLEU),
        *(ROUGE_L, ROUGE_1, ROUGE_2, ROUGE_LSUM),
        LOSS,
    )
}
ROUGE = ("rougeL", "rouge1", "rouge2", "rougeLsum")
BY_TASK: dict[Task, tuple[str, ...]] = {  # the primary one first; the loss is always there
    "prose": ROUGE,
    "chat": ROUGE,
    "labels": ("accuracy", "macro_f1"),
    "answers": ("exact", "f1", "contains"),
    "translation": ("chrf", "bleu"),
    "code": ("edit", "exact"),
    "numbers": ("number", "exact"),
    "json": ("field_f1", "valid_json", "exact"),
    "text": (),
}
TOKENIZED = {**dict.fromkeys(TYPES, make_rouge), "bleu": make_bleu}  # makers of metrics that take a tokenizer
OWN_OPTIONS = {"title", "unit", "direction", "decimals", "margin", "sha256"}


def build_table(written: Written, named: Iterable[str] = ()) -> dict[str, Metric]:
    """Return the metrics of a recipe by name, those shipped first.

    Args:
        written: `auto` is that of a recipe whose task is not known, such as one of a version that had only ROUGE.
        named: further metrics that the recipe uses; one's own must be in `written`.

    Raises:
        RecipeError: a metric is unknown, or an option has no effect.
    """
    options = {} if written == "auto" else {name: of_metric for name, of_metric in written.items() if name != "auto"}
    if written == "auto" or "auto" in written:
        options = dict.fromkeys(ROUGE, MetricOptions()) | options
    options |= {name: MetricOptions() for name in (*named, LOSS.name) if name not in options}
    metrics = {name: build_metric(name, of_metric) for name, of_metric in options.items()}
    shipped = [name for name in METRICS if name in metrics]
    return {name: metrics[name] for name in (*shipped, *(name for name in metrics if name not in METRICS))}


def build_metric(name: str, options: MetricOptions) -> Metric:
    """Return a shipped metric with its options, or one of the user's own.

    Raises:
        RecipeError: it is unknown, or an option has no effect.
    """
    if name != SIMILARITY and options.model:
        raise RecipeError(f"metrics.{name}.model has no effect. Only {SIMILARITY} has an embedding model.")
    set_options = {key for key, value in options.model_dump().items() if value is not None}
    if options.function:
        if name in METRICS or name in {"auto", WIN_RATE.name, SIMILARITY}:
            raise RecipeError(f"metrics.{name} is the name of a shipped metric. Choose another one for your function.")
        if not name.isidentifier():
            raise RecipeError(f"metrics.{name}: name your own metric with letters, digits and underscores only.")
        if options.tokenizer:
            raise RecipeError(f"metrics.{name}.tokenizer has no effect on your own function. Remove it.")
        return make_own_metric(name, options)
    if name == SIMILARITY:
        if without_effect := sorted(set_options - {"model", "sha256"}):
            raise RecipeError(f"metrics.{name}.{without_effect[0]} has no effect on {name}. Remove it.")
        return make_similarity(options)
    shipped, at, k = name.partition("@")
    if at and shipped in METRICS and k.isdecimal() and METRICS[shipped].bounds[1] < math.inf:
        return _make_pass_at_k(shipped, int(k), options)
    if name not in METRICS:
        by_title = {_join_words(metric.title): metric.name for metric in METRICS.values()}
        meant = by_title.get(_join_words(name), name)
        raise RecipeError(
            f"{name!r} is not a metric.{suggest(meant, [*METRICS, SIMILARITY])} With several samples also exact@5 and "
            "the like; a judge has the key `judge`. For one of your own, write "
            f"`metrics: {{{name}: file.py:function}}`."
        )
    if unused := set_options & OWN_OPTIONS:
        raise RecipeError(
            f"metrics.{name}.{sorted(unused)[0]} is for metrics of your own. For the margin of a shipped one, write "
            f"`verdict.margins: {{{name}: 1.0}}`."
        )
    if options.tokenizer is None:
        return METRICS[name]
    if name not in TOKENIZED:
        raise RecipeError(f"metrics.{name}.tokenizer has no effect. Only ROUGE and BLEU have a tokenizer.")
    return _make_tokenized(name, options.tokenizer)


def _join_words(name: str) -> str:
    return "".join(filter(str.isalnum, name.casefold()))


def _make_pass_at_k(name: str, k: int, options: MetricOptions) -> Metric:
    if k < 1:
        raise RecipeError(f"metrics: {name}@{k} needs at least one sample. Write {name}@1 or more.")
    return _cache_pass_at_k(build_metric(name, options), k)


@cache  # the same metric is the same object
def _cache_pass_at_k(metric: Metric, k: int) -> Metric:
    return make_pass_at_k(metric, k)


@cache
def _make_tokenized(name: str, tokenizer: Tokenizer) -> Metric:
    return METRICS[name] if tokenizer == "english" else TOKENIZED[name](name, tokenizer)


def choose_metrics(
    written: Written, named: Iterable[str], task: Task, references: Sequence[str]
) -> dict[str, MetricOptions]:
    """Return the metrics of a recipe completely: those of its task, their tokenizers, and checksums of functions.

    Args:
        written: as the recipe has them.
        named: the metrics that the recipe names elsewhere.
        references: of the examples that are scored.

    Raises:
        MetricError: a function of the user's own cannot be loaded.
        ModelError: there is no such embedding model.
    """
    wants_auto = written == "auto" or "auto" in written
    options: dict[str, MetricOptions] = {}
    if wants_auto:
        options |= dict.fromkeys(list_task_metrics(task, references), MetricOptions())
    if written != "auto":
        options |= {name: of_metric for name, of_metric in written.items() if name != "auto"}
    options |= {name: MetricOptions() for name in (*named, LOSS.name) if name not in options}
    return {name: _complete(name, of_metric, references) for name, of_metric in options.items()}


def find_changed_metrics(old: Written, new: Written) -> frozenset[str]:
    """Return the metrics of both that give other scores now, because their function, model or tokenizer has changed."""
    before, after = (_list_scorers(written) for written in (old, new))
    return frozenset(name for name in before if name in after and before[name] != after[name])


def _list_scorers(written: Written) -> dict[str, tuple[str | None, ...]]:
    options = dict.fromkeys(ROUGE, MetricOptions()) if written == "auto" else written
    return {
        name: (of_metric.function or of_metric.model, of_metric.sha256, of_metric.tokenizer or "english")
        for name, of_metric in options.items()
    }


def choose_primary(metrics: Iterable[str]) -> str:
    """Return the first metric that is not the loss, or the loss if there is no other."""
    return next((name for name in metrics if name != LOSS.name), LOSS.name)


def list_task_metrics(task: Task, references: Sequence[str]) -> tuple[str, ...]:
    """Return the metrics of a task, the primary one first, without the loss. Code that is Python is also parsed."""
    is_python = task == "code" and 2 * sum(map(parses, references)) > len(references)
    return (*BY_TASK[task], *(["parses"] if is_python else []))


def _complete(name: str, options: MetricOptions, references: Sequence[str]) -> MetricOptions:
    if options.function:
        return options.model_copy(update={"sha256": hash_function(options.function)})
    if options.model:
        return options.model_copy(update={"sha256": find_fingerprint(options.model)})
    if name in TOKENIZED and options.tokenizer is None:
        return options.model_copy(update={"tokenizer": choose_tokenizer(references)})
    return options
