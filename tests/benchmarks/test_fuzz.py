"""A short run of `python -m benchmarks.fuzz`: invalid input ends in success or in one of our errors."""

from pathlib import Path

import pytest

from benchmarks.fuzz import INPUTS, fuzz
from tuneoff.errors import RecipeError
from tuneoff.recipe.loading import load_recipe


@pytest.mark.parametrize("kind", INPUTS)
def test_mutated_input_ends_in_success_or_in_one_of_our_errors(kind: str) -> None:
    tally = fuzz(kind, cases=max(3, 40 // INPUTS[kind].cost), seed=1)
    assert not tally.failures
    assert tally.cases > 0


BOMB = "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 20_000, "nested more than 100 deep"),
        ('name: "\\ud800"', "cannot be read as YAML"),
        ("name: &a [*a]", "cannot be read as YAML"),
        ("name: 2020-13-01", "cannot be read as YAML"),
        ("name: " + "9" * 5000, "cannot be read as YAML"),
        ("- " * 5000, "nested more than 100 deep"),
        ("? " * 5000, "nested more than 100 deep"),
        ("".join(" " * level + "a:\n" for level in range(300)), "nested more than 100 deep"),
        ("a: &a [x, x, x, x, x, x, x, x]\n" + BOMB, "expanded it has more than 100,000 values"),
        ("seeds: [" + "x" * 100_000 + "]", "seeds.0"),
        ("name: ..", "name: "),
        ("name: .hidden", "name: "),
        (f"name: {'a' * 101}", "name: "),
    ],
    ids=[
        "brackets",
        "half a character",
        "a circle",
        "a thirteenth month",
        "digits",
        "dashes",
        "question marks",
        "levels",
        "a bomb of aliases",
        "a long text",
        "the folder above",
        "hidden",
        "long",
    ],
)
def test_recipes_that_fuzzing_found_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(RecipeError, match=message) as raised:
        load_recipe(tmp_path / "mine.yaml")
    assert len(str(raised.value)) < 2000
