"""What examples are about is recognized, also near the borders."""

import inspect
import json
import random
import string
import textwrap

import pytest

from tuneoff.data import task as task_module
from tuneoff.data.example import Example
from tuneoff.data.task import recognize_task

PROSE = [
    "The committee met on Monday and agreed on a plan for the river that nobody had expected before.",
    "A storm closed the harbour for two days, and the ships waited outside until the wind had gone.",
    "Researchers found that the small model learns the task from a few examples and keeps it.",
]
GERMAN = [
    "Der Ausschuss hat sich am Montag auf einen Plan für den Fluss geeinigt, den niemand erwartet hatte.",
    "Ein Sturm hat den Hafen für zwei Tage geschlossen, und die Schiffe warteten draußen auf den Wind.",
    "Die Forscher haben gezeigt, dass das kleine Modell die Aufgabe aus wenigen Beispielen lernt.",
]
FUNCTIONS = [inspect.getsource(f) for f in (
    textwrap.shorten, textwrap.dedent, textwrap.indent, json.dump, json.loads, random.Random.shuffle,
    inspect.cleandoc, string.capwords)]  # fmt: skip


def recognize(targets, sources=None):
    sources = sources or [f"{PROSE[i % 3]} Number {i}." for i in range(len(targets))]
    return recognize_task([Example(source=s, target=t) for s, t in zip(sources, targets, strict=True)])


def repeat(values, times):
    return [value for _ in range(times) for value in values]


@pytest.mark.parametrize(
    ("targets", "task"),
    [
        (repeat(["positive", "negative"], 6), "labels"),
        (repeat(["C", "C++", "C#", "sports", "world news"], 4), "labels"),
        (repeat(["0", "1"], 10), "labels"),
        (repeat([str(stars) for stars in range(1, 6)], 10), "labels"),
        ([str(i * 7 % 101) for i in range(60)], "numbers"),
        (["1,234.5", "-3", "10%", "$5", "1e-3", "0.5", "12", "−7"] * 2, "numbers"),
        ([f"{i % 10}" for i in range(200)], "numbers"),  # more digits than classes usually have
        ([json.dumps({"name": f"n{i}", "age": i}) for i in range(20)], "json"),
        (repeat([json.dumps({"intent": "buy"}), json.dumps({"intent": "sell"})], 10), "json"),
        (["[]", '["a"]', '["a", "b"]', '{"a": 1}'] * 2, "json"),
        ([f"Paris {i}" for i in range(20)], "answers"),
        ([f"the {i}. of May" for i in range(20)], "answers"),
        (FUNCTIONS, "code"),
        ([f"SELECT a, b FROM t{i} WHERE a = {i}" for i in range(10)], "code"),
        ([f"let x{i} = {i};\nconsole.log(x{i});" for i in range(10)], "code"),
        (repeat(PROSE, 2), "prose"),
        ([f"Yes, {PROSE[i % 3]}" for i in range(20)], "prose"),
        ([f"委员会周一开会并就河流计划第{i}项达成一致。" for i in range(9)], "translation"),
        (repeat(GERMAN, 3), "translation"),
    ],
)  # fmt: skip
def test_a_task_is_recognized_by_its_targets(targets, task):
    assert recognize(targets) == task


def test_summaries_in_the_language_of_the_source_are_prose_whatever_the_script():
    sources = [f"委员会周一开会并就河流计划达成一致，会议持续了三个小时。第{i}号。" for i in range(10)]
    assert recognize([f"委员会第{i}次开会达成一致" for i in range(10)], sources) == "prose"


def test_a_summary_in_another_language_is_no_translation_if_it_is_much_shorter():
    sources = [" ".join(PROSE * 4) for _ in range(9)]
    assert recognize(repeat(GERMAN, 3), sources) == "prose"


def test_prose_that_happens_to_parse_is_no_code():
    assert recognize(["yes", "no", "maybe so", "a, b", "never"] * 2) != "code"
    assert recognize([f"{word} and {other}" for word in PROSE for other in PROSE]) == "prose"


def test_few_rows_are_no_labels_unless_they_repeat():
    assert recognize(["rain", "snow", "sun", "wind"]) == "answers"


def test_one_target_for_all_rows_is_no_label_set():
    assert recognize(["unknown"] * 20) == "answers"


def test_chats_and_plain_text_are_recognized_by_their_form():
    message = {"role": "assistant", "content": "yes"}
    assert recognize_task([Example(source="q", target="yes", messages=(message,))] * 3) == "chat"
    assert recognize_task([Example(source="", target=text) for text in PROSE]) == "text"


def test_empty_targets_do_not_decide():
    assert recognize(["", "", *repeat(["person", "place"], 6)]) == "labels"


def test_a_long_data_set_is_judged_by_a_sample(monkeypatch):
    monkeypatch.setattr(task_module, "SAMPLE", 10)
    assert recognize(repeat(["a", "b"], 500)) == "labels"
