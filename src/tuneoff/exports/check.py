"""Whether an export computes what the trained model computes."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from tuneoff.config.base import Options
from tuneoff.errors import RunError
from tuneoff.exports.exportable import Prompt
from tuneoff.exports.format import Reader

NEW_TOKENS = 24  # of each answer that is compared
# The largest difference of a logit, in standard deviations of the logits. Rounding the weights of SmolLM2-135M to
# bfloat16 moved a logit by up to 0.3 of them, to float16 by 0.03; float32 differs by the order of its sums.
TOLERANCES = {"float32": 0.005, "float16": 0.1, "bfloat16": 0.8, "q8_0": 0.8}
LOSS_TOLERANCE = 0.02  # nats per token


class ExportCheck(Options):
    """The export beside the trained model, both on the same test examples. Stored as export.json."""

    format: str
    precision: str
    prompts: int
    largest_logit_difference: float
    logit_sd: float  # of the trained model's logits over the vocabulary, mean over positions
    argmax_agreement: float  # share of the positions whose most likely token is the same
    same_answers: int  # prompts whose greedy answer is the same, token for token
    loss_before: float  # nats per target token of the test examples
    loss_after: float
    # the model on the quantised base beside the one with the weights that its codes stand for, which is exported
    dequantised: ExportCheck | None = Field(None, exclude_if=lambda check: check is None)


def compare_readers(
    trained: Reader, exported: Reader, prompts: Sequence[Prompt], *, name: str, precision: str
) -> ExportCheck:
    """Compute both models' logits, answers and losses."""
    differences, deviations, agreements, losses, same = [], [], [], [], 0
    for prompt in prompts:
        tokens = prompt.tokens + prompt.answer
        before_TV, after_TV = trained.compute_logits(tokens), exported.compute_logits(tokens)
        after_TV = after_TV[:, : before_TV.shape[1]]  # some tools pad the vocabulary
        differences.append((before_TV - after_TV).abs().max().item())
        deviations.append(before_TV.std(dim=1).mean().item())
        agreements.append((before_TV.argmax(dim=1) == after_TV.argmax(dim=1)).float().mean().item())
        losses.append([_compute_loss(logits_TV, prompt) for logits_TV in (before_TV, after_TV)])
        same += trained.generate(prompt.tokens, NEW_TOKENS) == exported.generate(prompt.tokens, NEW_TOKENS)
    return ExportCheck(
        format=name,
        precision=precision,
        prompts=len(prompts),
        largest_logit_difference=max(differences),
        logit_sd=fmean(deviations),
        argmax_agreement=fmean(agreements),
        same_answers=same,
        loss_before=fmean(before for before, _ in losses),
        loss_after=fmean(after for _, after in losses),
    )


def require_equal(check: ExportCheck) -> None:
    """Refuse an export that differs from the trained model by more than rounding.

    Raises:
        RunError: with the difference.
    """
    largest = check.largest_logit_difference / check.logit_sd
    loss_change = check.loss_after - check.loss_before
    if largest <= TOLERANCES[check.precision] and abs(loss_change) <= LOSS_TOLERANCE:
        return
    raise RunError(
        f"The export as {check.format} ({check.precision}) differs from the trained model by more than rounding: a "
        f"logit by {largest:.2g} standard deviations (allowed {TOLERANCES[check.precision]:g}), the loss by "
        f"{loss_change:+.3f} nats per token (allowed {LOSS_TOLERANCE:g}). Nothing was kept. Try --dtype float32, or "
        "--as adapter, which stores the trained weights as they are."
    )


def describe_check(check: ExportCheck) -> str:
    """Return the check as sentences."""
    dequantised = check.dequantised
    of_base = (
        " The run trained and judged it on a quantised base. What is exported has the weights that the codes stand "
        f"for, and differs from that by at most {dequantised.largest_logit_difference:.2g} in a logit; "
        f"{dequantised.argmax_agreement:.1%} of the most likely tokens are the same, and the loss goes from "
        f"{dequantised.loss_before:.4f} to {dequantised.loss_after:.4f} nats per token."
        if dequantised
        else ""
    )
    return (
        f"It was read back and compared with the trained model on {check.prompts} test examples: the largest "
        f"difference of a logit is {check.largest_logit_difference:.2g} (the logits' standard deviation is "
        f"{check.logit_sd:.2g}), "
        f"{check.argmax_agreement:.1%} of the most likely tokens are the same, and so are {check.same_answers} of "
        f"{check.prompts} answers. Loss before and after: {check.loss_before:.4f} and {check.loss_after:.4f} nats per "
        f"token. Precision: {check.precision}.{of_base}"
    )


def _compute_loss(logits_TV: Tensor, prompt: Prompt) -> float:
    """Return the nats per token of the answer."""
    predicting_AV = logits_TV[len(prompt.tokens) - 1 : -1]
    return float(functional.cross_entropy(predicting_AV, torch.tensor(prompt.answer)))
