"""The verdict: a pure function from records to a comparison.

Nothing here trains, reads a clock or opens a file, so that a comparison can be made again from its records at any
time, also from half a run.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from tuneoff.errors import UnequalSettingsError
from tuneoff.evaluation.statistics import Estimate, ratio_of_sums
from tuneoff.runs import Run
from tuneoff.trial import Costs, Memory, Prediction, Record, Setting


@dataclass(frozen=True, kw_only=True)
class Metric:
    """What is scored on the test split, per example: a ratio of sums whose direction is known."""

    name: str
    title: str
    unit: str
    higher_is_better: bool
    numerator: Callable[[Prediction], float]
    denominator: Callable[[Prediction], float]


def _rouge(name: str, title: str) -> Metric:
    return Metric(
        name=name,
        title=title,
        unit="F1 × 100",
        higher_is_better=True,
        numerator=lambda p: 100 * p.rouge[name],
        denominator=lambda p: 1.0,
    )


METRICS = (
    _rouge("rougeL", "ROUGE-L"),
    _rouge("rouge1", "ROUGE-1"),
    _rouge("rouge2", "ROUGE-2"),
    _rouge("rougeLsum", "ROUGE-Lsum"),
    Metric(
        name="loss",
        title="Evaluation loss",
        unit="nats per target token",
        higher_is_better=False,
        numerator=lambda p: p.loss,
        denominator=lambda p: p.target_tokens,
    ),
)


@dataclass(frozen=True, kw_only=True)
class Cost:
    """A column of what a trial cost."""

    name: str
    title: str
    unit: str
    of: Callable[[Costs], float | None]
    higher_is_better: bool = False


def _peak(memory: Memory | None) -> int | None:
    return memory.peak_bytes if memory else None


COSTS = (
    Cost(name="trainable", title="Trainable parameters", unit="", of=lambda c: c.trainable_parameters),
    Cost(name="share", title="Share", unit="%", of=lambda c: 100 * c.trainable_parameters / c.total_parameters),
    Cost(name="train_seconds", title="Training", unit="s", of=lambda c: c.train_seconds),
    Cost(name="slowest_epoch", title="Slowest epoch", unit="s", of=lambda c: c.slowest_epoch_seconds),
    Cost(
        name="target_rate",
        title="Target tokens per second",
        unit="1/s",
        of=lambda c: c.target_tokens_per_second,
        higher_is_better=True,
    ),
    Cost(name="training_memory", title="Peak memory, training", unit="bytes", of=lambda c: _peak(c.training_memory)),
    Cost(
        name="evaluation_memory", title="Peak memory, evaluation", unit="bytes", of=lambda c: _peak(c.evaluation_memory)
    ),
    Cost(name="adapter_bytes", title="Size of its files", unit="bytes", of=lambda c: c.adapter_bytes),
    Cost(name="prefill_ms", title="Prefill", unit="ms", of=lambda c: c.inference.prefill_ms if c.inference else None),
    Cost(
        name="token_ms", title="Each new token", unit="ms", of=lambda c: c.inference.token_ms if c.inference else None
    ),
    Cost(
        name="prefill_ratio",
        title="Prefill, times the base's",
        unit="×",
        of=lambda c: c.inference.prefill_ms / c.inference.base_prefill_ms if c.inference else None,
    ),
    Cost(
        name="token_ratio",
        title="New token, times the base's",
        unit="×",
        of=lambda c: c.inference.token_ms / c.inference.base_token_ms if c.inference else None,
    ),
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One method of the comparison, over all its seeds. Without a finished trial, scores are empty."""

    label: str
    method: str
    records: tuple[Record, ...]
    scores: Mapping[str, Estimate]  # by metric name, on the test split
    costs: Mapping[str, float]  # by cost name, mean over seeds; a cost that does not apply is absent

    @property
    def finished(self) -> tuple[Record, ...]:
        """The trials that came to a score."""
        return tuple(r for r in self.records if r.status == "done")


