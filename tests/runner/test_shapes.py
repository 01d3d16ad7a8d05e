"""Rows of several shapes, from a file to the scores of a trained method, with a tiny model."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

import tuneoff
from tests.runner.recorded_runs import read_records_by_label

pytestmark = pytest.mark.usefixtures("quick_comparisons")

LABELS = ["billing", "shipping", "returns", "account", "other"]
FUNCTION = "def add_{0}(x):\n    if x:\n        return x + {0}\n\n    return {0}\n"

ROWS: dict[str, list[dict[str, Any]]] = {
    "prose": [
        {
            "source": [f"We study rivers number {i}.", "The committee agreed on a plan for the old bridge."],
            "target": [f"The study of river {i} shows that the plan is good.", f"They found a way for bridge {i} too."],
        }
        for i in range(24)
    ],
    "labels": [{"text": f"My parcel {i} did not come.", "label": LABELS[i % 5]} for i in range(60)],
    "translation": [
        {
            "translation": {
                "en": f"The house of the man is at the end of the street {i}.",
                "de": f"Das Haus des Mannes ist am Ende der Straße und nicht weit {i}.",
            }
        }
        for i in range(24)
    ],
    "numbers": [{"question": f"What is {i} + {k}?", "answer": i + k} for i in range(3, 9) for k in range(4)],
    "code": [{"prompt": f"Write a function that adds {i}.", "completion": FUNCTION.format(i)} for i in range(24)],
}
CHATS = [
    {
        "messages": [
            {"role": "system", "content": "Answer in one word."},
            {"role": "user", "content": f"Is {i} the number of the house?"},
            {"role": "assistant", "content": "yes"},
            {"role": "user", "content": "And the street?"},
            {"role": "assistant", "content": f"the street {i}"},
        ]
    }
    for i in range(24)
]
CHAT_TEMPLATE = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}{{ '<eos>' if m.role == 'assistant' }}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
FIELDS = {"translation": {"source": "translation.en", "target": "translation.de"}}
PRIMARY = {
    "prose": "rougeL",
    "labels": "accuracy",
    "translation": "chrf",
    "numbers": "number",
    "code": "edit",
}


@pytest.fixture
def run(recipe: dict[str, Any], tmp_path: Path) -> Any:
    def compare(task: str, **data: Any) -> Any:
        path = tmp_path / "rows.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in ROWS.get(task, CHATS)))
        recipe["data"] = {"source": "files", "files": str(path), "fields": FIELDS.get(task, {}), "max_tokens": 120}
        recipe["data"] |= {"max_target_tokens": 60, **data}
        return tuneoff.compare(recipe, "methods=[base, soft-prompt]", run=tmp_path / "run")

    return compare


@pytest.mark.parametrize("task", ROWS)
def test_rows_of_each_task_are_trained_on_and_scored_by_its_metric(task: str, run: Any, tmp_path: Path) -> None:
    comparison = run(task)
    assert comparison.run.data.task == task
    assert comparison.metric.name == PRIMARY[task]
    records = read_records_by_label(tmp_path / "run")
    assert {record.status for record in records.values()} == {"done"}
    assert all(PRIMARY[task] in p.scores for record in records.values() for p in record.predictions)


def test_several_references_are_recorded(run: Any, tmp_path: Path) -> None:
    run("prose")
    predictions = read_records_by_label(tmp_path / "run")["base"].predictions
    assert {len(prediction.references) for prediction in predictions} == {2}


def test_functions_are_targets_as_they_are_written(run: Any, tmp_path: Path) -> None:
    run("code")
    for prediction in read_records_by_label(tmp_path / "run")["base"].predictions:
        compile(prediction.reference, "a", "exec")
        assert prediction.reference in {row["completion"] for row in ROWS["code"]}


def test_chats_are_trained_on_both_turns_of_the_assistant_after_the_system_message(
    run: Any, recipe: dict[str, Any], tmp_path: Path
) -> None:
    folder = shutil.copytree(recipe["model"]["name"], tmp_path / "chatting")
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**config, "chat_template": CHAT_TEMPLATE}))
    recipe["model"]["name"] = str(folder)
    run("chats", turns="all", max_tokens=200)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for record in read_records_by_label(tmp_path / "run").values():
        assert record.status == "done"
        assert record.trial.setting.data.prompt == "chat"
        for prediction in record.predictions:
            assert "Answer in one word." in prediction.source
            answers = ["yes", prediction.reference]
            assert prediction.target_tokens == sum(len(tokenizer.tokenize(answer)) + 1 for answer in answers)
