import csv
import io
import json
from collections.abc import Callable

import pytest

from tests.report.outcomes import add_loss, lose_runs, make_open, make_single_runs, make_tie, make_winner
from tests.report.synthetic import (
    OUTCOMES,
    judge_records,
    judge_with_changes,
    make_synthetic_comparison,
    make_synthetic_run,
)
from tests.report.synthetic_search import make_searched_comparison
from tuneoff.analysis.comparison import Comparison
from tuneoff.metrics import METRICS, Metric
from tuneoff.metrics.choice import ROUGE
from tuneoff.report.format import format_bytes, format_count, format_score, format_seconds
from tuneoff.report.leaderboard import Cell, build_leaderboard
from tuneoff.report.methods_csv import format_methods_csv
from tuneoff.report.tables import (
    format_csv,
    format_latex_table,
    format_markdown_table,
    format_results_csv,
    make_terminal_rows,
)
from tuneoff.runs import Run

STORED = [METRICS[name] for name in (*ROUGE, "loss")]  # what the synthetic records have


def lines_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def cells_of(comparison: Comparison, column: str) -> dict[str, Cell]:
    board = build_leaderboard(comparison)
    return dict(zip(board.labels, board.select([column])[0].cells, strict=True))


def relabel(run: Run, label: str) -> Comparison:
    trial = next(r.trial for r in run.records if r.trial.label == "lora")
    return judge_with_changes(run, "lora", trial=trial.model_copy(update={"label": label}))


@pytest.mark.parametrize("metric", STORED, ids=lambda metric: metric.name)
def test_every_score_on_the_leaderboard_is_that_of_the_record(comparison: Comparison, metric: Metric) -> None:
    factor = 100 if metric.name.startswith("rouge") else 1
    cells = cells_of(comparison, metric.name)
    for record in comparison.run.records:
        if record.status == "done":
            score = factor * record.scores[f"test/{metric.name}"]
            assert cells[record.trial.label].text == format_score(metric, score)


def test_every_cost_on_the_leaderboard_is_that_of_the_record(comparison: Comparison) -> None:
    trainable, seconds = cells_of(comparison, "trainable"), cells_of(comparison, "train_seconds")
    memory, files = cells_of(comparison, "training_memory"), cells_of(comparison, "adapter_bytes")
    for label, (_, _, parameters, seconds_spent, peak_bytes, file_bytes) in OUTCOMES.items():
        assert trainable[label].text == format_count(parameters)
        assert seconds[label].text == (format_seconds(seconds_spent) if seconds_spent else "–")
        assert memory[label].text == (format_bytes(peak_bytes) if peak_bytes else "–")
        assert files[label].text == (format_bytes(file_bytes) if file_bytes else "–")


def test_the_best_of_a_column_is_one_of_those_that_finished(comparison: Comparison) -> None:
    best = [label for label, cell in cells_of(comparison, "trainable").items() if cell.best]
    assert best == ["soft-prompt"]


def test_a_score_that_is_not_shown_to_be_worse_is_tied() -> None:
    cells = cells_of(make_open(), "rougeL")
    assert [label for label, cell in cells.items() if cell.best] == ["lora"]
    assert [label for label, cell in cells.items() if cell.tied] == ["full"]


@pytest.mark.parametrize("metric", STORED, ids=lambda metric: metric.name)
def test_no_score_of_a_single_run_is_the_best_or_tied(metric: Metric) -> None:
    cells = cells_of(make_single_runs(), metric.name).values()
    assert not any(cell.best or cell.tied for cell in cells)


def test_tables_of_single_runs_say_so() -> None:
    single = make_single_runs()
    note = "Each method has one finished run, and how far another run would move is not known."
    assert note in format_markdown_table(single)
    assert note in format_latex_table(single)
    assert note not in format_markdown_table(make_winner())


def test_a_method_with_one_finished_run_among_others_is_named() -> None:
    lost = lose_runs(make_winner(), "full", 2)
    assert "full has one finished run, and how far another run would move is not known." in format_latex_table(lost)


