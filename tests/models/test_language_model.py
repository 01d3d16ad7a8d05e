"""The head sees only scored positions, and the logits stay the same."""

from collections.abc import Callable

import pytest
import torch

from tests.conftest import ARCHITECTURES, tiny_config
from tests.models.centered_llama import CenteredLlama
from tuneoff.models.language_model import LanguageModel

Load = Callable[[str], LanguageModel]


@pytest.fixture
def tokens_BT() -> torch.Tensor:
    return torch.randint(2, 320, (2, 12), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_scored_positions_have_the_logits_of_the_full_path(
    architecture: str, load_tiny: Load, tokens_BT: torch.Tensor
) -> None:
    model = load_tiny(architecture)
    scored_BT = torch.rand(tokens_BT.shape, generator=torch.Generator().manual_seed(0)) < 0.4
    scored_BT[:, 0] = False
    with torch.no_grad():
        narrowed = model.logits(tokens_BT, torch.ones_like(tokens_BT), scored_BT)
        own_BTV = model.network(input_ids=tokens_BT).logits
    torch.testing.assert_close(narrowed, own_BTV[:, :-1][scored_BT[:, 1:]], rtol=1e-4, atol=1e-5)


def test_the_head_is_given_no_more_than_the_scored_positions(load_tiny: Load, tokens_BT: torch.Tensor) -> None:
    model = load_tiny("llama")
    seen: list[int] = []
    model.head.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].shape[0]))
    scored_BT = torch.zeros_like(tokens_BT, dtype=torch.bool)
    scored_BT[:, -3:] = True
    model.logits(tokens_BT, torch.ones_like(tokens_BT), scored_BT)
    assert seen == [6]


def test_soft_capping_is_still_done(load_tiny: Load, tokens_BT: torch.Tensor) -> None:
    model = load_tiny("gemma2")
    with torch.no_grad():
        model.head.weight.mul_(1000)
        logits_NV = model.logits(tokens_BT, torch.ones_like(tokens_BT), torch.arange(12).expand(2, 12) > 8)
    assert logits_NV.abs().max() <= 3.0


def test_without_a_split_head_the_logits_are_the_models_own(load_tiny: Load, tokens_BT: torch.Tensor) -> None:
    centered = CenteredLlama(load_tiny("llama").network)
    model = LanguageModel(centered, None, "", split_head=False)
    scored_BT = torch.arange(12).expand(2, 12) > 8
    with torch.no_grad():
        own_BTV = centered(input_ids=tokens_BT).logits
        assert torch.equal(
            model.logits(tokens_BT, torch.ones_like(tokens_BT), scored_BT), own_BTV[:, :-1][scored_BT[:, 1:]]
        )


def test_the_tiny_shapes_are_what_they_are_called() -> None:
    assert {tiny_config(name).model_type for name in ARCHITECTURES} == set(ARCHITECTURES)
