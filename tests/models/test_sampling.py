"""Sampling: the distribution is the model's, and what is sampled belongs to the prompt."""

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.conftest import ARCHITECTURES
from tests.models.tuned import WAYS, Load, list_prompts_alone, load_tuned, make_prompts
from tuneoff.models import generation, greedy_decoding
from tuneoff.models.generation import generate
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.sampling import Sampling, build_sampler, draw_uniform

NEW = 8


def sample_next(logits_V: Tensor, sampling: Sampling) -> Tensor:
    """Sample the first token after one prompt, as often as `sampling` says."""
    one = torch.ones(1, 1, dtype=torch.long)
    choose = build_sampler(sampling, one, one, 1)
    rows = sampling.samples
    chosen = choose(logits_V.expand(rows, -1), torch.zeros(rows, 0, dtype=torch.long), torch.arange(rows))
    assert (chosen.isfinite().sum(dim=1) == 1).all(), "one token is left possible"
    return chosen.argmax(dim=1)


def test_tokens_are_sampled_as_often_as_they_are_likely() -> None:
    logits_V = torch.tensor([2.0, 0.0, -torch.inf, 1.0])
    counts = sample_next(logits_V, Sampling(temperature=2.0, samples=20_000)).bincount(minlength=4)
    expected = (logits_V / 2).softmax(dim=0)
    assert torch.allclose(counts / 20_000, expected, atol=0.01)
    assert counts[2] == 0


@pytest.mark.parametrize(
    ("limits", "possible"), [({"top_k": 2}, {0, 3}), ({"top_p": 0.5}, {0}), ({"top_p": 0.8}, {0, 3})]
)
def test_only_tokens_within_the_limits_are_sampled(limits: dict[str, float], possible: set[int]) -> None:
    logits_V = torch.tensor([0.55, 0.05, 0.1, 0.3]).log()
    assert set(sample_next(logits_V, Sampling(samples=2_000, **limits)).tolist()) == possible


def test_the_numbers_belong_to_the_prompt_the_sample_and_the_seed() -> None:
    tokens_BT, attention_BT = make_prompts()
    uniform_SN = draw_uniform(Sampling(samples=3), tokens_BT, attention_BT, NEW)
    alone = draw_uniform(Sampling(samples=2), *list_prompts_alone((tokens_BT, attention_BT))[4], 5)
    assert torch.equal(uniform_SN[12:14, :5], alone)
    assert len(np.unique(uniform_SN)) == 18 * NEW
    assert not torch.equal(uniform_SN, draw_uniform(Sampling(samples=3, seed=1), tokens_BT, attention_BT, NEW))


@pytest.mark.parametrize("method", WAYS)
def test_what_is_sampled_does_not_depend_on_the_batch(method: str, load_tiny: Load) -> None:
    model = load_tuned(load_tiny, "llama", method)
    prompts = make_prompts()
    options = {"max_new_tokens": NEW, "min_new_tokens": NEW, "sampling": Sampling(temperature=1.5, samples=2)}
    together = generate(model, *prompts, **options)
    alone = [generate(model, *prompt, **options) for prompt in list_prompts_alone(prompts)]
    assert torch.equal(together, torch.cat(alone))
    assert len(together.unique(dim=0)) == 12, "all samples differ"


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("method", ["base", "soft-prompt", "prefix"])
def test_transformers_samples_the_same_tokens(
    architecture: str, method: str, load_tiny: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_tuned(load_tiny, architecture, method)
    options = {"max_new_tokens": NEW, "sampling": Sampling(top_k=40, samples=2)}
    ours = generate(model, *make_prompts(), **options)
    monkeypatch.setattr(generation, "can_use_own_decoding", lambda *_: False)
    assert torch.equal(ours, generate(model, *make_prompts(), **options))


def test_each_prompt_is_read_once_for_all_of_its_samples(load_tiny: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(greedy_decoding, "READ_TOGETHER", 4)
    model: LanguageModel = load_tiny("llama")
    seen: list[tuple[int, ...]] = []
    model.blocks[0].register_forward_pre_hook(lambda _, inputs: seen.append(tuple(inputs[0].shape[:2])))
    generate(model, *make_prompts(), max_new_tokens=2, min_new_tokens=2, sampling=Sampling(samples=3))
    assert seen == [(4, 14), (2, 7), (18, 1)]


def test_one_possible_token_is_what_greedy_decoding_takes(load_tiny: Load) -> None:
    model = load_tiny("qwen2")
    greedy = generate(model, *make_prompts(), max_new_tokens=NEW)
    assert torch.equal(generate(model, *make_prompts(), max_new_tokens=NEW, sampling=Sampling(top_k=1)), greedy)
