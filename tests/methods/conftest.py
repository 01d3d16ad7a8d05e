"""Tokens for the tests of methods."""

import pytest
import torch
from torch import Tensor


@pytest.fixture
def tokens_BT() -> Tensor:
    """Three rows of eleven tokens."""
    return torch.randint(2, 320, (3, 11), generator=torch.Generator().manual_seed(1))
