"""The table of methods: what every method promises without a model, and a few numbers of single methods."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tuneoff.config.search_space import Range
from tuneoff.methods import GROUPS, METHODS, read_method
from tuneoff.models.language_model import LanguageModel

NEEDED = {"peft": {"peft_type": "LOHA"}}


@pytest.mark.parametrize("name", METHODS)
def test_a_method_accepts_every_value_of_its_search_space(name: str) -> None:
    method = METHODS[name].read(NEEDED.get(name, {}))
    for parameter, values in method.space.items():
        for value in (values.low, values.high) if isinstance(values, Range) else values:
            changed = type(method).read({**method.model_dump(), parameter: value})
            assert getattr(changed, parameter) == value


@pytest.mark.parametrize("name", [name for name in METHODS if METHODS[name].space])
def test_the_learning_rate_is_searched_over_at_least_a_decade_around_the_default(name: str) -> None:
    method = METHODS[name].read(NEEDED.get(name, {}))
    rates = method.space["learning_rate"]
    assert isinstance(rates, Range)
    assert rates.low < method.learning_rate < rates.high
    assert rates.high / rates.low >= 10


def test_only_soft_prompts_and_prefixes_use_positions_of_the_context() -> None:
    used = {name: METHODS[name].read(NEEDED.get(name, {})).context_tokens for name in METHODS}
    assert {name: tokens for name, tokens in used.items() if tokens} == {
        "soft-prompt": 12,
        "p-tuning": 20,
        "prefix": 12,
    }
    assert read_method("peft", {"peft_type": "PREFIX_TUNING", "num_virtual_tokens": 7}).context_tokens == 7


def test_p_tuning_trains_more_than_it_stores(load_tiny: Callable[[str], LanguageModel], tmp_path: Path) -> None:
    from safetensors.torch import load_file

    method = METHODS["p-tuning"].read({"tokens": 3, "width": 8})
    model = method.apply(load_tiny("llama"))
    method.save(model, tmp_path)
    stored = load_file(tmp_path / "adapter_model.safetensors")
    assert [tuple(t.shape) for t in stored.values()] == [(3, 32)]
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) > 3 * 32


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_has_known_methods_the_base_model_first(group: str) -> None:
    first, *others = GROUPS[group]
    assert first == "base"
    assert set(others) <= METHODS.keys()
    assert group not in METHODS


def test_every_method_that_needs_no_hyperparameter_is_in_a_smaller_group_too() -> None:
    grouped = {name for group, names in GROUPS.items() if group != "all" for name in names}
    assert grouped == set(GROUPS["all"])
