"""How a language model uses an adapter of peft."""

import copy
from collections.abc import Callable

import torch

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
