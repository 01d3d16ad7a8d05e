"""Votes are kept whole, by any number of writers, and a file of something else is refused."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tuneoff.errors import RunError
from tuneoff.records.vote import Vote
from tuneoff.runs.votes import add_vote, read_votes


def make_vote(prompt: str = "a prompt", chosen: str | None = "lora") -> Vote:
    answers = {"lora": "it's; DROP TABLE votes;--", "base": "\u202e<script>"}
    return Vote(time="2026-11-27T00:00:00Z", prompt=prompt, row=3, answers=answers, chosen=chosen)


def test_without_a_file_there_are_no_votes_and_reading_makes_none(tmp_path: Path) -> None:
    assert read_votes(tmp_path / "votes.sqlite") == ()
    assert not list(tmp_path.iterdir())


def test_votes_are_read_as_they_were_given(tmp_path: Path) -> None:
    votes = (make_vote(), make_vote("? # % Ω'", None))
    for vote in votes:
        add_vote(tmp_path / "a #1?.sqlite", vote)
    assert read_votes(tmp_path / "a #1?.sqlite") == votes
    assert list(read_votes(tmp_path / "a #1?.sqlite")[0].answers) == ["lora", "base"]


def test_no_vote_of_many_writers_is_lost(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda k: add_vote(tmp_path / "votes.sqlite", make_vote(str(k))), range(40)))
    assert {vote.prompt for vote in read_votes(tmp_path / "votes.sqlite")} == set(map(str, range(40)))


@pytest.mark.parametrize("content", [b"not a database at all" * 99, b""], ids=["text", "empty"])
def test_a_file_of_something_else_is_an_error_that_names_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "votes.sqlite").write_bytes(content)
    with pytest.raises(RunError, match=r"votes\.sqlite.*move it away"):
        read_votes(tmp_path / "votes.sqlite")


def test_a_file_of_a_newer_version_is_not_written_to(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "votes.sqlite") as database:
        database.execute("PRAGMA user_version = 9")
    database.close()
    with pytest.raises(RunError, match="newer version"):
        add_vote(tmp_path / "votes.sqlite", make_vote())


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot be read or written"):
        add_vote(tmp_path / "missing" / "votes.sqlite", make_vote())
