"""What every method promises, checked on one architecture with tiny random weights."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.families.tiny import VOCABULARY, build_empty_network, build_network
from tuneoff.methods import METHODS, Method
from tuneoff.models.continuations import score_continuations
from tuneoff.models.generation import compute_prompt, generate, generate_with_transformers
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.learned_prefix import add_prefix
from tuneoff.models.probe import can_split_head
from tuneoff.runner.fit import MisfitError, apply_to_shape

CHECKED: Mapping[str, Method] = {
    name: METHODS[name].read(hyperparameters)
    for name, hyperparameters in {
        **{name: {} for name in METHODS},
        "last-blocks": {"blocks": 1},
        "lisa": {"blocks": 1},
        "adapter": {"width": 4},
        "soft-prompt": {"tokens": 5},
        "p-tuning": {"tokens": 3, "width": 8},
        "prefix": {"tokens": 3},
        "peft": {"peft_type": "VERA", "target_modules": "all-linear"},
    }.items()
}
NEW_TOKENS = 5
CLOSE = {"rtol": 1e-3, "atol": 1e-4}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Whether a method fits an architecture, and which of its promises it breaks."""

    reason: str = ""  # why it does not fit; empty if it does
    broken: tuple[str, ...] = ()


def check_method(architecture: str, name: str, tokenizer: Any) -> Outcome:
    """Check a method of `CHECKED` on an architecture."""

    def load() -> LanguageModel:
        network = build_network(architecture)
        return LanguageModel(network, tokenizer, "tiny", split_head=can_split_head(network))

    def build() -> LanguageModel:
        return LanguageModel(build_empty_network(architecture), tokenizer, "tiny", split_head=True)

    method = CHECKED[name]
    try:
        apply_to_shape(method, build, load)
    except MisfitError as misfit:
        return Outcome(reason=str(misfit))
    broken = []
    try:
        trained = _train(method, load())
    except Exception as error:  # a failure of any kind is what a check is for
        return Outcome(broken=(f"a step works: {_describe(error)}",))
    for promise, check in CHECKS.items():
        try:
            is_kept = check(Case(method=method, load=load, trained=trained))
        except Exception as error:  # a failure of any kind is what a check is for
            broken.append(
                f"{promise}: {type(error).__name__}: {str(error).splitlines()[0][:200] if str(error) else ''}"
            )
        else:
            broken += [] if is_kept else [promise]
    return Outcome(broken=tuple(broken))


@dataclass(frozen=True, kw_only=True)
class Case:
    """A method on an architecture."""

    method: Method
    load: Callable[[], LanguageModel]  # returns a new base model
    trained: LanguageModel  # after a few steps


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _starts_as_base(case: Case) -> bool:
    torch.manual_seed(2)
    started = _compute_logits(_apply(case.method, case.load()))
    return not case.method.starts_as_base or _are_close(started, _compute_logits(case.load()))


def _learns(case: Case) -> bool:
    """A step changes the logits, and nothing becomes infinite."""
    torch.manual_seed(2)
    started, ended = _compute_logits(_apply(case.method, case.load())), _compute_logits(case.trained)
    return bool(torch.isfinite(ended).all()) and torch.equal(started, ended) is not case.method.trains


def _ignores_right_padding(case: Case) -> bool:
    model, tokens_BT = case.trained.eval(), _make_tokens()
    alone = _compute_logits(model, tokens_BT[:1, :8])
    padded_1T = torch.cat([tokens_BT[:1, :8], torch.ones(1, 6, dtype=torch.long)], dim=1)
    attention_1T = (torch.arange(14) < 8).long()[None]
    scored_1T = (torch.arange(14) >= 3)[None] & attention_1T.bool()
    with torch.no_grad():
        return _are_close(model.logits(padded_1T, attention_1T, scored_1T), alone)


def _ignores_left_padding(case: Case) -> bool:
    model, padded_BT = case.trained.eval(), _make_tokens()
    padded_BT[0, :5] = 1
    attention_BT = torch.ones_like(padded_BT)
    attention_BT[0, :5] = 0
    together = _generate(model, padded_BT, attention_BT)
    alone = [
        _generate(model, row[mask.bool()][None], mask[mask.bool()][None])[0]
        for row, mask in zip(padded_BT, attention_BT, strict=True)
    ]
    return torch.equal(together, torch.stack(alone))


def _generates_what_its_logits_say(case: Case) -> bool:
    model, tokens_BT = case.trained.eval(), _make_tokens()
    generated_BN = _generate(model, tokens_BT, torch.ones_like(tokens_BT))
    text_BT = torch.cat([tokens_BT, generated_BN], dim=1)
    scored_BT = torch.zeros_like(text_BT, dtype=torch.bool)
    scored_BT[:, -NEW_TOKENS:] = True
    with torch.no_grad():
        logits_NV = model.logits(text_BT, torch.ones_like(text_BT), scored_BT)
    chosen_N = logits_NV.gather(1, generated_BN.flatten()[:, None])[:, 0]
    return _are_close(chosen_N, logits_NV.max(dim=1).values)  # equal logits may be ordered in either way


