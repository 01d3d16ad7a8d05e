"""What serving the models costs, as sentences: from the measurements in the run directory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tuneoff.analysis.comparison import Comparison
from tuneoff.records.measured import Measured, ServedTimes, Spread
from tuneoff.report.escape import escape_control
from tuneoff.report.format import join_list, pluralize


def find_measured(comparison: Comparison) -> Measured | None:
    """Return the measurements, without those of models that the run has no longer; None if there are none."""
    measured = comparison.run.measured
    if measured is None:
        return None
    trials = {record.trial.id for record in comparison.run.records}
    known = {label for label, id in measured.trials.items() if id in trials}
    times = tuple(row for row in measured.times if row.label in known)
    return measured.model_copy(update={"times": times}) if times else None


def describe_measured(measured: Measured) -> list[str]:
    """Return what the measurements say: the time per token, the memory, the swaps and the soft prompt."""
    batch = min(row.batch for row in measured.times)
    rows = [row for row in measured.times if row.batch == batch]
    by_part = (_describe_memory, _describe_mixed, _describe_swaps, _describe_prompts)
    return [*_describe_times(rows, batch), *(sentence for describe in by_part for sentence in describe(measured))]


def _describe_times(rows: Sequence[ServedTimes], batch: int) -> Iterator[str]:
    by_form = {form: [row for row in rows if row.form == form] for form in ("merged", "adapter")}
    where = f"with {pluralize(batch, 'row')} at a time"
    if merged := by_form["merged"]:
        ratios = [row.token_ratio.median for row in merged]
        yield (
            f"In the base model's weights, {_name(merged)} take {_format_range(ratios)} times the base model's time "
            f"for each token, {where}."
        )
    if by_form["adapter"]:
        parts = [f"{escape_control(row.label)} {_format_spread(row.token_ratio)}" for row in by_form["adapter"]]
        yield f"Beside the weights, a token takes this many times the base model's time, {where}: {', '.join(parts)}."


def _name(rows: Sequence[ServedTimes]) -> str:
    return join_list([escape_control(row.label) for row in rows])


def _format_range(values: Sequence[float]) -> str:
    low, high = f"{min(values):.2f}", f"{max(values):.2f}"
    return low if low == high else f"{low} to {high}"


def _format_spread(spread: Spread) -> str:
    return f"{spread.median:.2f} ({spread.low:.2f} to {spread.high:.2f})"


def _describe_memory(measured: Measured) -> Iterator[str]:
    own = [measured.own_bytes[label] for label in dict.fromkeys(row.label for row in measured.times)]
    shared = (measured.base_bytes + sum(own)) / measured.base_bytes
    count = pluralize(len(own), "trained model")
    yield (
        f"The weights of {count} beside those of one base model are {shared:.2f} times the base model's, and as merged "
        f"copies {len(own)} times."
    )


def _describe_mixed(measured: Measured) -> Iterator[str]:
    if mixed := measured.mixed:
        yield (
            f"One request to each of {join_list([escape_control(label) for label in mixed.labels])} in one batch takes "
            f"{mixed.mixed_ms.median:,.0f} ms, one after another {mixed.in_turn_ms.median:,.0f} ms, and as many "
            f"requests to the base model in one batch {mixed.base_ms.median:,.0f} ms."
        )


def _describe_swaps(measured: Measured) -> Iterator[str]:
    if swap := measured.swap:
        yield (
            f"Going from {escape_control(swap.labels[0])} to {escape_control(swap.labels[1])} in the same weights "
            f"takes {swap.in_place_ms.median:,.0f} ms by subtracting one and adding the other, "
            f"{swap.restored_ms.median:,.0f} ms with the original weights kept, and {swap.reload_ms.median:,.0f} ms by "
            f"loading the model again. After {swap.swaps} swaps a weight has drifted by up to {swap.drift:.1e} "
            f"standard deviations, with the original kept by {swap.restored_drift:.1g}."
        )


def _describe_prompts(measured: Measured) -> Iterator[str]:
    if measured.prompts:
        longest = measured.prompts[-1]
        yield (
            f"A soft prompt of {longest.tokens} tokens takes {100 * longest.context_share:.1f} % of the context and "
            f"{_format_spread(longest.prefill_ratio)} times the base model's time to the first token, with prompts of "
            f"{measured.prompt_tokens} tokens."
        )
