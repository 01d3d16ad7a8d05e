"""The test examples of a run, each with that from which the run makes its prompt."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from tuneoff.config.data import CHAT, DataOptions
from tuneoff.config.template import read_template
from tuneoff.data.reading import read_rows
from tuneoff.data.splits import draw_splits
from tuneoff.data.unanswered import has_chats
from tuneoff.errors import DataError
from tuneoff.records.record import Record
from tuneoff.serving.http.page.content import TestExample

log = logging.getLogger(__name__)


def list_examples(record: Record) -> list[TestExample]:
    """Return the test examples of a trial's run.

    The record has the source of each. Where the prompt needs more, other columns or the messages of a chat, the data is
    read again; if it is gone or has changed, there are no examples, and the log says so.
    """
    predictions = sorted(record.predictions, key=lambda prediction: prediction.row)
    data = record.trial.setting.data
    asked: Sequence[object] = [prediction.source for prediction in predictions]
    if _needs_rows(data):
        try:
            examples = draw_splits(read_rows(data), data).by_name["test"].examples
            if [examples[p.row].source for p in predictions] != asked:
                raise DataError("its test split is not the one of the run")
        except (DataError, OSError, IndexError) as error:
            log.warning("The page has no test examples, because their rows cannot be read again: %s", error)
            return []
        found = [examples[p.row] for p in predictions]
        asked = [list(one.messages[:-1]) if one.messages else one.columns for one in found]
    return [
        TestExample(row=prediction.row, source=prediction.source, reference=prediction.reference, asked=one)
        for prediction, one in zip(predictions, asked, strict=True)
    ]


def _needs_rows(data: DataOptions) -> bool:
    """Return whether a prompt is made of more than the source."""
    if has_chats(data):
        return True
    text = data.chat_instruction if data.prompt == CHAT else data.prompt
    return text is not None and not read_template(text).names <= {"source"}
