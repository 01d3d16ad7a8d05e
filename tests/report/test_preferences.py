"""Votes on the page of a run."""

from dataclasses import replace

from tests.report.synthetic import HOSTILE
from tuneoff.analysis.comparison import judge
from tuneoff.records.vote import Vote
from tuneoff.report.page import render_page
from tuneoff.report.preferences import build_preference_table, format_preferences_csv, summarize_preferences
from tuneoff.runs import Run

VOTES = tuple(
    Vote(time="", prompt=f"{k} {HOSTILE}", answers={"base": HOSTILE, "lora": "b", "gone": "c"}, chosen=chosen)
    for k, chosen in enumerate(["lora", "lora", None, "base", "gone"])
)


def test_votes_have_a_section_with_win_rates_and_intervals(run: Run) -> None:
    comparison = judge(replace(run, votes=VOTES))
    table = build_preference_table(comparison)
    assert table is not None
    assert table.description.startswith("5 votes on 5 prompts")
    assert [(line.label, line.win_rate, line.wins, line.losses) for line in table.lines] == [
        ("lora", "62.5", "2", "1"),
        ("base", "37.5", "1", "2"),
    ]
    page = render_page(comparison, {}, {})
    assert "Human preference" in page
    assert "alert(" not in page.partition("Human preference")[2].partition("</section>")[0]


def test_a_run_without_votes_has_no_such_section(run: Run) -> None:
    comparison = judge(run)
    assert build_preference_table(comparison) is None
    assert "Human preference" not in render_page(comparison, {}, {})


def test_the_csv_has_a_line_for_each_method(run: Run) -> None:
    lines = format_preferences_csv(summarize_preferences(judge(replace(run, votes=VOTES)))).splitlines()
    assert lines[0] == "method,win_rate,low,high,wins,ties,losses,votes,prompts"
    assert lines[1].startswith("lora,62.5,")
