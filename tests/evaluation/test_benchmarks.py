"""Benchmarks: the answers are ours, the questions and scores are lm-evaluation-harness's."""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from tests.models.tuned import WAYS, Load, load_tuned
from tuneoff.config.evaluation import BenchmarkOptions
from tuneoff.errors import DataError
from tuneoff.evaluation.benchmarks import Benchmarks, load_benchmarks, run_benchmarks
from tuneoff.models.language_model import LanguageModel
from tuneoff.records.record import BenchmarkScore
from tuneoff.runtime.context import TrialContext

pytest.importorskip("lm_eval")

QUESTIONS = (
    "A storm closed the harbour for two days.",
    "The team lost its third match in a row and dismissed the coach.",
    "Farmers asked for rain.",
    "Ships waited outside, and in the night it came.",
    "The old bridge will be rebuilt next year.",
)
CHOICES = ["yes", "no", "perhaps the river"]
Write = Callable[..., Path]


@pytest.fixture
def write_task(tmp_path: Path) -> Write:
    """Write a task's YAML file, with its data beside it."""
    data = tmp_path / "questions.jsonl"
    rows = [{"question": q, "answer": i % 3, "word": q.split()[0]} for i, q in enumerate(QUESTIONS)]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def write(name: str, **changes: Any) -> Path:
        task = {
            "task": name,
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": {"test": str(data)}},
            "test_split": "test",
            "fewshot_split": "test",
            **changes,
        }
        file = tmp_path / f"{name}.yaml"
        file.write_text(yaml.safe_dump(task))
        return file

    return write


@pytest.fixture
def choice(write_task: Write) -> str:
    return str(
        write_task(
            "choice",
            output_type="multiple_choice",
            doc_to_text="Q: {{question}}\nA:",
            doc_to_target="{{answer}}",
            doc_to_choice=CHOICES,
            metric_list=[{"metric": "acc"}, {"metric": "acc_norm"}],
        )
    )