@dataclass(frozen=True, kw_only=True)
class Lead:
    """How far the best row by a metric is ahead of another, paired over test examples, in the metric's unit."""

    metric: Metric
    best: Row
    other: Row
    difference: Estimate  # positive: the best is better, whatever the metric's direction

    @property
    def beyond_noise(self) -> bool:
        """Whether the interval leaves zero out. On one seed this speaks of these trainings, not of the methods."""
        return self.difference.low > 0


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The trials of one run, ranked by test ROUGE-L, best first; rows without a score come last."""

    run: Run
    setting: Setting
    rows: tuple[Row, ...]

    def ranked(self, metric: Metric) -> tuple[Row, ...]:
        """The rows with a score, best by `metric` first."""
        scored = [row for row in self.rows if metric.name in row.scores]
        return tuple(sorted(scored, key=lambda row: row.scores[metric.name].mean, reverse=metric.higher_is_better))

    def lead(self, metric: Metric, other: Row | None = None) -> Lead | None:
        """The best row's lead over `other`, or over the runner-up; None where there is nobody to lead."""
        best, *rest = self.ranked(metric) or (None,)
        other = other or (rest[0] if rest else None)
        if best is None or other is None or other is best:
            return None
        return Lead(metric=metric, best=best, other=other, difference=_difference(best, other, metric))

    @property
    def best(self) -> Row | None:
        """The best row by test ROUGE-L."""
        return next(iter(self.ranked(METRICS[0])), None)

    @property
    def base(self) -> Row | None:
        """The untouched model's row: the one that trained nothing."""
        return next((row for row in self.rows if row.costs.get("trainable") == 0), None)

    def table(self) -> str:
        """The leaderboard in Markdown."""
        from tuneoff.report.tables import markdown_table

        return markdown_table(self)

    def report(self, folder: str | Path) -> Path:
        """Write the page, the tables and the figures into `folder`; the page's path."""
        from tuneoff.report.page import write_report

        return write_report(self, Path(folder))

    def _repr_markdown_(self) -> str:
        return self.table()  # what a notebook shows


def judge(run: Run) -> Comparison:
    """Rank the methods whose trials have a record in `run`.

    Raises:
        UnequalSettingsError: two trials differ in base model, data, training, precision or device.
    """
    records = run.records
    setting = _the_setting(records)
    labels = dict.fromkeys(record.trial.label for record in records)
    rows = [_row(label, [r for r in records if r.trial.label == label]) for label in labels]
    first = METRICS[0]
    rows.sort(key=lambda row: row.scores[first.name].mean if row.scores else float("-inf"), reverse=True)
    return Comparison(run=run, setting=setting, rows=tuple(rows))


def _the_setting(records: Sequence[Record]) -> Setting:
    settings = {record.trial.setting.model_dump_json(): record.trial.setting for record in records}
    if len(settings) == 1:
        return next(iter(settings.values()))
    if not settings:
        raise UnequalSettingsError("There are no records to compare yet. Run `tuneoff compare RECIPE` first.")
    first, second, *_ = settings.values()
    differing = [name for name in Setting.model_fields if getattr(first, name) != getattr(second, name)]
    raise UnequalSettingsError(
        f"Records of unequal settings are never ranked together; these differ in {', '.join(differing)}. "
        "Keep one run directory for each setting."
    )


def _row(label: str, records: list[Record]) -> Row:
    finished = [r for r in records if r.status == "done"]
    scores = {metric.name: _estimate(finished, metric) for metric in METRICS} if finished else {}
    paid = finished or records  # a training that diverged at once would make its method look cheap
    spent = {cost.name: [v for r in paid if r.costs and (v := cost.of(r.costs)) is not None] for cost in COSTS}
    return Row(
        label=label,
        method=records[0].trial.method,
        records=tuple(records),
        scores=scores,
        costs={name: fmean(values) for name, values in spent.items() if values},
    )


def _estimate(records: Sequence[Record], metric: Metric) -> Estimate:
    numerators, denominators = _sums(records, metric)
    return ratio_of_sums(numerators, denominators)


def _difference(best: Row, other: Row, metric: Metric) -> Estimate:
    ours, counts = _sums(best.finished, metric)
    theirs, _ = _sums(other.finished, metric)
    sign = 1 if metric.higher_is_better else -1
    return ratio_of_sums(
        [sign * (a - b) for a, b in zip(ours, theirs, strict=True)],
        counts,
    )


def _sums(records: Sequence[Record], metric: Metric) -> tuple[list[float], list[float]]:
    """Each test example's numerator and denominator, the mean over seeds, in the order of the test split."""
    by_example = zip(*(sorted(r.predictions, key=lambda p: p.row) for r in records), strict=True)
    examples = list(by_example)
    return (
        [fmean(metric.numerator(p) for p in example) for example in examples],
        [fmean(metric.denominator(p) for p in example) for example in examples],
    )
