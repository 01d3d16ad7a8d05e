"""Diagnoses of the examples: what train and test have in common, what repeats, and what a limit made equal."""

from collections.abc import Iterator

from tuneoff.analysis.comparison import Comparison
from tuneoff.data.statistics import DataSummary
from tuneoff.report.diagnostics.diagnosis import Diagnosis
from tuneoff.report.format import join_list, pluralize

LISTED_LABELS = 5


def diagnose_equal_sources(comparison: Comparison) -> Iterator[Diagnosis]:
    """Report sources of one split that another one has too, with another target, and what was done about them."""
    data = comparison.run.data
    removed = {name: split.sources_removed for name, split in data.splits.items() if split.sources_removed}
    if removed:
        counts = join_list([f"{pluralize(n, 'row')} of {name}" for name, n in removed.items()])
        yield Diagnosis(
            label=None,
            kind="equal sources kept together",
            text=f"{counts} left out, because another split has the same source, or a question about the same text. "
            "Methods would otherwise be tested on what they were trained on.",
        )
    for name, sentence in list_shared_sources(data):
        yield Diagnosis(label=None, kind="sources shared", text=f"{sentence}. {_explain_kept(name)}")


def list_shared_sources(data: DataSummary) -> Iterator[tuple[str, str]]:
    """Yield the splits that have sources of another one, with another target, and a sentence about each."""
    for pair, n in data.shared_sources.items():
        name, other = pair.split("-")
        if n and not data.splits[name].sources_removed:
            has = "has" if n == 1 else "have"
            yield name, f"{pluralize(n, 'example')} of {name} {has} a source that {other} has too, with another target"


def diagnose_repeated_examples(comparison: Comparison) -> Iterator[Diagnosis]:
    """Report examples of the test split that are there several times."""
    data = comparison.run.data
    test = data.splits["test"]
    if not test.repeated:
        return
    counted = (
        "Intervals count equal sources as one group, so they are not too narrow."
        if data.groups_by_source
        else "Intervals count each as an example of its own and are too narrow, unless they are in one group."
    )
    yield Diagnosis(
        label=None,
        kind="test examples repeated",
        text=f"{pluralize(test.repeated, 'test example')} {'is' if test.repeated == 1 else 'are'} equal to an earlier "
        f"one. {counted} Remove them from the data.",
    )


def diagnose_near_duplicates(comparison: Comparison) -> Iterator[Diagnosis]:
    """Report examples of train that are nearly in validation or test, of those that were compared."""
    train = comparison.run.data.splits["train"]
    if not train.near_duplicates:
        return
    evaluated = sum(comparison.run.data.splits[name].examples for name in ("validation", "test"))
    removed = comparison.setting.data.near_duplicates == "remove"
    some = "" if removed or train.near_checked >= train.examples else f" of the first {train.near_checked:,}"
    is_complete = train.near_indexed >= evaluated
    others = "an example" if is_complete else f"one of the first {train.near_indexed:,} examples"
    cure = "They were removed." if removed else "Scores may be too high. To remove them: data.near_duplicates: remove."
    yield Diagnosis(
        label=None,
        kind="near duplicates",
        text=f"{pluralize(train.near_duplicates, 'train example')}{some} "
        f"{'has' if train.near_duplicates == 1 else 'have'} nearly the same source as {others} of test and validation "
        f"(70 % of their word sequences are equal). {cure}",
    )


def diagnose_equal_prompts(comparison: Comparison) -> Iterator[Diagnosis]:
    """Report different sources that became one prompt, because what makes them different was cut or is not used."""
    for name, split in comparison.run.data.splits.items():
        sources, prompts = split.distinct_sources, split.distinct_prompts
        if sources is not None and prompts is not None and prompts < sources:
            yield Diagnosis(
                label=None,
                kind="prompts equal",
                text=f"The {sources:,} different sources of {name} make only "
                f"{pluralize(prompts, 'different prompt')}, so no method can tell the others apart. The limit of "
                "tokens cuts what makes them different, or the prompt does not use it. Raise data.max_tokens, cut "
                "another part (data.truncate), or change the prompt.",
            )


def diagnose_untrained_labels(comparison: Comparison) -> Iterator[Diagnosis]:
    """Report labels of the test split that train does not have."""
    labels = comparison.run.data.unseen_labels
    if labels:
        listed = join_list([*map(repr, labels[:LISTED_LABELS])])
        more = f" and {len(labels) - LISTED_LABELS} more" if len(labels) > LISTED_LABELS else ""
        are, them = ("is", "it") if len(labels) == 1 else ("are", "them")
        yield Diagnosis(
            label=None,
            kind="labels not trained",
            text=f"{pluralize(len(labels), 'label')} of the test split {are} in no train "
            f"example: {listed}{more}. No method can learn {them}. Give train such "
            "examples, or raise data.sizes.train.",
        )


def _explain_kept(name: str) -> str:
    if name == "train":
        return "Methods are tested on sources that they were trained on. To leave these out: data.equal_sources: group."
    return "They are kept because no method trains on them, but the best epoch was chosen with them."
