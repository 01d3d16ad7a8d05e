import math
from typing import Any

import pytest

from tests.report.synthetic import judge_records
from tests.report.synthetic_search import TOKENS_PER_EPOCH, make_searched_comparison
from tuneoff.analysis.comparison import Comparison, judge
from tuneoff.config.search import SearchOptions
from tuneoff.records.record import Record
from tuneoff.report.charts import draw_figures
from tuneoff.report.charts.expected_best import draw_expected_by_budget
from tuneoff.report.charts.search_scores import HEIGHT, draw_scores_by_rate
from tuneoff.report.figures import make_page_specification
from tuneoff.report.search_table import describe_effort, describe_search, list_notes, summarize_searches
from tuneoff.runs import Run


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return make_searched_comparison()


@pytest.fixture(scope="module")
def tries(comparison: Comparison) -> list[dict[str, Any]]:
    return [row for row in drawn(draw_scores_by_rate(comparison)) if "rate" in row]


@pytest.fixture(scope="module")
def ranges(comparison: Comparison) -> list[dict[str, Any]]:
    return [row for row in drawn(draw_scores_by_rate(comparison)) if "lane" in row]


def drawn(chart: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = make_page_specification(chart)["data"]["values"]
    return rows


def test_every_configuration_of_every_method_is_a_point(comparison: Comparison, tries: list[dict[str, Any]]) -> None:
    assert len(tries) == sum(len(search.tries) for search in comparison.searches.values()) == 4 * 12


def test_a_configuration_is_drawn_at_its_rate_and_at_the_score_of_its_last_rung(
    comparison: Comparison, tries: list[dict[str, Any]]
) -> None:
    expected = {
        (s.label, t.hyperparameters["learning_rate"], t.scores[-1])
        for s in comparison.searches.values()
        for t in s.tries
    }
    assert {(row["method"], row["rate"], row["value"]) for row in tries} == expected


def test_only_diverged_configurations_are_at_the_edge(tries: list[dict[str, Any]]) -> None:
    assert {row["drawn"] for row in tries if row["value"] is None} == {"at the edge"}
    assert {row["exact"] for row in tries if row["drawn"] == "at the edge"} == {"diverged"}


def test_a_score_far_beyond_the_others_does_not_stretch_the_axis(comparison: Comparison) -> None:
    worst = max(comparison.searches["full"].tries, key=lambda configuration: configuration.scores[0] or 0)
    stretched = draw_scores_by_rate(with_record(comparison, worst.records[0], scores={"validation/loss": 900.0}))
    assert [row["drawn"] for row in drawn(stretched) if row.get("value") == 900] == ["at the edge"]
    assert "900" not in str([layer["encoding"] for layer in make_page_specification(stretched)["layer"]])


def test_one_configuration_of_each_method_is_marked_as_chosen(tries: list[dict[str, Any]]) -> None:
    assert sorted(row["method"] for row in tries if row["chosen"] == "yes") == [
        "full",
        "last-layer",
        "lora",
        "soft-prompt",
    ]


def test_each_method_has_a_lane_below_the_scores_with_its_declared_range(
    comparison: Comparison, ranges: list[dict[str, Any]]
) -> None:
    declared = {row["method"]: (row["low"], row["high"]) for row in ranges if row["part"] == "declared"}
    spaces = {label: search.space["learning_rate"] for label, search in comparison.searches.items()}
    assert declared == {label: (rates.low, rates.high) for label, rates in spaces.items()}
    assert len({row["lane"] for row in ranges}) == len(declared)
    assert min(row["lane"] for row in ranges) > HEIGHT


def test_a_widened_range_continues_from_the_end_of_the_declared_one(ranges: list[dict[str, Any]]) -> None:
    assert [(r["method"], r["low"], r["high"]) for r in ranges if r["part"] == "widened"] == [
        ("soft-prompt", 0.3, 7.43)
    ]


def test_a_curve_of_the_expected_best_ends_at_the_best_of_the_first_rung(comparison: Comparison) -> None:
    last = {row["method"]: row["value"] for row in drawn(draw_expected_by_budget(comparison))}
    drawn_scores = [t.scores[0] for t in comparison.searches["lora"].tries if t.is_independent]
    assert last["lora"] == pytest.approx(min(score for score in drawn_scores if score is not None))


def test_a_budget_is_a_number_of_configurations_trained_to_the_first_rung(comparison: Comparison) -> None:
    rows = [row for row in drawn(draw_expected_by_budget(comparison)) if row["method"] == "last-layer"]
    assert [row["tokens"] for row in rows] == [
        n * TOKENS_PER_EPOCH for n in range(1, 9)
    ]  # the drawn rates of a method without other choices


def test_a_curve_leaves_out_the_defaults_and_what_scores_decided(comparison: Comparison) -> None:
    rows = [row for row in drawn(draw_expected_by_budget(comparison)) if row["method"] == "soft-prompt"]
    assert len(rows) == sum(t.is_independent for t in comparison.searches["soft-prompt"].tries) == 4


def test_a_curve_starts_where_every_draw_includes_a_score(comparison: Comparison) -> None:
    rows = [row for row in drawn(draw_expected_by_budget(comparison)) if row["method"] == "full"]
    tries = comparison.searches["full"].tries
    unscored = sum(configuration.scores[0] is None for configuration in tries if configuration.is_independent)
    assert rows[0]["tries"] == unscored + 1 > 1


def test_rouge_is_drawn_in_its_own_unit_and_the_higher_is_chosen() -> None:
    comparison = make_searched_comparison(metric="rougeL", methods={"base": {}, "lora": {}})
    rows = [row for row in drawn(draw_scores_by_rate(comparison)) if "rate" in row]
    (chosen,) = [row for row in rows if row["chosen"] == "yes"]
    assert chosen["value"] == max(row["value"] for row in rows if row["value"] is not None)
    assert chosen["value"] > 1


def test_an_adaptive_sampler_has_no_curve_and_the_page_says_why() -> None:
    comparison = make_searched_comparison(sampler="tpe", configurations=4, methods={"base": {}, "lora": {}})
    assert draw_expected_by_budget(comparison) is None
    assert "tpe learns from earlier configurations" in list_notes(comparison)["search-rates"]


def test_without_a_search_there_are_no_figures_of_one(run: Run) -> None:
    plain = judge(run)
    assert not {"search-rates", "search-budget"} & draw_figures(plain).keys()
    assert (list(summarize_searches(plain)), describe_search(plain)) == ([], "")


def test_a_line_of_the_table_shows_the_choice_and_its_cost(comparison: Comparison) -> None:
    lora = next(line for line in summarize_searches(comparison) if line.label == "lora")
    assert lora.chosen == "rate 5e-4 · rank 8 · alpha 32 · dropout 0 · modules all-linear"
    assert (lora.configurations, lora.without_score, lora.tokens) == ("12", "1 diverged or failed", "450,000")
    assert lora.rates == "2e-5 to 3e-3"


def test_a_line_says_what_a_better_rate_could_gain_rounded_up(comparison: Comparison) -> None:
    search = comparison.searches["lora"]
    line = next(line for line in summarize_searches(comparison) if line.label == "lora")
    assert search.regret is not None
    shown = float(line.regret.removeprefix("at most "))
    assert search.regret <= shown < search.regret + 0.001


def test_the_page_says_what_is_left_to_gain_and_what_is_not_known(comparison: Comparison) -> None:
    text = describe_search(comparison)
    most = max(search.regret or 0.0 for search in comparison.searches.values())
    assert f"A better learning rate could gain at most {math.ceil(1000 * most) / 1000:.3f} nats" in text
    assert "The intervals of differences by Evaluation loss contain that; those by other metrics do not." in text
    assert "not known" not in text
    diverged = {"scores": {}, "status": "diverged"}
    records = [r.model_copy(update=diverged) if is_second_seed(r) else r for r in comparison.run.records]
    unconfirmed = judge_records(comparison.run, records)
    assert "is not known: the search was made with too few scores to tell." in describe_search(unconfirmed)


@pytest.mark.parametrize(
    ("metric", "sentence"),
    [
        ("loss", "were chosen by the loss, which needs no generated text"),
        ("rougeL", "The configuration was chosen by ROUGE-L, and the epoch by the loss, which needs no generated"),
        ("rouge1", "was chosen by ROUGE-1, although the headline goes by ROUGE-L"),
    ],
)
def test_the_page_says_which_metric_chose_and_why(metric: str, sentence: str) -> None:
    assert sentence in describe_search(make_searched_comparison(metric=metric, methods={"base": {}, "lora": {}}))


def test_a_line_of_the_table_says_that_a_range_was_widened(comparison: Comparison) -> None:
    line = next(line for line in summarize_searches(comparison) if line.label == "soft-prompt")
    assert line.edge == "widened to 1e-3 to 7.43"


def test_equal_tokens_are_one_number_and_unequal_ones_a_range(comparison: Comparison) -> None:
    assert describe_effort(comparison).startswith("Every method was searched with 450,000 tokens, ")
    furthest = comparison.searches["full"].tries[0].records[-1]
    assert "used 390,000 to 450,000" in describe_effort(with_record(comparison, furthest, curve=()))


def test_an_unfinished_search_is_marked_as_unfinished(comparison: Comparison) -> None:
    begun = [r for r in comparison.run.records if r.trial.stage == "confirm" or len(r.trial.rungs) == 1]
    half = judge_records(comparison.run, begun)
    assert describe_effort(half).startswith("The search is not finished. So far it used ")
    assert {line.chosen for line in summarize_searches(half)} == {"not finished"}
    assert draw_scores_by_rate(half) is not None


def is_second_seed(record: Record) -> bool:
    return record.trial.stage == "search" and record.trial.seed == SearchOptions().second_seed


def with_record(comparison: Comparison, changed: Record, **update: Any) -> Comparison:
    """Return the comparison with some fields of one record changed."""
    records = [r.model_copy(update=update) if r is changed else r for r in comparison.run.records]
    return judge_records(comparison.run, records)
