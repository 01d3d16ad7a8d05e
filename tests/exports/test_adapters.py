"""What every method of the table trained, read back by plain peft or by the loader in the folder."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

import tuneoff
from tests.exports.conftest import FOR_PEFT, TABLE
from tuneoff.methods.peft_adapter import silence_peft

pytestmark = pytest.mark.model
ADAPTERS = [label for label in TABLE if label not in {"full", "lisa"}]
WITH_LOADER = ["adapter"]
PEFT = [label for label in ADAPTERS if label not in WITH_LOADER]
REPLACES_INPUT = ["soft-prompt", "p-tuning", "prefix"]  # peft's model then returns other positions, or needs a cache
TOKENS = torch.arange(2, 40)[None]


def load_base(run: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(run.parent / "model", dtype=torch.float32)


def load_adapter(run: Path, folder: Path) -> Any:
    from peft import PeftModel

    with silence_peft():
        return PeftModel.from_pretrained(load_base(run), folder).eval()


@pytest.mark.parametrize("label", ADAPTERS)
def test_an_adapter_is_read_back_by_plain_tools(table_run: Path, tmp_path: Path, label: str) -> None:
    check = tuneoff.export(table_run, to=tmp_path / "out", label=label)
    assert check.largest_logit_difference < 1e-4 * max(1, check.logit_sd)
    assert check.same_answers == check.prompts == 3
    assert (tmp_path / "out" / "adapter_config.json").is_file() == (label not in WITH_LOADER)
    assert (tmp_path / "out" / "load_trained.py").is_file() == (label in WITH_LOADER)
    usage = "PeftModel.from_pretrained" if label in PEFT else "from load_trained import load"
    assert usage in (tmp_path / "out" / "README.md").read_text()


@pytest.mark.parametrize("label", [label for label in PEFT if label not in REPLACES_INPUT])
def test_an_adapter_that_is_off_leaves_the_base_model(table_run: Path, tmp_path: Path, label: str) -> None:
    tuneoff.export(table_run, to=tmp_path / "out", label=label)
    model = load_adapter(table_run, tmp_path / "out")
    with torch.no_grad():
        base, on = load_base(table_run).eval()(TOKENS).logits, model(TOKENS).logits
        with model.disable_adapter():
            off = model(TOKENS).logits
    assert torch.equal(off, base)
    assert not torch.equal(on, base)


@pytest.mark.parametrize("label", FOR_PEFT)
def test_trained_modules_are_an_adapter_of_peft_without_the_rest(table_run: Path, tmp_path: Path, label: str) -> None:
    from safetensors.torch import load_file

    tuneoff.export(table_run, to=tmp_path / "out", label=label)
    config = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert config["peft_type"] == FOR_PEFT[label]
    assert not (tmp_path / "out" / "trained.safetensors").exists()
    stored = load_file(tmp_path / "out" / "adapter_model.safetensors")
    (record,) = (r for r in tuneoff.load_comparison(table_run).run.records if r.trial.label == label)
    assert record.costs is not None
    assert sum(tensor.numel() for tensor in stored.values()) == record.costs.trainable_parameters


def test_a_head_that_was_tied_is_trained_alone_and_stays_so(table_run: Path, tmp_path: Path) -> None:
    tuneoff.export(table_run, to=tmp_path / "adapter", label="last-layer")
    tuneoff.export(table_run, to=tmp_path / "merged", label="last-layer", format="merged", precision="float32")
    tuned, base = load_adapter(table_run, tmp_path / "adapter"), load_base(table_run)
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged").eval()
    with torch.no_grad():
        assert torch.allclose(tuned(TOKENS).logits, merged(TOKENS).logits, atol=1e-5)
    assert torch.equal(merged.get_input_embeddings().weight, base.get_input_embeddings().weight)
    assert not torch.equal(merged.get_output_embeddings().weight, base.get_output_embeddings().weight)


@pytest.mark.parametrize("label", ["lora", "layer-norm"])
def test_a_tied_head_stays_tied_when_merged(table_run: Path, tmp_path: Path, label: str) -> None:
    from safetensors.torch import load_file

    tuneoff.export(table_run, to=tmp_path / "out", label=label, format="merged")
    assert "lm_head.weight" not in load_file(tmp_path / "out" / "model.safetensors")
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert merged.get_output_embeddings().weight is merged.get_input_embeddings().weight
