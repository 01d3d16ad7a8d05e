"""Running a comparison writes the records that are missing."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import tuneoff
from tests.runner.recorded_runs import RecordingListener, dump_reproducible, read_records_by_label
from tuneoff.errors import RunError
from tuneoff.runner import scores
from tuneoff.runs import RunDirectory

pytestmark = pytest.mark.usefixtures("quick_comparisons")


def test_every_method_gets_a_record_with_scores_costs_and_predictions(recipe: dict[str, Any], tmp_path: Path) -> None:
    recipe["methods"] = ["base", "full", "last-layer", "lora", "soft-prompt"]
    tuneoff.compare(recipe, run=tmp_path / "run")
    for label, record in read_records_by_label(tmp_path / "run").items():
        assert (record.status, record.reason) == ("done", None), label
        assert len(record.predictions) == 3
        assert record.costs is not None
        assert record.costs.inference is not None
        assert (record.costs.adapter_bytes or 0) > 0 or label == "base"


@pytest.mark.parametrize(("precision", "checkpointing"), [("float32", "never"), ("bf16", "always")])
def test_a_record_says_whether_the_base_models_network_is_served(
    precision: str, checkpointing: str, recipe: dict[str, Any], tmp_path: Path
) -> None:
    recipe["methods"] = ["base", "last-layer", "lora", "soft-prompt", "adapter"]
    recipe["model"]["precision"] = precision
    recipe["training"]["gradient_checkpointing"] = checkpointing
    tuneoff.compare(recipe, run=tmp_path / "run")
    records = read_records_by_label(tmp_path / "run")
    inferences = {label: r.costs.inference for label, r in records.items() if r.costs and r.costs.inference}
    assert {label for label, i in inferences.items() if i.same_as_base} == {"base", "last-layer", "lora"}
    assert {label for label, i in inferences.items() if i.same_as_base is False} == {"soft-prompt", "adapter"}
    operations = {label: i.token_flops or 0 for label, i in inferences.items()}
    assert operations["base"] == operations["last-layer"] == operations["lora"]
    assert 0 < operations["base"] < min(operations["soft-prompt"], operations["adapter"])


def test_the_test_loss_of_a_record_is_the_mean_over_its_predictions(recipe: dict[str, Any], tmp_path: Path) -> None:
    tuneoff.compare(recipe, "methods=[base]", run=tmp_path / "run")
    record = read_records_by_label(tmp_path / "run")["base"]
    mean_loss = sum(p.loss for p in record.predictions) / sum(p.target_tokens for p in record.predictions)
    assert record.scores["test/loss"] == pytest.approx(mean_loss)


def test_the_base_model_trains_nothing_and_has_the_loss_of_the_others_before_their_first_step(
    recipe: dict[str, Any], tmp_path: Path
) -> None:
    tuneoff.compare(recipe, "methods=[base, lora]", run=tmp_path / "run")
    base, lora = (read_records_by_label(tmp_path / "run")[label] for label in ("base", "lora"))
    assert base.curve[0].validation_loss == lora.curve[0].validation_loss
    assert base.costs is not None
    assert (base.costs.trainable_parameters, base.costs.train_seconds) == (0, 0.0)


def test_running_a_finished_comparison_again_runs_no_trial(recipe: dict[str, Any], tmp_path: Path) -> None:
    tuneoff.compare(recipe, run=tmp_path / "run")
    listener = RecordingListener()
    tuneoff.compare(recipe, run=tmp_path / "run", listener=listener)
    assert listener.started == []


def test_only_the_trial_whose_record_is_missing_runs(recipe: dict[str, Any], tmp_path: Path) -> None:
    tuneoff.compare(recipe, run=tmp_path / "run")
    directory = RunDirectory(tmp_path / "run")
    shutil.rmtree(directory.get_trial_folder(read_records_by_label(tmp_path / "run")["lora"].trial))
    listener = RecordingListener()
    tuneoff.compare(recipe, run=tmp_path / "run", listener=listener)
    assert listener.started == ["lora"]


def test_the_same_trial_gives_the_same_record_to_the_last_bit(recipe: dict[str, Any], tmp_path: Path) -> None:
    for name in ("first", "second"):
        tuneoff.compare(recipe, run=tmp_path / name)
    first, second = read_records_by_label(tmp_path / "first"), read_records_by_label(tmp_path / "second")
    assert {label: dump_reproducible(r) for label, r in first.items()} == {
        label: dump_reproducible(r) for label, r in second.items()
    }


def test_an_interrupted_comparison_resumes_to_the_records_of_an_undisturbed_one(
    recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuneoff.compare(recipe, run=tmp_path / "undisturbed")
    original = scores.generate_predictions

    def interrupt_lora(model: Any, *arguments: Any, **options: Any) -> list[str]:
        if hasattr(model.network, "peft_config"):
            raise KeyboardInterrupt
        return original(model, *arguments, **options)

    monkeypatch.setattr(scores, "generate_predictions", interrupt_lora)
    with pytest.raises(KeyboardInterrupt):
        tuneoff.compare(recipe, run=tmp_path / "interrupted")
    assert list(read_records_by_label(tmp_path / "interrupted")) == ["base"]
    monkeypatch.setattr(scores, "generate_predictions", original)
    tuneoff.compare(recipe, run=tmp_path / "interrupted")
    undisturbed, resumed = (
        read_records_by_label(tmp_path / "undisturbed"),
        read_records_by_label(tmp_path / "interrupted"),
    )
    assert list(map(dump_reproducible, resumed.values())) == list(map(dump_reproducible, undisturbed.values()))


def test_a_trial_that_fails_is_recorded_with_its_reason_and_the_others_run(
    recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("tuneoff.methods.lora.LoRA.save", fail)
    tuneoff.compare(recipe, run=tmp_path / "run")
    records = read_records_by_label(tmp_path / "run")
    assert {label: record.status for label, record in records.items()} == {
        "base": "done", "lora": "failed", "soft-prompt": "done"
    }  # fmt: skip
    assert records["lora"].reason == "OSError: no space left"


def test_failed_trials_run_again_only_with_retry(
    recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr("tuneoff.methods.lora.LoRA.save", lambda *_: 1 / 0)
        tuneoff.compare(recipe, run=tmp_path / "run")
    without_retry, with_retry = RecordingListener(), RecordingListener()
    tuneoff.compare(recipe, run=tmp_path / "run", listener=without_retry)
    tuneoff.compare(recipe, run=tmp_path / "run", listener=with_retry, retry=True)
    assert (without_retry.started, with_retry.started, with_retry.ended[0].status) == ([], ["lora"], "done")


def test_a_diverged_trial_has_a_record_with_its_curve(recipe: dict[str, Any], tmp_path: Path) -> None:
    recipe["methods"] = {"base": None, "full": {"learning_rate": 1e30}}
    recipe["training"]["clip_norm"] = None
    tuneoff.compare(recipe, run=tmp_path / "run")
    record = read_records_by_label(tmp_path / "run")["full"]
    assert record.status == "diverged"
    assert record.curve[-1].steps > 0


def test_methods_can_be_added_to_a_run(recipe: dict[str, Any], tmp_path: Path) -> None:
    tuneoff.compare(recipe, "methods=[base]", run=tmp_path / "run")
    listener = RecordingListener()
    tuneoff.compare(recipe, "methods=[base, lora]", run=tmp_path / "run", listener=listener)
    assert listener.started == ["lora"]


def test_the_base_model_is_evaluated_once_for_all_seeds(recipe: dict[str, Any], tmp_path: Path) -> None:
    listener = RecordingListener()
    tuneoff.compare(recipe, "methods=[base, lora]", "seeds=[0, 1]", run=tmp_path / "run", listener=listener)
    assert listener.started == ["base", "lora", "lora"]


def test_a_run_of_another_recipe_is_refused_and_not_changed(recipe: dict[str, Any], tmp_path: Path) -> None:
    tuneoff.compare(recipe, "methods=[base]", run=tmp_path / "run")
    before = {f: f.read_bytes() for f in (tmp_path / "run").rglob("*") if f.is_file()}
    with pytest.raises(RunError, match=r"made by another recipe, which differs in training\..*--run"):
        tuneoff.compare(recipe, "methods=[base]", "training.epochs=9", run=tmp_path / "run")
    assert {f: f.read_bytes() for f in (tmp_path / "run").rglob("*") if f.is_file()} == before


def test_a_second_process_on_the_same_run_is_refused(recipe: dict[str, Any], tmp_path: Path) -> None:
    with RunDirectory(tmp_path / "run").lock(), pytest.raises(RunError, match="is in use by process"):
        tuneoff.compare(recipe, run=tmp_path / "run")


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")
@pytest.mark.parametrize("label", ["lora", "soft-prompt"])
def test_a_saved_adapter_loads_in_peft_with_the_loss_of_the_trial(
    label: str, recipe: dict[str, Any], tmp_path: Path, model_folder: Callable[[str], Path]
) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    recipe["data"] |= {"max_tokens": 200, "max_target_tokens": 90}  # nothing is truncated
    tuneoff.compare(recipe, f"methods=[{label}]", run=tmp_path / "run")
    directory = RunDirectory(tmp_path / "run")
    record = read_records_by_label(tmp_path / "run")[label]
    base = AutoModelForCausalLM.from_pretrained(model_folder("llama"))
    model = PeftModel.from_pretrained(base, directory.get_adapter_folder(record.trial)).eval()
    tokenizer = AutoTokenizer.from_pretrained(model_folder("llama"))
    prediction = record.predictions[0]
    prompt = tokenizer(f"{prediction.source}\n\nTL;DR:")["input_ids"]
    target = [*tokenizer(f" {prediction.reference}")["input_ids"], tokenizer.eos_token_id]
    tokens_BT = torch.tensor([prompt + target])
    with torch.no_grad():
        logits_TV = model(input_ids=tokens_BT, attention_mask=torch.ones_like(tokens_BT)).logits[0]
    nats = torch.nn.functional.cross_entropy(
        logits_TV[-len(target) - 1 : -1], tokens_BT[0, -len(target) :], reduction="sum"
    )
    assert nats.item() == pytest.approx(prediction.loss, rel=1e-5)
