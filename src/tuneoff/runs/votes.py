"""The votes of people who compared answers on the page of `tuneoff serve`: a table in an SQLite file.

Each call opens the file anew, so any thread and any process may add a vote.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from tuneoff.errors import RunError
from tuneoff.records.vote import Vote

FILE = "votes.sqlite"
SCHEMA_VERSION = 1
WAIT_SECONDS = 10.0  # for another process that writes
CREATE = """
CREATE TABLE IF NOT EXISTS votes (
    id INTEGER PRIMARY KEY, time TEXT NOT NULL, prompt TEXT NOT NULL, row INTEGER, answers TEXT NOT NULL, chosen TEXT
)
"""


def read_votes(file: Path) -> tuple[Vote, ...]:
    """Return all votes, oldest first; none if there is no file yet.

    Raises:
        RunError: the file holds something else, or is damaged.
    """
    if not file.exists():
        return ()
    with _open(file, "ro") as database:
        rows = database.execute("SELECT time, prompt, row, answers, chosen FROM votes ORDER BY id").fetchall()
        return tuple(
            Vote(time=time, prompt=prompt, row=row, answers=json.loads(answers), chosen=chosen)
            for time, prompt, row, answers, chosen in rows
        )


def add_vote(file: Path, vote: Vote) -> None:
    """Write a vote, and the file first if it is new.

    Raises:
        RunError: the file cannot be written, or holds something else.
    """
    with _open(file, "rwc") as database, database:
        if database.execute("PRAGMA user_version").fetchone()[0] == 0:
            database.execute(CREATE)
            database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        database.execute(
            "INSERT INTO votes (time, prompt, row, answers, chosen) VALUES (?, ?, ?, ?, ?)",
            (vote.time, vote.prompt, vote.row, json.dumps(dict(vote.answers)), vote.chosen),
        )


@contextlib.contextmanager
def _open(file: Path, mode: str) -> Iterator[sqlite3.Connection]:
    try:
        address = f"{file.resolve().as_uri()}?mode={mode}"
        with contextlib.closing(sqlite3.connect(address, uri=True, timeout=WAIT_SECONDS)) as database:
            version = database.execute("PRAGMA user_version").fetchone()[0]
            if version > SCHEMA_VERSION:
                raise RunError(f"{file} was written by a newer version of tuneoff. Update tuneoff to use its votes.")
            yield database
    except (sqlite3.Error, ValueError) as error:  # ValueError: content that is no vote
        raise RunError(
            f"The votes in {file} cannot be read or written: {error}. Check that it may be written and that the disk "
            "has space; if it is damaged, move it away, and votes begin anew."
        ) from error
