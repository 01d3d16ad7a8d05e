"""What a comparison can show, in one or two sentences, and where the noise that decides it is known from."""

from collections.abc import Iterator

from tuneoff.analysis.needed import MOST_EXAMPLES, POWER
from tuneoff.analysis.sensitivity import SEED_COUNTS, Sensitivity, Wanted
from tuneoff.config.verdict import VerdictOptions
from tuneoff.metrics import Metric
from tuneoff.report.format import format_confidence, format_seconds, join_list, pluralize

POINTS = "F1 × 100"  # the unit of which one is called a point
ONE_SEED = (
    "With one seed, no difference between methods can be shown: how far another run would move is not known. Write "
    "seeds: [1, 2, 3]."
)


def describe_sensitivity(sensitivity: Sensitivity, options: VerdictOptions) -> Iterator[str]:
    """Yield what the comparison can show, what the wanted differences need, and the source of the noise."""
    margin = sensitivity.metric.get_margin(options)
    yield f"{_describe_visible(sensitivity)} {_describe_wanted(sensitivity, margin)}".strip()
    yield _describe_source(sensitivity)


def describe_unknown_noise(metric: Metric, seeds: int) -> str:
    """Say that nothing is known about what a comparison can show, and how to know it."""
    if seeds < 2:
        return ONE_SEED
    return (
        f"Which differences in {metric.title} can be shown is not known: no stored run tells how it varies. Give "
        "--like RUN with a run of two or more seeds on such data, or state verdict.prior.seed_sd and "
        "verdict.prior.example_sd."
    )


def _describe_visible(sensitivity: Sensitivity) -> str:
    design, metric = sensitivity.design, sensitivity.metric
    if design.seeds < 2:
        return ONE_SEED
    if sensitivity.difference is None:
        return (
            f"With {design.examples} {_name_units(sensitivity)}, no difference can be shown: so few may all improve by "
            "chance. Raise data.sizes.test."
        )
    size = _format_difference(sensitivity, sensitivity.difference)
    return f"By {metric.title}, {format_confidence(POWER)} chance to see a difference of {size} between two methods."


def _describe_wanted(sensitivity: Sensitivity, margin: float) -> str:
    """Return what each wanted difference that the comparison does not show needs."""
    visible = sensitivity.difference
    hidden = [wanted for wanted in sensitivity.wanted if visible is None or wanted.difference < visible]
    return " ".join(_describe_need(sensitivity, wanted, margin) for wanted in hidden)


def _describe_need(sensitivity: Sensitivity, wanted: Wanted, margin: float) -> str:
    size = _format_difference(sensitivity, wanted.difference)
    size = f"{size} (the smallest that matters)" if wanted.difference == margin else size
    if wanted.seeds is None or wanted.examples is None:
        return f"{size}: not even with {SEED_COUNTS[-1]} seeds × {MOST_EXAMPLES:,} {_name_units(sensitivity)}."
    time = f", about {format_seconds(wanted.seconds)} in all" if wanted.seconds is not None else ""
    return f"{size}: {wanted.seeds} seeds × {wanted.examples:,} {_name_units(sensitivity)}{time}."


def _describe_source(sensitivity: Sensitivity) -> str:
    """Return where the variation between runs and that over examples are known from."""
    noise = sensitivity.noise
    measured, assumed = [], []
    if noise.runs.seeds:
        measured.append(f"the variation between runs ({pluralize(noise.runs.seeds, 'seed')} of each method)")
    else:
        assumed.append(f"a seed moves a score by {_format_deviation(sensitivity, noise.runs.variance)}")
    if noise.examples.measured:
        measured.append(f"that over {_name_units(sensitivity)} ({noise.examples.measured})")
    else:
        deviation = _format_deviation(sensitivity, noise.examples.variance)
        unit = "a group" if sensitivity.design.has_groups else "a test example"
        assumed.append(f"{unit} moves a difference by {deviation}")
    lines = []
    if measured:
        lines.append(f"Measured in {noise.measured_in}: {join_list(measured)}.")
    if assumed:
        cure = "Better: --like RUN with a run of two or more seeds, or state verdict.prior."
        lines.append(f"Assumed: {join_list(assumed)} (standard deviations). {cure}")
    return " ".join(lines)


def _name_units(sensitivity: Sensitivity) -> str:
    return "groups of test examples" if sensitivity.design.has_groups else "test examples"


def _format_deviation(sensitivity: Sensitivity, variance: float) -> str:
    return _format_difference(sensitivity, variance**0.5)


def _format_difference(sensitivity: Sensitivity, difference: float) -> str:
    unit = sensitivity.metric.unit
    number = f"{difference:.2g}" if difference < 100 else f"{difference:.0f}"
    if unit == POINTS:
        return f"{number} point{'' if number == '1' else 's'}"
    return f"{number} {unit}"
