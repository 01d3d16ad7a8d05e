"""LISA: a few blocks are trained at a time."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tuneoff.methods import METHODS
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.precision import hold_for_training
from tuneoff.optimizers import OPTIMIZERS, build_groups

Load = Callable[[str], LanguageModel]
PERIODS = 8


def begin(
    load_tiny: Load, seed: int = 0, blocks: int = 1, steps: int = 2
) -> tuple[LanguageModel, torch.optim.Optimizer]:
    torch.manual_seed(seed)
    method = METHODS["lisa"].read({"blocks": blocks, "steps": steps})
    model = hold_for_training(method.apply(load_tiny("llama")), torch.float32)
    return model, OPTIMIZERS["lisa"].create(model, build_groups(method.parameter_groups(model), 1e-2, 0.1))


def take_step(model: LanguageModel, optimizer: torch.optim.Optimizer, tokens_BT: Tensor) -> None:
    scored_BT = torch.ones_like(tokens_BT, dtype=torch.bool)
    scored_BT[:, 0] = False
    model.train()(tokens_BT, torch.ones_like(tokens_BT), scored_BT).mean().backward()
    optimizer.step()
    optimizer.zero_grad()


def find_moved_blocks(model: LanguageModel, take: Callable[[], None]) -> set[int | str]:
    """Return the numbers of the blocks that moved, and the names of other parameters."""
    inside = {id(p): number for number, block in enumerate(model.blocks) for p in block.parameters()}
    before = [(p.detach().clone(), inside.get(id(p), name)) for name, p in model.named_parameters()]
    take()
    return {place for (b, place), p in zip(before, model.parameters(), strict=True) if not torch.equal(b, p)}


@pytest.fixture
def tokens_BT() -> Tensor:
    return torch.randint(2, 320, (3, 11), generator=torch.Generator().manual_seed(1))


def test_a_step_moves_the_drawn_blocks_and_what_is_outside_and_decays_no_other(
    load_tiny: Load, tokens_BT: Tensor
) -> None:
    model, optimizer = begin(load_tiny)
    inside = {id(p) for block in model.blocks for p in block.parameters()}
    outside = {name for name, p in model.named_parameters() if id(p) not in inside}
    drawn = []
    for _ in range(PERIODS):
        first, second = (find_moved_blocks(model, lambda: take_step(model, optimizer, tokens_BT)) for _ in range(2))
        assert first == second
        assert outside < first
        drawn.append(first - outside)
    assert all(len(blocks) == 1 for blocks in drawn)
    assert {0} in drawn
    assert {1} in drawn


def test_a_block_that_is_not_trained_has_no_gradient_and_no_state(load_tiny: Load, tokens_BT: Tensor) -> None:
    model, optimizer = begin(load_tiny, steps=1)
    for _ in range(PERIODS):
        take_step(model, optimizer, tokens_BT)
        frozen = [p for p in model.parameters() if not p.requires_grad]
        assert len(frozen) == len(list(model.blocks[0].parameters()))
        assert all(p.grad is None and p not in optimizer.state for p in frozen)


def test_the_blocks_depend_on_the_seed_and_the_step_alone(load_tiny: Load, tokens_BT: Tensor) -> None:
    def list_drawn(seed: int) -> list[bool]:
        model, optimizer = begin(load_tiny, seed, steps=1)
        drawn = []
        for _ in range(4 * PERIODS):
            drawn.append(next(model.blocks[0].parameters()).requires_grad)
            for p in model.parameters():
                p.grad = torch.zeros_like(p) if p.requires_grad else None
            optimizer.step()
            torch.randn(3)  # other code draws random numbers in between
        return drawn

    assert list_drawn(0) == list_drawn(0)
    assert list_drawn(0) != list_drawn(1)


def test_a_state_that_is_loaded_brings_its_seed_and_its_blocks(load_tiny: Load, tokens_BT: Tensor) -> None:
    model, optimizer = begin(load_tiny, seed=0, steps=1)
    other, restored = begin(load_tiny, seed=1, steps=1)
    for _ in range(PERIODS):
        take_step(model, optimizer, tokens_BT)
        restored.load_state_dict(optimizer.state_dict())
        assert [p.requires_grad for p in model.parameters()] == [p.requires_grad for p in other.parameters()]


def test_more_blocks_than_the_model_has_do_not_fit(load_tiny: Load) -> None:
    with pytest.raises(ValueError, match="blocks is 3, and the model has only 2"):
        METHODS["lisa"].read({"blocks": 3}).apply(load_tiny("llama"))
