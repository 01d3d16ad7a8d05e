"""A comparison with a judge: what it is asked, what is kept, and that a run without it loses nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import tuneoff
from tests.judge_server import JudgeServer, read_answers, serve_judge
from tuneoff.analysis.judged import summarize_judgements
from tuneoff.cli import main
from tuneoff.errors import JudgeError, RecipeError, RunError
from tuneoff.recipe.recipe import Recipe
from tuneoff.report.judged import describe_win_rates, format_judge_csv
from tuneoff.report.page import render_page

pytest.importorskip("openai")
pytestmark = pytest.mark.usefixtures("quick_comparisons")


def prefer_longer(prompt: str) -> str:
    first, second = read_answers(prompt)
    return "tie" if len(first) == len(second) else "A" if len(first) > len(second) else "B"


@pytest.fixture
def server() -> Iterator[JudgeServer]:
    with serve_judge(prefer_longer) as server:
        yield server


@pytest.fixture
def judged_recipe(recipe: dict[str, Any], server: JudgeServer) -> dict[str, Any]:
    recipe["data"]["sizes"] = {"validation": 2, "test": 4}
    recipe["methods"] = {"base": {}, "soft-prompt": {"learning_rate": 0.3}}
    recipe["evaluation"]["generation"] = {"temperature": 1.5, "max_new_tokens": 8}
    recipe["judge"] = {"model": "m", "endpoint": server.url, "retries": 0}
    return recipe


def test_the_answers_are_judged_in_both_orders_and_never_twice(
    judged_recipe: dict[str, Any], server: JudgeServer, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    comparison = tuneoff.compare(judged_recipe, run=run)
    judged = summarize_judgements(comparison)
    assert judged is not None
    (base,), (tuned,) = (row.finished for row in sorted(comparison.rows, key=lambda row: not row.is_base))
    lengths = [(len(t.prediction), len(b.prediction)) for t, b in zip(tuned.predictions, base.predictions, strict=True)]
    expected = sum(1.0 if ours > theirs else 0.5 if ours == theirs else 0.0 for ours, theirs in lengths) / 4
    assert judged.methods["soft-prompt"].win_rate.mean == pytest.approx(100 * expected)
    assert (judged.examples, judged.missing, judged.disagreement, judged.unreadable) == (4, 0, 0.0, 0)
    assert "base" not in judged.methods, "it is compared with itself"
    asked = len(server.requests)
    assert asked == len(set(server.prompts)) > 0
    page = render_page(comparison, {}, {})
    assert "<h2>Judge</h2>" in page
    (line,) = describe_win_rates(comparison)
    assert line.startswith("The judge m prefers to the base model: soft-prompt ")
    assert format_judge_csv(judged).startswith("method,examples,win_rate,")
    assert "m compared each method&#39;s answer with the base model&#39;s on 4 test examples, in both orders." in page
    tuneoff.compare(judged_recipe, "methods.lora={}", run=run)
    assert not set(server.prompts[:asked]) & set(server.prompts[asked:]), "only the new method is judged"


def test_a_judge_that_prefers_a_position_is_shown_to_contradict_itself(
    judged_recipe: dict[str, Any], server: JudgeServer, tmp_path: Path
) -> None:
    server.reply = lambda _: "A"
    judged = summarize_judgements(tuneoff.compare(judged_recipe, "judge.against=reference", run=tmp_path / "run"))
    assert judged is not None
    assert judged.methods["soft-prompt"].win_rate.mean == pytest.approx(50)
    assert judged.disagreement == judged.first_share == 1.0


def test_if_the_endpoint_is_away_nothing_is_lost_and_the_same_call_goes_on(
    judged_recipe: dict[str, Any], server: JudgeServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    answers = iter(["A", "A", "A"])
    server.reply = lambda _: next(answers, 503)
    with pytest.raises(JudgeError, match="Everything so far is saved"):
        tuneoff.compare(judged_recipe, "judge.parallel=1", "judge.against=reference", run=run)
    assert main(["show", str(run)]) == 0
    assert len((run / "judgements.jsonl").read_text().splitlines()) == 3
    with (run / "judgements.jsonl").open("a") as lines:
        lines.write('{"key": "half a line')
    asked, server.reply = set(server.prompts[:3]), prefer_longer
    before = len(server.requests)
    judged = summarize_judgements(tuneoff.compare(judged_recipe, "judge.against=reference", run=run))
    assert judged is not None
    assert judged.missing == 0
    assert not asked & set(server.prompts[before:])


def test_a_judge_is_added_to_a_finished_run_and_compares_with_references(
    judged_recipe: dict[str, Any], server: JudgeServer, tmp_path: Path
) -> None:
    judge = judged_recipe.pop("judge")
    tuneoff.compare(judged_recipe, run=tmp_path / "run")
    recipe = {**judged_recipe, "judge": {**judge, "against": "reference", "examples": 2}}
    judged = summarize_judgements(tuneoff.compare(recipe, run=tmp_path / "run"))
    assert judged is not None
    assert judged.examples == 2
    assert set(judged.methods) == {"base", "soft-prompt"}


def test_a_run_without_texts_cannot_be_judged(judged_recipe: dict[str, Any], tmp_path: Path) -> None:
    judge = judged_recipe.pop("judge")
    judged_recipe["metrics"] = ["loss"]
    tuneoff.compare(judged_recipe, "methods=[base, lora]", run=tmp_path / "run")
    with pytest.raises(RunError, match="generated no text, because no metric of its recipe needed any"):
        tuneoff.compare({**judged_recipe, "judge": judge}, "methods=[base, lora]", run=tmp_path / "run")


def test_no_file_of_a_run_has_the_key(
    judged_recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret-key")
    tuneoff.compare(judged_recipe, "methods=[base]", "judge.against=reference", run=tmp_path / "run")
    files = [file for file in (tmp_path / "run").rglob("*") if file.is_file()]
    assert not [file for file in files if b"sk-very-secret-key" in file.read_bytes()]


def test_a_judge_of_base_answers_needs_the_base_model(judged_recipe: dict[str, Any]) -> None:
    del judged_recipe["methods"]["base"]
    with pytest.raises(RecipeError, match="add base to methods"):
        tuneoff.compare(judged_recipe)


def test_a_plan_says_how_many_questions_a_judge_is_asked(
    judged_recipe: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump({**judged_recipe, "seeds": [1, 2, 3]}))
    assert main(["plan", str(file)]) == 0
    assert "The judge m is then asked up to 24 questions." in capsys.readouterr().out


def test_a_judge_can_rank_with_intervals_pairs_and_a_verdict(
    judged_recipe: dict[str, Any], server: JudgeServer, tmp_path: Path
) -> None:
    judged_recipe |= {"verdict": {"metric": "judge"}, "seeds": [1, 2]}
    comparison = tuneoff.compare(judged_recipe, run=tmp_path / "run")
    judged = summarize_judgements(comparison)
    assert judged is not None
    rows = {row.label: row for row in comparison.rows}
    assert comparison.metric.name == "judge"
    assert rows["soft-prompt"].scores["judge"] == judged.methods["soft-prompt"].win_rate
    assert (rows["base"].scores["judge"].mean, rows["base"].scores["judge"].low) == (50, 50)
    (pair,) = comparison.get_pairs(comparison.metric)
    rates = [row.scores["judge"].mean for row in comparison.rows]
    assert rates == sorted(rates, reverse=True)
    assert pair.difference.mean == pytest.approx(rates[0] - rates[1])
    page = render_page(comparison, {}, {})
    assert "Win rate" in page
    shown = tuneoff.load_comparison(tmp_path / "run")
    assert [row.scores["judge"] for row in shown.rows] == [row.scores["judge"] for row in comparison.rows]


def test_without_replies_there_is_no_verdict_by_the_judge_and_every_other_score_is_shown(
    judged_recipe: dict[str, Any], server: JudgeServer, tmp_path: Path
) -> None:
    judged_recipe["verdict"] = {"metric": "judge"}
    server.reply = lambda _: 500
    with pytest.raises(JudgeError):
        tuneoff.compare(judged_recipe, run=tmp_path / "run")
    comparison = tuneoff.load_comparison(tmp_path / "run")
    assert comparison.best is None
    assert all("loss" in row.scores and "judge" not in row.scores for row in comparison.rows)
    assert "no reply yet" in render_page(comparison, {}, {})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"judge": None, "verdict": {"metric": "judge"}}, "verdict.metric is judge, and the recipe has none"),
        ({"search": {"metric": "judge"}}, "about which no judge is asked"),
        ({"verdict": {"metric": "judge"}, "until_decided": 3, "seeds": [1, 2, 3]}, "a judge is asked after the last"),
        ({"metrics": {"judge": "mine.py:score"}}, "metrics.judge is the name of a shipped metric"),
    ],
)
def test_what_a_judge_cannot_decide_is_refused_with_the_reason(
    judged_recipe: dict[str, Any], changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(RecipeError, match=reason):
        Recipe.read({**judged_recipe, **changes})
