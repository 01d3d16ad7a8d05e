"""The benchmark of the verdict prints its tables."""

import pytest

from benchmarks.verdict.shares import format_share
from benchmarks.verdict_calibration import TABLES, main


@pytest.mark.parametrize("table", ["families", "power", "means"])
def test_a_table_can_be_made_alone_and_again(table: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--only", table, "--families", "3"])
    first = capsys.readouterr().out
    assert "\n| --- | " in first or "\n| ---: | " in first
    main(["--only", table, "--families", "3"])
    assert capsys.readouterr().out == first


def test_every_table_is_described_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    out = capsys.readouterr().out
    assert all(f"- {table}: " in out for table in TABLES)


def test_a_share_that_was_never_seen_still_has_an_error() -> None:
    assert format_share(0.05, 1000) == "5.0 ± 0.7 %"
    assert format_share(0.0, 100) == "0.0 ± 1.0 %"
