"""The table of where the seconds of a run went."""

import pytest

from tuneoff.budget.spending import Spent
from tuneoff.report.phases import NOT_COUNTED, TITLES, build_phase_table


def test_the_lines_come_in_the_order_of_a_run_and_add_up_to_all_of_it_but_the_page() -> None:
    phases = {"training": 60.0, "starting": 3.0, "later": 7.0, "saving": 0, "report": 20.0}
    lines = build_phase_table(Spent(seconds=120, phases=phases))
    assert [line.title for line in lines] == [TITLES["starting"], TITLES["training"], "later", NOT_COUNTED]
    assert [line.seconds for line in lines] == ["3.0 s", "1 min 0 s", "7.0 s", "30 s"]
    assert sum(line.share for line in lines) == pytest.approx(1)


def test_a_run_of_an_older_version_has_no_table() -> None:
    assert build_phase_table(Spent(seconds=100)) == ()
