"""Diagnoses of the design of the comparison: seeds, methods without a trial, and learning rates."""

from collections.abc import Iterator

from tuneoff.analysis.comparison import Comparison
from tuneoff.analysis.row import Row
from tuneoff.records.record import ELSEWHERE
from tuneoff.report.diagnostics.diagnosis import Diagnosis, get_learning_rate
from tuneoff.report.format import format_rate, format_share, join_list, pluralize
from tuneoff.report.population import describe_grown_split
from tuneoff.report.search_table import is_without_score

SUGGESTED_SEEDS = 3
WARNED_CHANCE = 0.2  # that at least one run on this test split found a difference that is not there


def diagnose_single_seed(comparison: Comparison) -> Iterator[Diagnosis]:
    """Report methods that were trained once, whose variation between runs is unknown."""
    repeatable = [row for row in comparison.rows if row.finished and row.depends_on_seed]
    single = [row for row in repeatable if row.has_one_finished_run]
    if not single:
        return
    seed = single[0].finished[0].trial.seed
    if single == repeatable:
        subject = f"Each method was trained once (seed {seed})"
    else:
        subject = f"{join_list([row.label for row in single])} finished only one run (seed {seed})"
    if len(comparison.run.recipe.seeds) > 1:
        remedy = "Run the comparison again to finish the other seeds."
    else:
        remedy = f"Add seeds: seeds=[{', '.join(str(seed + i) for i in range(SUGGESTED_SEEDS))}]."
    yield Diagnosis(
        label=None,
        kind="one seed",
        text=f"{subject}. The intervals cover the choice of test examples but not the variation between runs, so a "
        f"difference between rows is a difference between these trained models, not yet between methods. {remedy}",
    )


def diagnose_missing_trials(comparison: Comparison) -> Iterator[Diagnosis]:
    """Report methods of the recipe without a test score, except those whose search chose nothing."""
    present = {row.label for row in comparison.rows}
    unchosen = {label for label, search in comparison.searches.items() if is_without_score(search)}
    missing = [label for label in comparison.run.recipe.methods if label not in present | unchosen]
    if missing:
        yield Diagnosis(
            label=None,
            kind="not run yet",
            text=f"{join_list(missing)} {'has' if len(missing) == 1 else 'have'} no test score yet. Run the same "
            "comparison again: finished trials are kept, and only the missing ones are run.",
        )


def diagnose_reused_test_split(comparison: Comparison) -> Iterator[Diagnosis]:
    """Report a test split that so many runs used that a false difference among them would be no surprise."""
    use, error = comparison.split_use, 1 - comparison.run.recipe.verdict.confidence
    if use is None or use.runs * error < WARNED_CHANCE - 1e-9:
        return
    chance = min(1.0, use.runs * error)
    yield Diagnosis(
        label=None,
        kind="test split used often",
        text=f"This test split was scored by {pluralize(use.trials, 'trial')} in {use.runs} runs on this machine since "
        f"{use.since:%Y-%m-%d}. Each run finds a difference that is not there with a chance of at most "
        f"{format_share(error)}, so at least one of {use.runs} does with a chance of up to {format_share(chance)}; and "
        "the best of many scores on the same examples is too good on average. Before you rely on a choice that was "
        "made after looking at them, confirm it on a test split that was not used yet: other rows, or another "
        "data.seed.",
    )


def diagnose_grown_test_split(comparison: Comparison) -> Iterator[Diagnosis]:
    """Report a test split that another run has used in part, or that is a part of another run's."""
    warning = describe_grown_split(comparison)
    if warning:
        yield Diagnosis(label=None, kind="test split grown", text=warning)


def diagnose_shared_rate(comparison: Comparison) -> Iterator[Diagnosis]:
    """Report different methods trained at the same learning rate. A rate that a search chose is shared by chance."""
    rows_by_rate: dict[float, list[Row]] = {}
    for row in comparison.rows:
        if row.trains and row.label not in comparison.searches:
            rows_by_rate.setdefault(get_learning_rate(row.records[0]), []).append(row)
    for rate, rows in rows_by_rate.items():
        if len({row.method for row in rows}) > 1:
            yield Diagnosis(
                label=None,
                kind="shared learning rate",
                text=f"{join_list([row.label for row in rows])} share the learning rate {format_rate(rate)}. "
                "Good learning rates differ by up to a factor of 1,000 between methods (in the T-Few experiments, 3e-4 "
                "for full tuning and 0.3 for prompt tuning), so a shared rate ranks how well it suits each method. "
                "Give each method its own with methods.LABEL.learning_rate; without that key, each uses its default.",
            )


def diagnose_beside(comparison: Comparison) -> Iterator[Diagnosis]:
    """Report records whose times were measured while other trials ran on the same machine."""
    records = [record for row in comparison.rows for record in row.records if record.costs]
    beside = [record.costs.beside for record in records if record.costs and record.costs.beside]
    if not beside:
        return
    yield Diagnosis(
        label=None,
        kind="trials beside each other",
        text=f"{len(beside)} of {pluralize(len(records), 'record')} {'was' if len(beside) == 1 else 'were'} made while "
        f"up to {pluralize(max(beside), 'other trial')} ran on the same machine. Scores do not depend on that, but "
        "times do, and not every trial had the same beside it. To compare times, run with --exclusive.",
    )


def diagnose_elsewhere(comparison: Comparison) -> Iterator[Diagnosis]:
    """Report records that were made on another machine than the others."""
    moved = [record for row in comparison.rows for record in row.records if ELSEWHERE in record.facts]
    if not moved:
        return
    labels = dict.fromkeys(f"{record.trial.label} (seed {record.trial.seed})" for record in moved)
    places = dict.fromkeys(", ".join(map(str, record.facts[ELSEWHERE].values())) for record in moved)
    yield Diagnosis(
        label=None,
        kind="made elsewhere",
        text=f"{pluralize(len(moved), 'record')} of {join_list(list(labels))} {'was' if len(moved) == 1 else 'were'} "
        f"made elsewhere ({'; '.join(places)}). There the same trial has slightly other numbers, and its times are not "
        "comparable with the others.",
    )