def test_beside_a_mean_stands_the_score_with_lost_runs_counted_as_the_base_models() -> None:
    """Two of five runs at the base model's 13 and three at 24 have a mean of 19.6."""
    lost = lose_runs(make_winner(5), "lora", 2)
    assert {label: cell.with_lost for label, cell in cells_of(lost, "rougeL").items() if cell.with_lost} == {
        "lora": "19.6"
    }
    for table in (format_markdown_table(lost), format_latex_table(lost)):
        assert " / 19.6" in table
        assert "lora (2 of 5 lost)" in table
        assert "After a slash stands the score with lost runs counted as the base model's." in table
        assert "A lost run diverged, failed, or ended with a validation loss above the base model's." in table
    header, first, *_ = make_terminal_rows(lost)
    assert dict(zip(header, first, strict=True))["All runs"] == "19.6"


def test_without_lost_runs_there_is_no_column_for_them() -> None:
    assert "All runs" not in make_terminal_rows(make_winner())[0]
    assert " / " not in format_markdown_table(make_winner())


@pytest.mark.parametrize("name", [*ROUGE, "loss"])
def test_the_primary_metric_comes_first_in_every_table_and_ranks_the_rows(name: str) -> None:
    comparison = add_loss(make_winner(metric=name), "lora", 0.5)
    best = "full" if name == "loss" else "lora"
    assert comparison.best is comparison.rows[0]
    assert comparison.best.label == best
    header, first, *_ = make_terminal_rows(comparison)
    assert header[1] == ("Loss" if name == "loss" else METRICS[name].title)
    assert first[0] == best
    assert format_markdown_table(comparison).startswith(f"| Method | {METRICS[name].title}")
    assert build_leaderboard(comparison).columns[0].name == name


def test_each_method_is_a_line_of_csv_with_its_lost_runs_and_chances() -> None:
    lines = {line["label"]: line for line in lines_of(format_methods_csv(lose_runs(make_winner(5), "lora", 2)))}
    assert list(lines) == ["lora", "full", "soft-prompt", "base"]
    lora, full = lines["lora"], lines["full"]
    assert (lora["runs"], lora["lost_runs"], full["lost_runs"]) == ("5", "2", "0")
    assert (round(float(lora["lost_low"]), 2), round(float(lora["lost_high"]), 2)) == (0.05, 0.85)
    assert float(lora["test_rougeL_x100_with_lost_runs"]) == pytest.approx(0.6 * 24 + 0.4 * 13, abs=0.1)
    assert full["test_rougeL_x100_with_lost_runs"] == full["test_rougeL_x100"]
    assert (lora["best_is"], full["best_is"], full["primary_metric"]) == ("", "matters", "rougeL")
    assert float(lora["chance_best"]) > 0.99
    assert float(full["expected_regret"]) == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize(
    ("make", "word"),
    [(make_winner, "matters"), (make_tie, "equal"), (make_open, "open"), (make_single_runs, "one run")],
)
def test_csv_has_the_word_for_the_lead_of_the_best(make: Callable[[], Comparison], word: str) -> None:
    assert {line["label"]: line["best_is"] for line in lines_of(format_methods_csv(make()))}["full"] == word


def test_the_terminal_has_a_row_for_every_method(comparison: Comparison) -> None:
    header, *rows = make_terminal_rows(comparison)
    assert [row[0].split()[0] for row in rows] == [row.label for row in comparison.rows]
    assert {len(row) for row in rows} == {len(header)}


def test_a_row_without_a_score_says_why_in_markdown(comparison: Comparison) -> None:
    table = format_markdown_table(comparison)
    assert "| lora-hot (diverged) | – |" in table
    assert "lora-hot: diverged: the train loss is not finite in step 31" in table


def test_markdown_makes_the_best_bold() -> None:
    assert "| **24.0 " in format_markdown_table(make_winner())


def test_a_label_cannot_inject_markdown(run: Run) -> None:
    assert r"| a\|b \<b\> \[c\](d)" in format_markdown_table(relabel(run, "a|b <b> [c](d)"))


def test_a_label_cannot_inject_latex(run: Run) -> None:
    assert r"50\% \& \textbackslash{}input\{x\}\_\$" in format_latex_table(relabel(run, "50% & \\input{x}_$"))


