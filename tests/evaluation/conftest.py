import pytest
import torch

from tuneoff.runtime.context import TrialContext, create_context
from tuneoff.runtime.progress import ignore_progress


@pytest.fixture
def context() -> TrialContext:
    return create_context(torch.device("cpu"), "float32", ignore_progress)