def _scores_texts_as_alone(case: Case) -> bool:
    """Texts after prompts of different lengths, as labels are scored, against complete texts without padding."""
    model, tokens_BT = case.trained.eval(), _make_tokens()
    attention_BT = torch.ones_like(tokens_BT)
    tokens_BT[0, :5], attention_BT[0, :5] = 1, 0
    texts = [(7, 0), (40, 50, 50, 0), (9,)]
    alone_BC = torch.tensor([[_score_alone(model, row[mask.bool()], text) for text in texts]
                             for row, mask in zip(tokens_BT, attention_BT, strict=True)])  # fmt: skip
    return _are_close(score_continuations(model, tokens_BT, attention_BT, texts).float(), alone_BC)


def _score_alone(model: LanguageModel, prompt_T: Tensor, text: Sequence[int]) -> float:
    complete_1T = torch.cat([prompt_T, prompt_T.new_tensor(text)])[None]
    ones_1T = torch.ones_like(complete_1T)
    with torch.no_grad():
        return -float(model(complete_1T, ones_1T, (ones_1T.cumsum(dim=1) > len(prompt_T))).sum())


def _generates_as_transformers(case: Case) -> bool:
    """Each row gets what transformers' `generate` writes after it alone: some models mix up the rows of a batch."""
    model, tokens_BT = case.trained.eval(), _make_tokens()
    ones_1T, prompt_PD = torch.ones_like(tokens_BT[:1]), compute_prompt(model)
    options = {"max_new_tokens": NEW_TOKENS, "min_new_tokens": NEW_TOKENS}
    theirs = [generate_with_transformers(model, row[None], ones_1T, prompt_PD, options) for row in tokens_BT]
    return torch.equal(_generate(model, tokens_BT, torch.ones_like(tokens_BT)), torch.cat(theirs))


def _is_the_same_after_saving(case: Case) -> bool:
    model = case.trained
    with tempfile.TemporaryDirectory() as folder:
        case.method.save(model, Path(folder))
        loaded = case.method.load(case.load(), Path(folder))
    return _are_close(_compute_logits(loaded), _compute_logits(model))


def _is_the_same_after_merging(case: Case) -> bool:
    model = copy.deepcopy(case.trained)
    return _are_close(_compute_logits(case.method.merge(model)), _compute_logits(case.trained))


CHECKS: Mapping[str, Callable[[Case], bool]] = {
    "starts as the base model": _starts_as_base,
    "steps change finite logits": _learns,
    "padding on the right changes nothing": _ignores_right_padding,
    "padding on the left changes no generated token": _ignores_left_padding,
    "generation follows the logits": _generates_what_its_logits_say,
    "generation is transformers' own": _generates_as_transformers,
    "the likelihood of a text is that after its prompt alone": _scores_texts_as_alone,
    "saved and loaded is the same": _is_the_same_after_saving,
    "merged is the same": _is_the_same_after_merging,
}


def is_prefix_like_text(network: Any) -> bool:
    """Return whether a prefix gives the logits that its text before every row gives."""
    tokens_BT, text_P = _make_tokens()[:, :4], torch.tensor([7, 8, 9])
    text_BT = torch.cat([text_P.expand(len(tokens_BT), -1), tokens_BT], dim=1)
    with torch.no_grad():
        expected = network(input_ids=text_BT, attention_mask=torch.ones_like(text_BT), use_cache=False).logits
        add_prefix(network, text_P.tolist(), random=False)
        started = network(input_ids=tokens_BT, attention_mask=torch.ones_like(tokens_BT), use_cache=False).logits
    return _are_close(started, expected[:, len(text_P) :])


def _make_tokens() -> Tensor:
    return torch.randint(2, VOCABULARY, (3, 11), generator=torch.Generator().manual_seed(1))


def _compute_logits(model: LanguageModel, tokens_BT: Tensor | None = None) -> Tensor:
    tokens_BT = _make_tokens() if tokens_BT is None else tokens_BT
    scored_BT = torch.zeros_like(tokens_BT, dtype=torch.bool)
    scored_BT[:, 3:] = True
    with torch.no_grad():
        return model.eval().logits(tokens_BT, torch.ones_like(tokens_BT), scored_BT)


def _apply(method: Method, base: LanguageModel) -> LanguageModel:
    tuned = method.apply(base)

    def read(rows: int) -> None:
        for tokens_T in _make_tokens()[:rows]:
            _compute_logits(tuned, tokens_T[None])

    if method.reads_train:
        method.set_start(tuned, read)
    return tuned


def _train(method: Method, base: LanguageModel) -> LanguageModel:
    torch.manual_seed(2)
    model, tokens_BT = _apply(method, base), _make_tokens()
    model.base.generation_config.eos_token_id = None
    model.base.generation_config.pad_token_id = 1
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not trained:
        return model
    optimizer = torch.optim.AdamW(trained, lr=1e-2)
    scored_BT = torch.ones_like(tokens_BT, dtype=torch.bool)
    scored_BT[:, 0] = False
    for _ in range(2):
        model.train()(tokens_BT, torch.ones_like(tokens_BT), scored_BT).mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    return model


def _generate(model: LanguageModel, tokens_BT: Tensor, attention_BT: Tensor) -> Tensor:
    return generate(model, tokens_BT, attention_BT, max_new_tokens=NEW_TOKENS, min_new_tokens=NEW_TOKENS)


def _are_close(first: Tensor, second: Tensor) -> bool:
    scale = max(float(second.abs().max()), 1.0)
    return first.shape == second.shape and torch.allclose(first, second, rtol=CLOSE["rtol"], atol=scale * CLOSE["atol"])