def test_latex_uses_booktabs_and_a_column_for_each_cell(comparison: Comparison) -> None:
    table = format_latex_table(comparison)
    rows = [line for line in table.splitlines() if line.endswith(r"\\")]
    assert all(rule in table for rule in (r"\toprule", r"\midrule", r"\bottomrule", "{lrrrrrrrr}"))
    assert {row.replace(r"\&", "").count("&") for row in rows} == {8}


def test_csv_has_a_line_for_every_trial(comparison: Comparison) -> None:
    assert [line["trial"] for line in lines_of(format_results_csv(comparison))] == [
        r.trial.id for r in comparison.run.records
    ]


def test_csv_is_in_full_precision(comparison: Comparison) -> None:
    for line, record in zip(lines_of(format_results_csv(comparison)), comparison.run.records, strict=True):
        if record.status == "done" and record.costs:
            assert float(line["test_loss_nats_per_target_token"]) == pytest.approx(
                record.scores["test/loss"], rel=1e-12
            )
            assert float(line["train_seconds"]) == record.costs.train_seconds
            assert int(line["trainable_parameters"]) == record.costs.trainable_parameters


def test_csv_intervals_are_those_of_the_leaderboard(comparison: Comparison) -> None:
    (line,) = [line for line in lines_of(format_results_csv(comparison)) if line["label"] == "lora"]
    (row,) = [row for row in comparison.rows if row.label == "lora"]
    assert float(line["test_rougeL_x100_low"]) == row.scores["rougeL"].low
    assert float(line["test_rougeL_x100_high"]) == row.scores["rougeL"].high


def test_a_trial_of_a_search_is_a_line_with_its_stage_and_validation_and_without_a_test_score() -> None:
    searched = make_searched_comparison(methods={"base": {}, "lora": {}}, configurations=4)
    lines = {line["trial"]: line for line in lines_of(format_results_csv(searched))}
    of_search = [record for record in searched.run.records if record.trial.stage == "search"]
    assert len(lines) == len(searched.run.records) > len(of_search) > 0
    for record in of_search:
        line = lines[record.trial.id]
        assert (line["stage"], float(line["share_of_training"])) == ("search", record.trial.rungs[-1])
        assert line["validation_loss_nats_per_target_token"] == str(record.scores.get("validation/loss", ""))
        assert {value for name, value in line.items() if name.startswith(("test_", "interval_"))} == {""}


def test_a_confirmed_trial_of_a_search_has_its_test_score() -> None:
    searched = make_searched_comparison(methods={"base": {}, "lora": {}}, configurations=4)
    confirmed = [line for line in lines_of(format_results_csv(searched)) if line["stage"] == "confirm"]
    assert [line["label"] for line in confirmed] == ["base", "lora", "lora", "lora"]
    assert all(float(line["test_rougeL_x100"]) > 0 for line in confirmed)


def test_intervals_have_the_confidence_of_the_recipe_and_say_so() -> None:
    at_90, at_95 = (
        make_synthetic_comparison(methods=["base", "lora"], verdict={"confidence": confidence})
        for confidence in (0.9, 0.95)
    )
    assert make_terminal_rows(at_90)[0][2] == "90 %"
    assert (
        "Scores on 40 test examples, with 90 % confidence intervals over examples; ROUGE is F1"
        in format_markdown_table(at_90)
    )
    assert r"with 90 \% confidence intervals over examples" in format_latex_table(at_90)
    narrow, wide = (lines_of(format_results_csv(comparison))[0] for comparison in (at_90, at_95))
    assert (narrow["interval_confidence"], wide["interval_confidence"]) == ("0.9", "0.95")
    assert float(narrow["test_rougeL_x100_low"]) > float(wide["test_rougeL_x100_low"])


def test_a_caption_says_that_intervals_are_over_seeds_too() -> None:
    assert "95 % confidence intervals over examples and seeds;" in format_markdown_table(
        make_synthetic_comparison(seeds=[0, 1], methods=["base", "lora"])
    )


def test_csv_holds_the_hyperparameters(comparison: Comparison) -> None:
    (line,) = [line for line in lines_of(format_results_csv(comparison)) if line["label"] == "lora"]
    assert json.loads(line["hyperparameters"])["rank"] == 8


