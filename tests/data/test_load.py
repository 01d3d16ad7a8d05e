import pytest

from tuneoff.data import load_text
from tuneoff.errors import DataError


@pytest.fixture
def load(options, write_jsonl, tokenizer):
    """A function that loads rows through a JSON lines file."""

    def _load(rows, **values):
        limits = {"max_tokens": 60, "max_target_tokens": 20} | values
        return load_text(options(source="jsonl", files=write_jsonl("a.jsonl", rows), **limits), tokenizer)

    return _load


def test_every_usable_row_ends_up_in_one_split(load, rows):
    data = load(rows(0, 20))
    sources = [text for split in (data.train, data.validation, data.test) for text in split["source"]]
    assert sorted(sources) == sorted(row["source"] for row in rows(0, 20))


def test_the_summary_counts_the_examples(load, rows):
    sizes = {name: split.examples for name, split in load(rows(0, 20)).summary.splits.items()}
    assert sizes == {"train": 16, "validation": 2, "test": 2}


def test_the_summary_counts_the_tokens(load, rows):
    data = load(rows(0, 20))
    lengths = [len(tokens) for tokens in data.train["tokens"]]
    summary = data.summary.splits["train"]
    assert (summary.tokens, summary.longest_tokens) == (sum(lengths), max(lengths))
    assert summary.target_tokens == sum(lengths) - sum(data.train["prompt_tokens"])


def test_the_summary_has_the_share_of_examples_that_were_cut(load, rows):
    long = [{"source": f"{i} " + "the cat " * 50, "target": "b"} for i in range(4)]
    sizes = {"validation": 1, "test": 1}
    shares = load([*long, *rows(0, 4)], sizes=sizes, seed=1).summary.splits
    assert sum(split.source_cut_share * split.examples for split in shares.values()) == pytest.approx(4)
    assert sum(split.target_cut_share for split in shares.values()) == 0


def test_the_summary_lists_rows_left_out(load, rows):
    splits = load([*rows(0, 20), {"source": "a", "target": []}]).summary.splits
    examples = [example for split in splits.values() for example in split.left_out_examples]
    assert examples == ["row 21: target is missing: an empty list"]


def test_the_summary_counts_duplicates_across_splits(load, rows):
    twins = rows(0, 1) * 30
    summary = load([*twins, *rows(1, 31)], sizes={"test": 20, "validation": 1}, equal_sources="separate").summary
    assert summary.duplicates["train-test"] == summary.splits["train"].duplicates_removed > 0


def test_the_same_options_give_the_same_fingerprint(load, rows):
    assert load(rows(0, 20)).summary == load(rows(0, 20)).summary


@pytest.mark.parametrize("change", [{"seed": 1}, {"prompt": "{source}: "}, {"clean": {"punctuation": True}}])
def test_other_examples_have_another_fingerprint(load, rows, change):
    texts = [{"source": f"{row['source']}.", "target": row["target"]} for row in rows(0, 20)]
    assert load(texts).summary.fingerprint != load(texts, **change).summary.fingerprint


def test_the_summary_survives_being_stored(load, rows):
    summary = load(rows(0, 20)).summary
    assert type(summary).model_validate_json(summary.model_dump_json()) == summary


def test_a_column_without_text_is_refused(load):
    with pytest.raises(
        DataError, match=r"a\.jsonl has no usable row for test: 9 left out \(row \d: target is missing.*the columns are"
    ):
        load([{"source": str(i), "target": []} for i in range(9)])


def test_the_built_in_text_loads_with_any_tokenizer(options, tokenizer):
    data = load_text(options(source="aclsum", sizes={"train": 4, "validation": 2, "test": 2}), tokenizer)
    assert (len(data.train), len(data.validation), len(data.test)) == (4, 2, 2)


@pytest.mark.parametrize("prompt", ["{source} {label}", "{source} {LABEL}"])
def test_an_answer_is_shown_by_neither_of_its_names(load, rows, prompt):
    named = [{"source": row["source"], "label": row["target"]} for row in rows(0, 20)]
    with pytest.raises(DataError, match="which holds the answers"):
        load(named, fields={"target": "LABEL"}, prompt=prompt)


def test_the_usual_names_may_be_exchanged(load, rows):
    data = load(rows(0, 20), fields={"source": "target", "target": "source"})
    assert data.train["source"][0].startswith("answer")
