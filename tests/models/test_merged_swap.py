"""LoRA that take each other's place in one set of weights."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tuneoff.errors import ModelError
from tuneoff.methods import METHODS
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.merged_swap import MergedSwap, read_low_rank_updates

TOKENS = torch.arange(2, 40)[None]
SWAPS = 50
ARMS: dict[str, tuple[str, dict[str, Any]]] = {
    "a": ("lora", {"rank": 4}),
    "b": ("rslora", {"rank": 8}),
    "c": ("lora-plus", {"rank": 2}),
}


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def arms(
    request: pytest.FixtureRequest, load_tiny: Callable[[str], LanguageModel], tmp_path_factory: pytest.TempPathFactory
) -> tuple[LanguageModel, dict[str, Path], dict[str, torch.Tensor]]:
    """A base model, folders of LoRA for it, and the logits of each as peft merges it."""
    folder = tmp_path_factory.mktemp("arms")
    logits = {}
    for name, (method, options) in ARMS.items():
        torch.manual_seed(len(logits))
        chosen = METHODS[method].read(options)
        tuned = chosen.apply(load_tiny(request.param))
        for tensor_name, parameter in tuned.network.named_parameters():
            if "lora_B" in tensor_name:
                torch.nn.init.normal_(parameter, std=0.2)
        chosen.save(tuned, folder / name)
        with torch.no_grad():
            logits[name] = chosen.merge(tuned).network.eval()(TOKENS).logits
    return load_tiny(request.param), {name: folder / name for name in ARMS}, logits


def open_swap(arms: Any, dtype: torch.dtype = torch.float32, **options: Any) -> tuple[Any, MergedSwap]:
    network = copy.deepcopy(arms[0].network).to(dtype).eval()
    return network, MergedSwap(network, lambda name: read_low_rank_updates(arms[1][name]), **options)


@torch.no_grad()
def compute_logits(network: Any) -> torch.Tensor:
    return network(TOKENS).logits  # type: ignore[no-any-return]


def test_a_swap_computes_what_peft_merges(arms: Any) -> None:
    network, swap = open_swap(arms)
    base = compute_logits(network)
    for name in ("a", "b", "c", "a"):
        swap.swap_to(name)
        torch.testing.assert_close(compute_logits(network), arms[2][name], atol=1e-5, rtol=1e-5)
        assert not torch.allclose(compute_logits(network), base, atol=1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_with_the_original_kept_nothing_drifts(arms: Any, dtype: torch.dtype) -> None:
    network, swap = open_swap(arms, dtype, keep_original=True)
    base = {name: weight.clone() for name, weight in network.state_dict().items()}
    fresh_network, fresh = open_swap(arms, dtype, keep_original=True)
    fresh.swap_to("b")
    for number in range(SWAPS):
        swap.swap_to("abc"[number % 3])
    swap.swap_to("b")
    assert all(map(torch.equal, network.state_dict().values(), fresh_network.state_dict().values()))
    swap.swap_to(None)
    assert all(torch.equal(weight, base[name]) for name, weight in network.state_dict().items())


def test_in_float32_each_swap_adds_at_most_two_roundings(arms: Any) -> None:
    network, swap = open_swap(arms)
    fresh_network, fresh = open_swap(arms)
    for number in range(SWAPS):
        swap.swap_to("abc"[number % 3])
    swap.swap_to("b")
    fresh.swap_to("b")
    assert swap.original_bytes == 0
    for weight, expected in zip(network.parameters(), fresh_network.parameters(), strict=True):
        # of three numbers: the weight, and two updates that may be larger than it
        bound = 2 * SWAPS * torch.finfo(torch.float32).eps * 10 * weight.abs().max()
        assert (weight - expected).abs().max() <= bound
    torch.testing.assert_close(compute_logits(network), arms[2]["b"], atol=1e-3, rtol=1e-3)


def test_weights_of_lower_precision_keep_their_original_unless_told_otherwise(arms: Any) -> None:
    _, kept = open_swap(arms, torch.bfloat16)
    kept.swap_to("a")
    assert kept.original_bytes > 0
    network, drifting = open_swap(arms, torch.bfloat16, keep_original=False)
    before = [parameter.clone() for parameter in network.parameters()]
    for name in ("a", "b", None):
        drifting.swap_to(name)
    assert not all(map(torch.equal, before, network.parameters())), "else keeping the original would be for nothing"


def test_the_lora_that_was_not_used_for_longest_is_loaded_again(arms: Any) -> None:
    loads: list[str] = []

    def load(name: str) -> Any:
        loads.append(name)
        return read_low_rank_updates(arms[1][name])

    swap = MergedSwap(copy.deepcopy(arms[0].network), load, capacity=2)
    for name in ("a", "b", "a", "c", "a", "b"):
        swap.swap_to(name)
    assert loads == ["a", "b", "c", "b"]
    assert swap.loaded == ("a", "b")


def test_what_is_no_plain_lora_is_refused(load_tiny: Any, tmp_path: Path) -> None:
    for name in ("dora", "ia3"):
        chosen = METHODS[name].read({})
        chosen.save(chosen.apply(load_tiny("llama")), tmp_path / name)
        with pytest.raises(ModelError, match="is no plain LoRA"):
            read_low_rank_updates(tmp_path / name)


def test_a_lora_of_another_base_is_refused_and_nothing_changes(arms: Any, load_tiny: Any) -> None:
    other = load_tiny("gpt_neo").network
    swap = MergedSwap(other, lambda name: read_low_rank_updates(arms[1][name]))
    before = [parameter.clone() for parameter in other.parameters()]
    with pytest.raises(ModelError, match="does not have in this shape"):
        swap.swap_to("a")
    assert all(map(torch.equal, before, other.parameters()))
    assert swap.current is None
