"""What is found in data: columns, languages, lengths, repetitions, groups, and examples with their scored part."""

import pytest

from tuneoff.data.languages import find_language, find_scripts
from tuneoff.data.overview import build_overview
from tuneoff.data.overview.columns import summarize_columns

TEXTS = {
    "English": "We propose a method for summarizing papers, and show that it is better than the others.",
    "German": "Wir schlagen ein Verfahren vor, um Texte zu kürzen, und es ist nicht schlecht für die anderen.",
    "French": "Nous proposons une méthode pour résumer les articles dans le domaine de la science, et elle est bonne.",
    "Italian": "Proponiamo un metodo per riassumere gli articoli, e non è peggio di quello che si usa con le altre.",
    "Spanish": "Proponemos un método para resumir los artículos en dos frases, que no es peor que el de los otros.",
    "Dutch": "Wij stellen een methode voor om de artikelen samen te vatten, en het is niet slechter dan de andere.",
    "Russian": "Это не то, что мы с ним из этого получили, и я как раз на это смотрел по вечерам.",
}


@pytest.fixture
def overview(options, write, tokenizer):
    """Write a file and return what is found in it."""

    def build(content, name="a.csv", with_tokens=True, **keys):
        return build_overview(
            options(source="files", files=write(name, content), **keys), tokenizer if with_tokens else None
        )

    return build


def make_csv(rows):
    return "source,target\n" + "".join(f"{source},{target}\n" for source, target in rows)


DIFFERENT = [(f"the cat number {i}", f"answer {i}") for i in range(40)]


@pytest.mark.parametrize("language", TEXTS)
def test_a_language_is_told_by_its_short_words(language):
    assert find_language([TEXTS[language]] * 3) == language


@pytest.mark.parametrize(
    "text",
    ["", "positive", "café's violin, it's old", "def f(x):\n    return [i * 2 for i in x]", "我们提出了一种新的方法"],
)
def test_a_language_that_is_not_clear_is_not_named(text):
    assert find_language([text]) is None


@pytest.mark.parametrize(
    ("text", "scripts"),
    [
        ("plain text", {"Latin": 1.0}),
        ("Привет", {"Cyrillic": 1.0}),
        ("한국어", {"Korean": 1.0}),
        ("ひらカナ", {"Japanese": 1.0}),
        ("中文ab", {"Chinese characters": 0.5, "Latin": 0.5}),
        ("123 !?", {}),
    ],
)
def test_the_scripts_of_a_text_have_shares(text, scripts):
    assert find_scripts([text]) == scripts


def test_a_column_is_summarized_by_what_it_holds():
    rows = [{"a": "x"}, {"a": 1}, {"a": None}, {"a": True}, {"a": ["y"]}, {"a": {}}, {}, {"a": " "}]
    (column,) = summarize_columns(["a"], rows)
    assert column.kinds == {"missing": 2, "text": 1, "number": 1, "boolean": 1, "list": 1, "object": 1, "empty text": 1}


def test_a_column_whose_values_repeat_may_name_groups(overview):
    content = "source,target,doc,lang,id\n" + "".join(f"s{i},t{i},d{i // 3},en,{i}\n" for i in range(60))
    assert [column.name for column in overview(content).group_candidates] == ["doc"]


def test_the_shares_that_limits_cut_are_those_of_the_tokens(overview, tokenizer):
    found = overview(make_csv([(f"{i} " + "the cat sat " * (20 if i % 2 else 60), "b") for i in range(40)])).lengths
    lengths = [len(tokenizer(f"{i} " + "the cat sat " * (20 if i % 2 else 60))["input_ids"]) for i in range(40)]
    assert found.both.longest > found.prompt.longest >= max(lengths)
    assert (found.cut_shares[64], found.cut_shares[128]) == (1.0, 0.5)


def test_the_proposed_limits_cut_next_to_nothing(overview, options, write, tokenizer):
    rows = [(f"{i} " + "the cat sat " * (i % 17 + 1), "a dog ran " * (i % 5 + 1)) for i in range(300)]
    found = overview(make_csv(rows))
    limits = {"max_tokens": found.lengths.max_tokens, "max_target_tokens": found.lengths.max_target_tokens}
    from tuneoff.data import load_text

    data = load_text(options(source="files", files=write("a.csv", make_csv(rows)), **limits), tokenizer)
    assert all(split.source_cut_share + split.target_cut_share <= 0.05 for split in data.summary.splits.values())


