"""How a language model uses an adapter of peft."""

import copy
import json
from collections.abc import Callable
from pathlib import Path

import torch

from tuneoff.data.unrelated_text import load_unrelated_text
from tuneoff.methods import METHODS
from tuneoff.models.language_model import LanguageModel

Load = Callable[[str], LanguageModel]


def test_an_adapter_names_the_base_model_as_the_user_did(load_tiny: Load) -> None:
    model = load_tiny("llama")
    model.known_as = "owner/name"
    tuned = METHODS["lora"]().apply(model)
    assert tuned.network.active_peft_config.base_model_name_or_path == "owner/name"


def test_an_adapter_inside_the_model_adds_nothing_to_a_call(load_tiny: Load) -> None:
    model = METHODS["lora"]().apply(load_tiny("llama"))
    assert model.make_adapter_inputs(3) == {}
    assert model.compute_prompt() is None
    assert model.base is model.network.base_model.model


def test_an_adapter_with_tasks_gets_the_first_task_for_every_row(load_tiny: Load) -> None:
    model = METHODS["peft"].read({"peft_type": "MULTITASK_PROMPT_TUNING"}).apply(load_tiny("llama"))
    assert model.make_adapter_inputs(3)["task_ids"].tolist() == [0, 0, 0]


def test_a_copied_model_has_a_soft_prompt_of_its_own(load_tiny: Load) -> None:
    model = METHODS["soft-prompt"].read({"tokens": 4}).apply(load_tiny("llama"))
    copied = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in copied.parameters():
            parameter.zero_()
    prompt_PD, copied_PD = model.compute_prompt(), copied.compute_prompt()
    assert prompt_PD is not None
    assert copied_PD is not None
    assert prompt_PD.shape == (4, 32)
    assert prompt_PD.any()
    assert not copied_PD.any()


def test_a_merged_model_is_transformers_own(load_tiny: Load) -> None:
    method = METHODS["lora"]()
    merged = method.merge(method.apply(load_tiny("llama")))
    assert merged.outer_adapter is None
    assert type(merged.network) is type(load_tiny("llama").network)


def test_the_lists_of_a_saved_config_have_an_order_that_no_process_changes(load_tiny: Load, tmp_path: Path) -> None:
    """peft keeps the modules as a set, whose order depends on the process."""
    method = METHODS["lora"].read({"modules": "all-linear"})
    method.save(method.apply(load_tiny("llama")), tmp_path)
    modules = json.loads((tmp_path / "adapter_config.json").read_text())["target_modules"]
    assert len(modules) > 3
    assert modules == sorted(modules)


def test_a_saved_model_has_the_tokenizer_as_it_came_whatever_was_measured_before(
    load_tiny: Load, tmp_path: Path
) -> None:
    """A tokenizer keeps the truncation of its last call and would save it."""
    model = METHODS["full"]().apply(load_tiny("llama"))
    METHODS["full"]().save(model, tmp_path / "before")
    load_unrelated_text(model.tokenizer, passages=2, max_tokens=20)
    METHODS["full"]().save(model, tmp_path / "after")
    files = sorted(file.name for file in (tmp_path / "before").iterdir())
    assert "tokenizer.json" in files
    for name in files:
        assert (tmp_path / "before" / name).read_bytes() == (tmp_path / "after" / name).read_bytes()
