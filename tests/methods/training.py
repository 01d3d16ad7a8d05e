"""Train a model for some steps, and compute its logits."""

import torch
from torch import Tensor

from tuneoff.methods import Method
from tuneoff.models.language_model import LanguageModel


def compute_logits(model: LanguageModel, tokens_BT: Tensor, attention_BT: Tensor | None = None) -> Tensor:
    """The logits that predict the last five tokens of each row, (B * 5, V)."""
    scored_BT = torch.zeros_like(tokens_BT, dtype=torch.bool)
    scored_BT[:, -5:] = True
    attention_BT = torch.ones_like(tokens_BT) if attention_BT is None else attention_BT
    with torch.no_grad():
        return model.eval().logits(tokens_BT, attention_BT, scored_BT)


def take_steps(model: LanguageModel, tokens_BT: Tensor, steps: int = 3) -> None:
    trained = [p for p in model.parameters() if p.requires_grad]
    if not trained:
        return
    optimizer = torch.optim.AdamW(trained, lr=1e-2)
    scored_BT = torch.ones_like(tokens_BT, dtype=torch.bool)
    scored_BT[:, 0] = False
    for _ in range(steps):
        logits_NV = model.train().logits(tokens_BT, torch.ones_like(tokens_BT), scored_BT)
        torch.nn.functional.cross_entropy(logits_NV, tokens_BT[scored_BT]).backward()
        optimizer.step()
        optimizer.zero_grad()


def apply(method: Method, base: LanguageModel, tokens_BT: Tensor) -> LanguageModel:
    """The method applied to a model, with its first values from these rows if it reads rows of train."""
    tuned = method.apply(base)

    def read(number: int) -> None:
        for tokens_T in tokens_BT[:number]:
            compute_logits(tuned, tokens_T[None])

    if method.reads_train:
        method.set_start(tuned, read)
    return tuned