def test_repetitions_are_counted(overview):
    rows = [*DIFFERENT, DIFFERENT[0], DIFFERENT[0], ("the cat number 1", "another")]
    content = make_csv(rows)
    found = overview(content, sizes={"validation": 1, "test": 1}, seed=3).repetitions
    assert found.equal_examples + found.removed_from_train >= 1
    assert found.equal_sources <= 1


def test_rows_that_are_no_examples_are_listed(overview):
    split = overview(make_csv([*DIFFERENT, ("", "x")])).splits
    assert sum(of.left_out for of in split.values()) == 1
    assert ("row 41: source is empty",) in [of.left_out_examples for of in split.values()]


def test_usual_names_of_columns_are_taken_with_a_note(overview):
    found = overview("Article,Summary\n" + "".join(f"a {i},b\n" for i in range(20)))
    assert found.splits["train"].examples == 16
    assert "The rows were recognized as pairs (source: Article, target: Summary)." in found.notes


def test_columns_that_the_recipe_names_are_not_replaced(overview):
    found = overview("Article,Summary\n" + "a,b\n" * 20, fields={"source": "Title", "target": "Summary"})
    assert "no column 'Title' for the source" in found.problem


def test_rows_that_cannot_be_examples_leave_an_overview_with_a_problem(overview):
    found = overview("x,y\n1,2\n3,4\n")
    assert [column.name for column in found.columns] == ["x", "y"]
    assert "no columns that say what the model reads" in found.problem
    assert found.splits == {}


def test_without_a_tokenizer_there_are_no_lengths(overview):
    found = overview(make_csv(DIFFERENT), with_tokens=False)
    assert (found.lengths, found.rendered) == (None, ())


def test_the_scored_part_of_an_example_is_its_target(overview):
    for example in overview(make_csv(DIFFERENT)).rendered:
        prompt, answer = example.parts
        assert (prompt.is_scored, answer.is_scored) == (False, True)
        assert prompt.text.startswith("the cat number")
        assert "answer" in answer.text
        assert answer.text.endswith("<eos>")


def test_all_of_an_example_is_scored_if_the_loss_is_on_all(overview):
    (part,) = overview(make_csv(DIFFERENT), loss_on="all").rendered[0].parts
    assert part.is_scored


def test_what_the_examples_are_about_is_recognized(overview):
    rows = [(f"the cat number {i}", "good" if i % 2 else "bad") for i in range(40)]
    assert overview(make_csv(rows)).task == "labels"
    assert overview(make_csv(rows), task="answers").task == "answers"


def test_each_file_is_described(overview):
    (file,) = overview("source;target\n" + "café;b\n" * 20).files
    assert file.endswith("a.csv: separated by semicolons, utf-8, 20 rows")


def test_the_proposed_limits_fit_the_positions_of_the_model(options, write, tokenizer):
    content = make_csv([(f"{i} " + "the cat sat " * 200, "b") for i in range(40)])
    found = build_overview(options(source="files", files=write("a.csv", content)), tokenizer, positions=128).lengths
    assert found.max_tokens == 96
    assert found.proposed_cut == 1.0


def test_a_column_is_listed_once_whatever_its_case(overview):
    found = overview("Source,TARGET\n" + "".join(f"text {i},answer {i}\n" for i in range(20)))
    assert [column.name for column in found.columns] == ["Source", "TARGET"]


def test_rows_that_stay_out_for_their_source_are_counted(overview):
    found = overview(make_csv([(f"text {i // 4}", f"answer {i}") for i in range(80)]))
    assert sum(split.examples + split.removed_as_grouped for split in found.splits.values()) == 80


def test_targets_that_may_mean_a_missing_value_are_counted(overview):
    found = overview(make_csv([(f"text {i}", "NA" if i % 2 else "yes") for i in range(40)]))
    assert sum(split.na_targets for split in found.splits.values()) == 20


def test_texts_without_prompts_repeat_no_source(overview):
    found = overview("".join(f"Line number {i} of a text.\n" for i in range(40)), name="a.txt")
    assert (found.task, found.repetitions.equal_sources) == ("text", 0)


def test_a_prompt_that_fits_no_column_leaves_an_overview_with_a_problem(overview):
    found = overview(make_csv(DIFFERENT), prompt="{{ Source }}: {source}")
    assert "The prompt uses 'Source', which is no column" in found.problem
    assert (found.lacks_columns, found.splits["train"].examples) == (False, 32)
