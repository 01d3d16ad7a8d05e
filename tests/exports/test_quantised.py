"""What was trained on a quantised base is handed over on the weights that its codes stand for."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

import tuneoff
from tests.tiny_run import make_run
from tuneoff.errors import RunError
from tuneoff.models.quantisation import list_quantised
from tuneoff.records.record import Record

pytestmark = pytest.mark.model


@pytest.fixture(scope="module", params=["nf4", "int8"])
def run(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, quantisable_folder: Callable[[str], Path]
) -> Path:
    """A comparison on a quantised base, with full tuning, which does not fit."""
    folder = tmp_path_factory.mktemp(request.param)
    methods = {"base": None, "full": None, "lora": {"learning_rate": 1e-2}, "adapter": {"learning_rate": 1e-2}}
    model = {"quantise": request.param}
    return make_run(folder, quantisable_folder("llama"), methods, model=model, training={"epochs": 2})


def find_record(run: Path, label: str) -> Record:
    return next(record for record in tuneoff.load_comparison(run).run.records if record.trial.label == label)


def test_the_comparison_goes_on_without_what_would_train_codes_and_records_how_the_base_was_held(run: Path) -> None:
    comparison = tuneoff.load_comparison(run)
    assert {row.label for row in comparison.rows} == {"base", "lora", "adapter"}
    assert "belongs to a quantised layer" in comparison.run.misfits["full"]
    assert comparison.setting.model.quantise == run.parent.name[:-1]  # pytest numbers its folders
    assert comparison.setting.versions["bitsandbytes"]


def test_a_loaded_model_answers_as_the_run_did(run: Path) -> None:
    model = tuneoff.load(run, "lora")
    predictions = find_record(run, "lora").predictions
    assert list_quantised(model.language_model.network)
    assert model.generate([p.source for p in predictions]) == [p.prediction for p in predictions]


def test_the_merged_model_is_plain_and_its_difference_from_the_judged_one_is_shown(run: Path, tmp_path: Path) -> None:
    check = tuneoff.export(run, to=tmp_path / "out", label="lora", format="merged", precision="float32")
    assert check.largest_logit_difference < 1e-4 * max(1, check.logit_sd)
    assert check.dequantised is not None
    assert check.dequantised.largest_logit_difference < 0.1 * check.dequantised.logit_sd
    assert json.loads((tmp_path / "out/export.json").read_text())["dequantised"]["loss_before"] > 0
    assert "on a quantised base" in (tmp_path / "out/README.md").read_text()
    network = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert not list_quantised(network)
    original = AutoModelForCausalLM.from_pretrained(find_record(run, "lora").trial.setting.model.name)
    assert torch.equal(network.model.embed_tokens.weight, original.model.embed_tokens.weight)
    own, rounded = (of.model.layers[0].mlp.up_proj.weight for of in (original, network))
    assert not torch.equal(own, rounded)


def test_an_adapter_is_read_back_on_the_quantised_base_and_its_readme_says_how(run: Path, tmp_path: Path) -> None:
    check = tuneoff.export(run, to=tmp_path / "out", label="lora")
    assert check.largest_logit_difference < 1e-4 * max(1, check.logit_sd)
    assert check.dequantised is None
    assert "quantization_config=BitsAndBytesConfig(" in (tmp_path / "out/README.md").read_text()


@pytest.mark.parametrize(
    ("label", "format", "reason"),
    [
        ("lora", "gguf-lora", "which it was not trained on. Export it with --as merged"),
        ("lora", "vllm", "which it was not trained on. Export it with --as merged"),
        ("adapter", "adapter", "on which only peft.s adapters are loaded"),
    ],
)
def test_what_would_stand_on_other_weights_is_refused(
    run: Path, tmp_path: Path, label: str, format: str, reason: str
) -> None:
    with pytest.raises(RunError, match=reason):
        tuneoff.export(run, to=tmp_path / "out", label=label, format=format)
    assert not (tmp_path / "out").exists()
