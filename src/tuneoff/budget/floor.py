"""What a probe takes at least, counted before it runs, so that a budget below that is refused at once.

The count is a lower bound: the operations of forward passes alone, at the speed of one large matrix product, which no
model reaches.
"""

from __future__ import annotations

import time
from datetime import datetime

import torch

from tuneoff.budget.at_once import require_time
from tuneoff.budget.probe import REPORT_SECONDS
from tuneoff.budget.probe_rows import choose_probe_rows
from tuneoff.config.budget import BudgetOptions
from tuneoff.data import count_tokens
from tuneoff.models.loading import build_empty_model
from tuneoff.models.precision import get_dtype
from tuneoff.runner.prepare import Preparation

WIDTH = 1024  # of the matrices whose product is timed
REPEATS = 3  # of which the fastest counts


def require_time_to_probe(preparation: Preparation, budget: BudgetOptions, spent_seconds: float, now: datetime) -> None:
    """Refuse a budget that ends before all methods could be measured, before the first one is.

    Raises:
        BudgetError: with the least that would do.
    """
    probe_seconds = count_probe_operations(preparation) / measure_speed(
        preparation.device, get_dtype(preparation.setting.precision)
    )
    methods = f"measuring the {len(preparation.recipe.methods)} methods and writing the report"
    require_time(budget, spent_seconds + probe_seconds + REPORT_SECONDS, methods, spent_seconds, now)


def count_probe_operations(preparation: Preparation) -> float:
    """Return the floating-point operations that a probe of all methods has at least.

    A forward pass has two for each weight outside the embeddings and each token. Of a training only one pass counts,
    because a method may train the end of the network alone.
    """
    text = choose_probe_rows(preparation, preparation.text)
    tokens = sum(sum(count_tokens(split)) for split in (text.train, text.validation)) + sum(text.test["prompt_tokens"])
    return float(2 * tokens * _count_body_weights(preparation) * len(preparation.recipe.methods))


def measure_speed(device: torch.device, dtype: torch.dtype) -> float:
    """Return the operations per second of a matrix product, which is more than those of a whole network."""
    matrix = torch.ones(WIDTH, WIDTH, dtype=dtype, device=device)
    fastest_seconds: float = min(_time_product(matrix) for _ in range(REPEATS))
    return 2 * WIDTH**3 / fastest_seconds


def _time_product(matrix: torch.Tensor) -> float:
    start = time.perf_counter()
    (matrix @ matrix)[0, 0].item()  # waits for the device
    return time.perf_counter() - start


def _count_body_weights(preparation: Preparation) -> int:
    network = build_empty_model(preparation.source, preparation.recipe.model, preparation.tokenizer).network
    tables = {id(weight): weight for weight in _list_tables(network)}
    return sum(weight.numel() for weight in network.parameters() if id(weight) not in tables)


def _list_tables(network: torch.nn.Module) -> list[torch.nn.Parameter]:
    embeddings = [module for module in network.modules() if isinstance(module, torch.nn.Embedding)]
    head = network.get_output_embeddings()  # type: ignore[operator]  # of transformers' models
    return [module.weight for module in (*embeddings, head) if module is not None]
