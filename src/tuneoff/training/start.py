"""The first values of what is trained, for a method whose first values depend on the train split."""

from __future__ import annotations

from collections.abc import Callable

import torch

from tuneoff.data import count_tokens
from tuneoff.data.batches import make_epoch_batches
from tuneoff.models.language_model import LanguageModel
from tuneoff.runtime.context import TrialContext
from tuneoff.runtime.progress import Progress
from tuneoff.training.spec import TrainingSpec


def set_start(
    set_values: Callable[[LanguageModel, Callable[[int], None]], None],
    model: LanguageModel,
    spec: TrainingSpec,
    context: TrialContext,
) -> float:
    """Let a method set its first values, and return the seconds. They and the memory count as training.

    It reads rows of train in the order of the first epoch, one at a time, so that no layer sees padding. The values are
    a function of the spec and the model, so that a training that is resumed starts from the same ones.

    Args:
        set_values: the method's own; its second argument lets the model read so many rows.
    """
    batches = make_epoch_batches(count_tokens(spec.text.train), spec.options.effective_batch_size, spec.seed, 1)
    order = [row for batch in batches for row in batch]

    def read(number: int) -> None:
        rows = order[:number]
        context.on_progress(Progress(phase="start", of=len(rows)))
        for done, row in enumerate(rows, start=1):
            _read_row(model, spec.text.train[row]["tokens"], context)
            context.on_progress(Progress(phase="start", done=done, of=len(rows)))

    before = context.meter.get_seconds("training")
    with context.meter.phase("training"):
        model.eval()
        set_values(model, read)
    return context.meter.get_seconds("training") - before


@torch.no_grad()
def _read_row(model: LanguageModel, tokens: list[int], context: TrialContext) -> None:
    tokens_1T = torch.tensor(tokens, device=context.device)[None]
    predicted_1T = torch.zeros_like(tokens_1T, dtype=torch.bool)
    predicted_1T[:, -1] = True
    with context.accelerator.autocast():
        model.logits(tokens_1T, torch.ones_like(predicted_1T), predicted_1T)
