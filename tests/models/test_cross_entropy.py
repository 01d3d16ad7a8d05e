"""Our cross-entropy, a few rows at a time, equals PyTorch's of all rows at once."""

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


def make_logits(dtype: torch.dtype) -> Tensor:
    drawn = torch.randn(ROWS, VOCABULARY, generator=torch.Generator().manual_seed(0))
    return (9 * drawn).to(dtype).requires_grad_()


def compute_expected(logits_NV: Tensor, targets_N: Tensor) -> Tensor:
    return torch_cross_entropy(logits_NV.float(), targets_N, reduction="none")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_nats_and_gradients_are_those_of_pytorch(dtype: torch.dtype, targets: Tensor) -> None:
    ours, own = make_logits(dtype), make_logits(dtype)
    weights_N = torch.linspace(0, 2, ROWS)  # a loss may weigh each token otherwise
    nats_N, expected_N = cross_entropy(ours, targets), compute_expected(own, targets)
    (nats_N * weights_N).sum().backward()
    (expected_N * weights_N).sum().backward()
    assert nats_N.dtype == torch.float32
    torch.testing.assert_close(nats_N, expected_N, rtol=1e-6, atol=1e-5)
    assert ours.grad is not None
    assert ours.grad.dtype == dtype
    torch.testing.assert_close(ours.grad, own.grad)


def test_the_backward_pass_stores_little_more_than_the_logits(targets: Tensor) -> None:
    saved: list[Tensor] = []

    def save(tensor: Tensor) -> Tensor:
        saved.append(tensor)
        return tensor

    logits_NV = make_logits(torch.bfloat16)
    with torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor):
        cross_entropy(logits_NV, targets)
    assert sum(tensor.nbytes for tensor in saved) < 1.2 * logits_NV.nbytes


def test_without_a_scored_token_there_are_no_nats_and_the_gradient_is_zero() -> None:
    logits_NV = make_logits(torch.bfloat16)
    nats_0 = cross_entropy(logits_NV[:0], torch.zeros(0, dtype=torch.long))
    nats_0.sum().backward()
    assert nats_0.shape == (0,)
    assert logits_NV.grad is not None
    assert not logits_NV.grad.any()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_logits_that_are_not_finite_give_nats_that_are_not_finite(value: float, targets: Tensor) -> None:
    logits_NV = make_logits(torch.float32).detach()
    logits_NV[2, 5] = value
    nats_N = cross_entropy(logits_NV, targets)
    assert not nats_N[2].isfinite()
    assert nats_N[[0, 1, 3, 4, 5, 6]].isfinite().all()
