"""Cross-entropy of some rows at a time, against PyTorch's own of all at once."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy as torch_cross_entropy

from tuneoff.models import cross_entropy as module
from tuneoff.models.cross_entropy import cross_entropy

ROWS, VOCABULARY = 7, 50


@pytest.fixture(autouse=True)
def three_rows_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven rows are three parts, the last of one row."""
    monkeypatch.setattr(module, "CPU_LOGITS", 3 * VOCABULARY + 1)


@pytest.fixture
def targets() -> Tensor:
    return torch.randint(VOCABULARY, (ROWS,), generator=torch.Generator().manual_seed(1))


def logits(dtype: torch.dtype) -> Tensor:
    drawn = torch.randn(ROWS, VOCABULARY, generator=torch.Generator().manual_seed(0))
    return (9 * drawn).to(dtype).requires_grad_()


def theirs(logits_NV: Tensor, targets_N: Tensor) -> Tensor:
    return torch_cross_entropy(logits_NV.float(), targets_N, reduction="none")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_nats_and_gradients_are_those_of_pytorch(dtype: torch.dtype, targets: Tensor) -> None:
    ours, own = logits(dtype), logits(dtype)
    weights_N = torch.linspace(0, 2, ROWS)  # a loss may weigh each token otherwise
    found, expected = cross_entropy(ours, targets), theirs(own, targets)
    (found * weights_N).sum().backward()
    (expected * weights_N).sum().backward()
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-5)
    assert ours.grad is not None
    assert ours.grad.dtype == dtype
    torch.testing.assert_close(ours.grad, own.grad)


def test_what_is_kept_for_the_backward_pass_is_little_more_than_the_logits(targets: Tensor) -> None:
    kept: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    made = logits(torch.bfloat16)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        cross_entropy(made, targets)
    assert sum(tensor.nbytes for tensor in kept) < 1.2 * made.nbytes


def test_no_scored_token_gives_no_nats_and_a_gradient_of_nothing() -> None:
    made = logits(torch.bfloat16)
    none = cross_entropy(made[:0], torch.zeros(0, dtype=torch.long))
    none.sum().backward()
    assert none.shape == (0,)
    assert made.grad is not None
    assert not made.grad.any()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_stays_so(value: float, targets: Tensor) -> None:
    made = logits(torch.float32).detach()
    made[2, 5] = value
    found = cross_entropy(made, targets)
    assert not found[2].isfinite()
    assert found[[0, 1, 3, 4, 5, 6]].isfinite().all()
