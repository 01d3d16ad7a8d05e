"""A model that a run trained is loaded again and answers as its trial did."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import tuneoff
from tests.tiny_run import make_run
from tuneoff.data import load_text
from tuneoff.errors import DataError, RecipeError, RunError
from tuneoff.evaluation.generation import generate_predictions
from tuneoff.evaluation.loss import evaluate_losses
from tuneoff.models.language_model import LanguageModel
from tuneoff.records.record import Record
from tuneoff.runs import RunDirectory
from tuneoff.runtime.context import create_context
from tuneoff.runtime.progress import ignore_progress

pytestmark = pytest.mark.model

METHODS: dict[str, Any] = {
    "base": None,
    "full": {"learning_rate": 1e-3},
    "last-layer": None,
    "adapter": None,
    "lora": None,
    "pissa": {"rank": 4},
    "soft-prompt": {"tokens": 5},
    "prefix": {"tokens": 5},
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, model_folder: Callable[[str], Path]) -> Path:
    """A run of some methods on a copy of the tiny Llama, with two seeds."""
    folder = tmp_path_factory.mktemp("finished")
    base = Path(shutil.copytree(model_folder("llama"), folder / "model"))
    return make_run(folder, base, METHODS, seeds=[1, 0])


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of the run, to damage."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def read_record(run: Path, label: str, seed: int) -> Record:
    (record,) = (r for r in RunDirectory(run).read_records() if (r.trial.label, r.trial.seed) == (label, seed))
    return record


def edit_record(run: Path, label: str, seed: int, **changes: Any) -> None:
    directory, record = RunDirectory(run), read_record(run, label, seed)
    directory.write_record(record.model_copy(update=changes))


def adapter_of(run: Path, label: str, seed: int) -> Path:
    return RunDirectory(run).get_adapter_folder(read_record(run, label, seed).trial)


def answer_test_split(model: LanguageModel, run: Path) -> list[tuple[str, float]]:
    """The text that the model writes after each test prompt, and the nats of each reference."""
    recipe = tuneoff.load_comparison(run).run.recipe
    test = load_text(recipe.data, model.tokenizer).test
    context = create_context(torch.device("cpu"), "float32", ignore_progress)
    texts = generate_predictions(model, test, recipe.evaluation.generation, context, max_new_tokens=24)
    losses = evaluate_losses(model, test, context, batch_size=recipe.evaluation.batch_size, phase="evaluation")
    return [(text, nats) for (text,), (nats, _) in zip(texts, losses, strict=True)]


@pytest.mark.parametrize("label", METHODS)
def test_a_loaded_model_answers_as_its_trial_did(label: str, finished: Path) -> None:
    records = [record for record in RunDirectory(finished).read_records() if record.trial.label == label]
    recorded = [(p.prediction, p.loss) for p in min(records, key=lambda record: record.trial.seed).predictions]
    answers = answer_test_split(tuneoff.load(finished, label).language_model, finished)
    assert [text for text, _ in answers] == [text for text, _ in recorded]
    assert [nats for _, nats in answers] == pytest.approx([nats for _, nats in recorded], rel=1e-5)


@pytest.mark.parametrize("label", ["lora", "soft-prompt", "full"])
def test_a_source_is_answered_with_the_prompt_and_the_limits_of_the_run(label: str, finished: Path) -> None:
    predictions = read_record(finished, label, 0).predictions
    answers = tuneoff.load(finished, label).generate([p.source for p in predictions])
    assert answers == [p.prediction for p in predictions]


def test_a_chat_of_one_message_is_answered_as_its_text(finished: Path) -> None:
    source, model = read_record(finished, "lora", 0).predictions[0].source, tuneoff.load(finished, "lora")
    message = {"role": "user", "content": source}
    assert model.chat([message]) == model.generate([source])[0]
    with pytest.raises(DataError, match="has not seen turns of a chat"):
        model.chat([{"role": "system", "content": "Be brief."}, message])


def test_an_answer_is_as_long_as_asked_for_and_at_least_one_token(finished: Path) -> None:
    model = tuneoff.load(finished, "lora")
    (longer,), (shorter,) = (model.generate(["A storm closed"], max_new_tokens=count) for count in (8, 2))
    assert longer.startswith(shorter.rstrip("\ufffd"))  # the second token may end within a character
    assert len(longer) > len(shorter)
    with pytest.raises(RecipeError, match="max_new_tokens"):
        model.generate(["A storm closed"], max_new_tokens=0)


def test_no_source_has_no_answer(finished: Path) -> None:
    assert tuneoff.load(finished, "lora").generate([]) == []


def test_the_best_method_and_its_lowest_seed_are_loaded_unless_others_are_named(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[Record] = []
    monkeypatch.setattr("tuneoff.runner.trained_model.load_trained_model", lambda _, record: loaded.append(record))
    tuneoff.load(finished)
    tuneoff.load(finished, "lora")
    tuneoff.load(finished, seed=1)
    best = tuneoff.load_comparison(finished).best
    assert best is not None
    assert [(r.trial.label, r.trial.seed) for r in loaded] == [(best.label, 0), ("lora", 0), (best.label, 1)]


def test_the_model_is_ready_for_inference(finished: Path) -> None:
    model = tuneoff.load(finished, "lora").language_model
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_an_unknown_method_is_refused_with_the_known_ones(finished: Path) -> None:
    with pytest.raises(RunError, match=r"method 'lara'\. Did you mean 'lora'\? Available: .*soft-prompt"):
        tuneoff.load(finished, "lara")


def test_an_unknown_seed_is_refused_with_the_known_ones(finished: Path) -> None:
    with pytest.raises(RunError, match=r"no trial of lora with seed 7\. It has the seeds 0, 1"):
        tuneoff.load(finished, "lora", seed=7)


def test_a_failed_trial_is_refused_with_its_reason_and_the_finished_seeds(run: Path) -> None:
    edit_record(run, "lora", 0, status="failed", reason="ValueError: no luck", scores={}, predictions=())
    with pytest.raises(RunError, match=r"seed 0 ended as failed: ValueError: no luck\. .* one of the seeds 1"):
        tuneoff.load(run, "lora", seed=0)


def test_without_a_seed_the_lowest_finished_one_is_loaded(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edit_record(run, "lora", 0, status="failed", reason="ValueError: no luck", scores={}, predictions=())
    monkeypatch.setattr("tuneoff.runner.trained_model.load_trained_model", lambda _, record: record.trial.seed)
    assert tuneoff.load(run, "lora") == 1


def test_a_method_without_a_finished_trial_is_refused(run: Path) -> None:
    for seed in (0, 1):
        edit_record(run, "lora", seed, status="failed", reason="ValueError: no luck", scores={}, predictions=())
    with pytest.raises(RunError, match=r"lora with seed 0 ended as failed: .* load another method"):
        tuneoff.load(run, "lora")


def test_a_missing_adapter_is_refused(run: Path) -> None:
    shutil.rmtree(adapter_of(run, "lora", 0))
    with pytest.raises(RunError, match=r"adapter is missing, .* repeat the trial"):
        tuneoff.load(run, "lora", seed=0)


def test_a_missing_file_of_an_adapter_is_refused(run: Path) -> None:
    (adapter_of(run, "lora", 0) / "adapter_config.json").unlink()
    with pytest.raises(RunError, match=r"adapter_config\.json is missing"):
        tuneoff.load(run, "lora", seed=0)


def test_a_damaged_adapter_is_refused(run: Path) -> None:
    weights = adapter_of(run, "lora", 0) / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    with pytest.raises(RunError, match=r"adapter_model\.safetensors is damaged"):
        tuneoff.load(run, "lora", seed=0)


@pytest.fixture
def changed_model(finished: Path) -> Iterator[None]:
    """The base model's files differ from those of the run."""
    config = finished.parent / "model" / "config.json"
    before = config.read_text()
    config.write_text(json.dumps(json.loads(before) | {"changed": True}))
    yield
    config.write_text(before)


@pytest.mark.usefixtures("changed_model")
def test_a_base_model_that_changed_since_the_run_is_refused(finished: Path) -> None:
    with pytest.raises(RunError, match=r"is not the model that this run used.*Restore"):
        tuneoff.load(finished, "lora")
