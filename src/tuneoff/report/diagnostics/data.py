"""Diagnoses of the data: truncated texts, excluded rows and duplicates."""

from collections.abc import Iterator

from tuneoff.analysis.comparison import Comparison
from tuneoff.report.diagnostics.diagnosis import Diagnosis
from tuneoff.report.format import format_share, join_list, pluralize
from tuneoff.report.population import describe_overlap

LISTED_ROWS = 3


def diagnose_truncation(comparison: Comparison) -> Iterator[Diagnosis]:
    """Report the share of sources and targets that were truncated, by split."""
    options = comparison.setting.data
    limits = {
        "source": (options.max_tokens, "data.max_tokens", "The model sees only the beginning of these."),
        "target": (options.max_target_tokens, "data.max_target_tokens", "From these, the model learns to stop early."),
    }
    for side, (limit, key, effect) in limits.items():
        shares = {name: getattr(split, f"{side}_cut_share") for name, split in comparison.run.data.splits.items()}
        truncated = [f"{format_share(share)} of {name}" for name, share in shares.items() if share > 0]
        if truncated:
            yield Diagnosis(
                label=None,
                kind=f"{side}s truncated",
                text=f"The limit of {limit} tokens ({key}) truncates {side}s: {join_list(truncated)}. {effect} "
                f"Raise {key} if time and memory allow.",
            )


def diagnose_files(comparison: Comparison) -> Iterator[Diagnosis]:
    """Report what was assumed about the files of the data."""
    for note in comparison.run.data.notes:
        yield Diagnosis(label=None, kind="files", text=note)


def diagnose_excluded_rows(comparison: Comparison) -> Iterator[Diagnosis]:
    """Report rows that are no examples, with the first of them."""
    for name, split in comparison.run.data.splits.items():
        if split.left_out:
            listed = "; ".join(split.left_out_examples[:LISTED_ROWS])
            yield Diagnosis(
                label=None,
                kind="rows excluded",
                text=f"{_count_rows(split.left_out)} excluded from {name} because they are no usable examples."
                f"{f' First: {listed}.' if listed else ''} Fix them in the data, or check data.fields.",
            )


def diagnose_duplicates(comparison: Comparison) -> Iterator[Diagnosis]:
    """Report examples removed from train because another split has them, and duplicates between the other splits."""
    data = comparison.run.data
    removed = sum(split.duplicates_removed for split in data.splits.values())
    if removed:
        counts = {
            pair.removeprefix("train-"): n for pair, n in data.duplicates.items() if n and pair.startswith("train-")
        }
        shared = join_list([f"{n} shared with {other}" for other, n in counts.items()]) if counts else ""
        yield Diagnosis(
            label=None,
            kind="duplicates removed",
            text=f"{_count_rows(removed)} removed from train because another split contains the same text"
            f"{f' ({shared})' if shared else ''}. Only equal texts are removed; texts that differ a little remain.",
        )
    remaining = {pair: n for pair, n in data.duplicates.items() if n and not pair.startswith("train-")}
    for pair, n in remaining.items():
        yield Diagnosis(
            label=None,
            kind="duplicates remain",
            text=f"{pluralize(n, 'example')} {'is' if n == 1 else 'are'} in both {' and '.join(pair.split('-'))}. They "
            "are kept because no method trains on them, but the best epoch was chosen with them. "
            "Remove them from one of the two splits.",
        )


def diagnose_groups(comparison: Comparison) -> Iterator[Diagnosis]:
    """Report rows that were left out to keep groups together, and groups that two splits share."""
    data = comparison.run.data
    removed = {name: split.groups_removed for name, split in data.splits.items() if split.groups_removed}
    if removed:
        counts = join_list([f"{_count_rows(n)} left out of {name}" for name, n in removed.items()])
        yield Diagnosis(
            label=None,
            kind="groups kept together",
            text=f"{counts} because other rows of the same group are in another split.",
        )
    for pair, n in data.shared_groups.items():
        name, other = pair.split("-")
        yield Diagnosis(
            label=None,
            kind="groups shared",
            text=f"{pluralize(n, 'example')} of {name} {'has' if n == 1 else 'have'} a group that {other} has too. "
            "They are kept because no method trains on them, but the best epoch was chosen with them. Move each group "
            "to one of the two splits.",
        )


def diagnose_sample_overlap(comparison: Comparison) -> Iterator[Diagnosis]:
    """Report train samples of replicates that share examples."""
    samples = comparison.run.data.train_samples
    text = describe_overlap(samples) if samples and comparison.run.recipe.replicates else None
    if text:
        yield Diagnosis(label=None, kind="train samples overlap", text=text)


def _count_rows(count: int) -> str:
    return f"{pluralize(count, 'row')} {'was' if count == 1 else 'were'}"