@pytest.mark.parametrize("text", ["=HYPERLINK(1)", "+1", "-1", "@SUM(A1)", "\t=1", "  =1"])
def test_csv_text_is_never_a_formula(text: str) -> None:
    (line,) = lines_of(format_csv([{"text": text}]))
    assert line["text"].startswith("'")


def test_a_negative_number_stays_a_number_in_csv() -> None:
    assert lines_of(format_csv([{"difference": -1.5}]))[0]["difference"] == "-1.5"


def test_tables_can_be_written_without_a_finished_trial(run: Run) -> None:
    broken = judge_records(run, [r for r in run.records if r.status != "done"])
    assert "lora-r256 (failed)" in format_markdown_table(broken)
    assert "lora-r256 (failed)" in format_latex_table(broken)
    assert len(lines_of(format_results_csv(broken))) == 2


# Costs


def best_of(comparison: Comparison, column: str) -> set[str]:
    return {label for label, cell in cells_of(comparison, column).items() if cell.best}


def with_costs(labels: dict[str, dict[str, float]], seeds: int = 1) -> Comparison:
    """Methods with these costs; seeds after the first one cost 4 % more each."""
    run = make_synthetic_run(methods=list(labels), seeds=list(range(seeds)))
    records = []
    for record in run.records:
        assert record.costs is not None
        changes = {name: value * 1.04**record.trial.seed for name, value in labels[record.trial.label].items()}
        records.append(record.model_copy(update={"costs": record.costs.model_copy(update=changes)}))
    return judge_records(run, records)


def test_every_row_that_costs_the_same_as_the_lowest_is_marked() -> None:
    seconds = {"lora": 100.0, "full": 105.0, "soft-prompt": 150.0}
    comparison = with_costs({label: {"train_seconds": value} for label, value in seconds.items()})
    assert best_of(comparison, "train_seconds") == {"lora", "full"}


def test_no_row_is_marked_if_all_cost_the_same() -> None:
    comparison = with_costs({label: {"train_seconds": value} for label, value in (("lora", 100.0), ("full", 105.0))})
    assert best_of(comparison, "train_seconds") == set()


def test_of_counted_costs_the_lowest_alone_is_marked() -> None:
    comparison = with_costs({"lora": {"trainable_parameters": 100}, "full": {"trainable_parameters": 101}})
    assert best_of(comparison, "trainable") == {"lora"}


def test_a_measured_cost_has_an_interval_over_seeds_and_a_counted_one_has_none() -> None:
    comparison = with_costs({"lora": {"train_seconds": 100.0}, "full": {"train_seconds": 300.0}}, seeds=3)
    assert cells_of(comparison, "train_seconds")["lora"].interval == "1 min 34 s to 1 min 55 s"
    assert cells_of(comparison, "trainable")["lora"].interval == ""


def test_with_one_seed_a_cost_has_no_interval(comparison: Comparison) -> None:
    assert {cell.interval for cell in cells_of(comparison, "train_seconds").values()} == {""}


def test_forgetting_and_overfitting_have_intervals_over_seeds() -> None:
    run = make_synthetic_run(methods=["base", "lora"], seeds=[0, 1, 2])
    added = {"base": (3.0, 3.0), "lora": (3.1, 2.0)}
    records = [
        r.model_copy(
            update={
                "scores": {
                    **r.scores,
                    "unrelated/loss": added[r.trial.label][0] + 0.01 * r.trial.seed,
                    "train/loss": added[r.trial.label][1] + 0.1 * r.trial.seed,
                    "validation/loss": 2.7,
                }
            }
        )
        for r in run.records
    ]
    comparison = judge_records(run, records)
    forgetting, overfitting = cells_of(comparison, "forgetting"), cells_of(comparison, "overfitting")
    assert (forgetting["lora"].text, forgetting["lora"].interval) == ("+0.110", "+0.085 to +0.135")
    assert (overfitting["lora"].text, overfitting["lora"].interval) == ("−0.600", "−0.848 to −0.352")
    assert forgetting["base"].interval == ""