@pytest.fixture
def text(write_task: Write) -> str:
    return str(
        write_task(
            "text",
            output_type="generate_until",
            doc_to_text="{{question}}",
            doc_to_target="{{word}}",
            generation_kwargs={"until": ["\n", "the"], "max_gen_toks": 12},
            metric_list=[{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
        )
    )


def load(model: LanguageModel, *tasks: str, **options: Any) -> Benchmarks:
    return load_benchmarks(BenchmarkOptions(tasks=tasks, **options), model.tokenizer)


def run(model: LanguageModel, benchmarks: Benchmarks, context: TrialContext, size: int = 2) -> list[BenchmarkScore]:
    options = benchmarks.options.model_copy(update={"batch_size": size})
    return list(run_benchmarks(model, replace(benchmarks, options=options), context, context_tokens=0)[0])


def build_model(model: LanguageModel, context: TrialContext, **options: Any) -> Any:
    from tuneoff.evaluation.harness_model import HarnessModel

    return HarnessModel(model, context, **{"batch_size": 2, "max_length": 200, **options})


def ask(*arguments: Any) -> list[Any]:
    """Return requests as the harness makes them."""
    return [SimpleNamespace(args=args) for args in arguments]


@pytest.mark.parametrize("method", ["base", "lora"])
def test_log_probabilities_are_those_of_the_harness(method: str, load_tiny: Load, context: TrialContext) -> None:
    from lm_eval.models.huggingface import HFLM

    model = load_tuned(load_tiny, "llama", method)
    theirs = HFLM(pretrained=model.network, tokenizer=model.tokenizer, batch_size=1)
    ours = build_model(model, context)
    pairs = ask(*[(question, f" {choice}") for question in QUESTIONS for choice in CHOICES], ("", "yes"))
    for (score, is_greedy), (expected, expected_greedy) in zip(
        ours.loglikelihood(pairs), theirs.loglikelihood(pairs, disable_tqdm=True), strict=True
    ):
        assert score == pytest.approx(expected, abs=1e-4)
        assert is_greedy == expected_greedy
    texts = ask(*[(question,) for question in QUESTIONS])
    assert ours.loglikelihood_rolling(texts) == pytest.approx(theirs.loglikelihood_rolling(texts, True), abs=1e-3)


def test_what_greedy_decoding_writes_is_greedy(load_tiny: Load, context: TrialContext) -> None:
    ours = build_model(load_tiny("llama"), context)
    prompt = "Farmers asked"
    tokens = ours._generate([prompt], {"max_gen_toks": 3}, seed=0)
    assert tokens
    (answer,) = ours.generate_until(ask((prompt, {"max_gen_toks": 3, "until": []})))
    assert answer == tokens[0]


@pytest.mark.parametrize("method", WAYS)
def test_the_batch_size_changes_no_answer_and_no_score(
    method: str, load_tiny: Load, context: TrialContext, choice: str, text: str
) -> None:
    model = load_tuned(load_tiny, "llama", method)
    benchmarks = load(model, choice, text)
    scores = run(model, benchmarks, context, 1)
    assert run(model, benchmarks, context, 3) == scores
    assert [(score.task, score.row) for score in scores] == [
        (task, row) for task in ("choice", "text") for row in range(5)
    ]
    assert set(scores[0].scores) == {"acc", "acc_norm"}
    assert scores[0].prediction is None
    assert len({score.prediction for score in scores[5:]}) > 1
    assert all("the" not in (score.prediction or "") for score in scores)


def test_every_model_gets_the_same_solved_examples(
    load_tiny: Load, context: TrialContext, choice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_tiny("llama")
    benchmarks = load(model, choice, few_shot=2)
    asked: list[list[Any]] = []
    from tuneoff.evaluation.harness_model import HarnessModel

    original = HarnessModel.loglikelihood

    def note(self: Any, requests: Sequence[Any], **rest: Any) -> Any:
        asked.append([request.args for request in requests])
        return original(self, requests, **rest)

    monkeypatch.setattr(HarnessModel, "loglikelihood", note)
    assert run(model, benchmarks, context) == run(model, benchmarks, context)
    assert asked[0] == asked[1]
    assert asked[0][0][0].count("Q:") == 3
    assert benchmarks.fingerprints != load(model, choice).fingerprints


def test_the_limit_is_a_number_of_questions(load_tiny: Load, context: TrialContext, choice: str) -> None:
    model = load_tiny("llama")
    assert len(run(model, load(model, choice, limit=3), context)) == 3


def test_repeated_samples_of_a_question_differ(load_tiny: Load, context: TrialContext) -> None:
    ours = build_model(load_tiny("llama"), context)
    options = {"do_sample": True, "temperature": 1.0, "max_gen_toks": 8, "until": []}
    first, second, other = ours.generate_until(ask(("Ships", options), ("Ships", options), ("Farmers", options)))
    assert first != second
    assert ours.generate_until(ask(("Farmers", options), ("Ships", options))) == [other, first]


def test_a_long_text_loses_its_beginning_and_is_counted(load_tiny: Load, context: TrialContext) -> None:
    ours = build_model(load_tiny("llama"), context, max_length=12)
    ours.loglikelihood(ask((" ".join(QUESTIONS), " yes"), ("A", " yes")))
    assert ours.texts_cut == 1


def test_an_option_without_effect_is_refused(load_tiny: Load, context: TrialContext) -> None:
    ours = build_model(load_tiny("llama"), context)
    with pytest.raises(DataError, match="repetition_penalty, which is not supported"):
        ours.generate_until(ask(("A", {"until": [], "repetition_penalty": 2.0})))


def test_a_metric_without_a_score_for_each_question_is_refused(load_tiny: Load, write_task: Write) -> None:
    file = write_task(
        "rolling",
        output_type="loglikelihood_rolling",
        doc_to_text="",
        doc_to_target="{{question}}",
        metric_list=[{"metric": "word_perplexity"}],
    )
    with pytest.raises(DataError, match="No metric of rolling is a mean over examples"):
        load(load_tiny("llama"), str(file))


def test_a_missing_file_and_missing_data_are_named(load_tiny: Load, write_task: Write) -> None:
    with pytest.raises(DataError, match=r"there is no file gone\.yaml"):
        load(load_tiny("llama"), "gone.yaml")
    file = write_task("absent", dataset_kwargs={"data_files": {"test": "/absent.jsonl"}})
    with pytest.raises(DataError, match="cannot be loaded"):
        load(load_tiny("llama"), str(file))


def test_without_the_harness_the_error_says_how_to_install_it(
    load_tiny: Load, choice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lm_eval.tasks", None)
    with pytest.raises(DataError, match=r"pip install 'tuneoff\[benchmarks\]'"):
        load(load_tiny("llama"), choice)
