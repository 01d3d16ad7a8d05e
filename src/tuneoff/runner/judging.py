"""Ask a judge what the records of a run leave open."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tuneoff.config.judge import JudgeOptions
from tuneoff.errors import RunError
from tuneoff.evaluation.judge_questions import Question, has_texts, list_pairs
from tuneoff.evaluation.judges import open_judge
from tuneoff.records.judgement import Judgement
from tuneoff.records.record import Record
from tuneoff.runner.listener import Listener
from tuneoff.runs.judgements import append_judgements, read_judgements
from tuneoff.system.interrupts import StopRequest


def judge_records(
    options: JudgeOptions, records: Sequence[Record], run: Path, listener: Listener, stop: StopRequest
) -> None:
    """Ask every question of the confirmed records that the run has no reply to, and keep the replies in the run.

    Raises:
        JudgeError: the endpoint does not answer. The replies so far are kept.
        RunError: the run generated no text.
        Stopped: `stop` was requested. They are kept too.
    """
    if any(r.trial.stage == "confirm" and r.predictions and not has_texts(r) for r in records):
        raise RunError(
            f"The judge {options.model} has no answers to compare: {run} generated no text, because no metric of its "
            "recipe needed any. Make a new run with --run."
        )
    known = read_judgements(run)
    asked = [question for _, pairs in list_pairs(options, records) for pair in pairs for question in pair.questions]
    missing = {question.key: question for question in asked if question.key not in known}
    if not missing:
        return
    listener.on_message(f"Asking the judge {options.model} {len(missing):,} questions ({len(asked):,} in all)")

    def receive() -> Iterator[Judgement]:
        stop.raise_if_requested()
        for judgement in open_judge(options).ask(list[Question](missing.values())):
            yield judgement
            stop.raise_if_requested()

    append_judgements(run, receive())
