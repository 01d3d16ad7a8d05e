"""Tests whether an arm's rows in a batch with others get the logits that the trained model itself computes.

Shapes: N logits of a row, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tuneoff.errors import RunError
from tuneoff.models.greedy_decoding import has_window
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.shared_weights import copy_sharing_weights
from tuneoff.serving.arms import Arm
from tuneoff.serving.lane import Lane, group_prompts
from tuneoff.serving.mixed_network import MixedNetwork
from tuneoff.serving.requests import Request, Sampling
from tuneoff.serving.row import Row

LENGTHS = (7, 4)  # tokens of the prompts of each arm
TOLERANCE = 1e-4  # of the largest logit, in float32
ROUNDING_STEPS = 16  # of the largest logit, in coarser types
NOTICED = 0.3  # share of an arm's effect that a difference in coarser types may have


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How an arm's logits in a batch agree with those of the trained model alone.

    Args:
        largest_difference: between logits.
        agrees: whether it is rounding.
        same_tokens: whether the most likely tokens are the same.
    """

    largest_difference: float
    agrees: bool
    same_tokens: bool


def open_mixed_lane(base: LanguageModel, arms: Sequence[Arm]) -> Lane:
    """Return a lane of the base model with the changes of some arms."""
    network = MixedNetwork(copy_sharing_weights(base))
    for arm in arms:
        if arm.loaded.changes is not None:
            network.add(arm, dict(arm.loaded.changes.modules))
    return Lane(network, has_window=has_window(base.base))


def open_own_lane(arm: Arm) -> Lane:
    """Return a lane of an arm alone."""
    model = arm.loaded.model
    return Lane(MixedNetwork(model), has_window=has_window(model.base))


def find_lane(arm: Arm, base: LanguageModel) -> tuple[Arm, Lane | None]:
    """Return an arm and, if it cannot share batches, a lane of its own, with a note that says why.

    Raises:
        RunError: neither way gives the logits of the trained model.
    """
    if arm.mixes:
        try:
            if compare_with_alone(open_mixed_lane(base, [arm]), [arm], base)[arm.name].agrees:
                return arm, None
            reason = "In a batch with others its logits would be wrong"
        except Exception as error:  # whatever the model's code raises for such a batch
            reason = f"Its modules do not work row by row ({type(error).__name__})"
        arm = arm.set_apart(f"{reason}, so its rows have batches of their own.")
    agreement = compare_with_alone(open_own_lane(arm), [arm], base)[arm.name]
    if not agreement.agrees:
        raise RunError(
            f"{arm.name} cannot be served: answered token by token, its logits differ from those of the trained "
            f"model by {agreement.largest_difference:.2g}."
        )
    return arm, open_own_lane(arm)


def require_agreement(arms: Sequence[Arm], base: LanguageModel) -> dict[str, Agreement]:
    """Return how each arm agrees, in one batch with the others where it mixes.

    Raises:
        RunError: an arm differs by more than rounding.
    """
    mixing = [arm for arm in arms if arm.mixes]
    found = compare_with_alone(open_mixed_lane(base, mixing), mixing, base) if mixing else {}
    for arm in arms:
        if not arm.mixes:
            found |= compare_with_alone(open_own_lane(arm), [arm], base)
    wrong = [f"{name} by {one.largest_difference:.2g}" for name, one in found.items() if not one.agrees]
    if wrong:
        raise RunError(f"In a batch with others, logits differ from those of the model alone: {', '.join(wrong)}.")
    return found


def compare_with_alone(lane: Lane, arms: Sequence[Arm], base: LanguageModel) -> dict[str, Agreement]:
    """Put two rows of each arm through a lane, and compare the logits after a prompt and after one more token.

    Raises:
        Exception: whatever the lane's network raises; it cannot compute such a batch.
    """
    texts = _make_texts(base, 2 * len(arms))
    rows = [
        Row(Request(arm=arm.name, prompt_ids=text[:-1], sampling=Sampling(max_tokens=1, temperature=0)), arm, _ignore,
            base.tokenizer, frozenset())
        for arm, text in zip([arm for arm in arms for _ in LENGTHS], texts, strict=True)
    ]  # fmt: skip
    dtype = base.base.get_input_embeddings().weight.dtype
    computed = _run(lane, rows, texts)
    agreements: dict[str, list[Agreement]] = {}
    for row, text, logits_NV in zip(rows, texts, computed, strict=True):
        alone_NV, base_NV = (_compute_alone(model, text) for model in (row.arm.loaded.model, base))
        agreements.setdefault(row.arm.name, []).append(_judge(logits_NV, alone_NV, base_NV, dtype))
    return {
        name: Agreement(
            largest_difference=max(one.largest_difference for one in of_arm),
            agrees=all(one.agrees for one in of_arm),
            same_tokens=all(one.same_tokens for one in of_arm),
        )
        for name, of_arm in agreements.items()
    }


def _make_texts(base: LanguageModel, count: int) -> list[tuple[int, ...]]:
    """Return random tokens, alternately of each of the lengths."""
    generator = torch.Generator().manual_seed(0)
    vocabulary = base.base.get_input_embeddings().num_embeddings
    lengths = [LENGTHS[number % len(LENGTHS)] for number in range(count)]
    return [tuple(torch.randint(vocabulary, (length,), generator=generator).tolist()) for length in lengths]


def _run(lane: Lane, rows: Sequence[Row], texts: Sequence[tuple[int, ...]]) -> list[Tensor]:
    """Return the logits of each row, (2, V): after all of its text but one token, and after all of it."""
    first: dict[Row, Tensor] = {}
    text_of = dict(zip(rows, texts, strict=True))
    for group in group_prompts(rows, has_window=lane.has_window):
        for row, logits_TV, states in zip(group, *lane.read_group(group), strict=True):
            first[row] = logits_TV[-1]
            row.tokens = [text_of[row][-1]]
            lane.cache.append(states, row.length, 1)
            lane.rows.append(row)
    second = dict(zip(lane.rows, lane.compute_next(), strict=True))
    return [torch.stack([first[row], second[row]]) for row in rows]


@torch.no_grad()
def _compute_alone(model: LanguageModel, text: tuple[int, ...]) -> Tensor:
    """Return the model's own logits, (2, V), after all of a text but one token, and after all of it."""
    tokens_1T = torch.tensor([[*text, text[-1]]], device=model.base.device)  # the last position predicts nothing
    scored_1T = torch.zeros_like(tokens_1T, dtype=torch.bool)
    scored_1T[:, -2:] = True
    return model.logits(tokens_1T, torch.ones_like(scored_1T), scored_1T).float()


def _judge(logits_NV: Tensor, alone_NV: Tensor, base_NV: Tensor, dtype: torch.dtype) -> Agreement:
    difference_NV, effect_NV = logits_NV - alone_NV, base_NV - alone_NV
    largest, scale = float(difference_NV.abs().max()), float(alone_NV.abs().max())
    is_rounding = largest <= TOLERANCE * scale
    if dtype != torch.float32 and not is_rounding:
        is_small = bool(difference_NV.norm() <= NOTICED * effect_NV.norm()) or not effect_NV.any()
        is_rounding = largest <= ROUNDING_STEPS * torch.finfo(dtype).eps * scale and is_small
    return Agreement(
        largest_difference=largest,
        agrees=is_rounding,
        same_tokens=torch.equal(logits_NV.argmax(-1), alone_NV.argmax(-1)),
    )


def _ignore(_: object) -> None:
    """Report to nobody."""
