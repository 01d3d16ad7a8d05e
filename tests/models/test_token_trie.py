"""Constrained generation: the text becomes one of the sequences, and the right one."""

import itertools

import pytest
import torch

from tests.models.tuned import WAYS, Load, load_tuned, make_prompts
from tuneoff.models import generation
from tuneoff.models.continuations import score_continuations
from tuneoff.models.generation import generate
from tuneoff.models.sampling import Sampling
from tuneoff.models.token_trie import TokenTrie

END, PAD = 0, 1
C, PLUS = 40, 50
SEQUENCES = [(C, END), (C, PLUS, PLUS, END), (C, 60, END), (70, 80, END), (70, 81, 82, 83, END)]  # C, C++, C#, ...


def strip_padding(rows: torch.Tensor) -> list[tuple[int, ...]]:
    return [(*itertools.takewhile(lambda token: token != END, row), END) for row in rows.tolist()]


def test_a_sequence_may_be_the_beginning_of_another() -> None:
    trie = TokenTrie(SEQUENCES)
    assert trie.list_next([]) == [C, 70]
    assert trie.list_next([C]) == [END, PLUS, 60]
    assert trie.list_next([C, END]) == trie.list_next([99]) == []


def test_no_sequences_are_refused() -> None:
    with pytest.raises(ValueError, match="no sequences"):
        TokenTrie([])


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("method", WAYS)
def test_every_text_is_one_of_the_sequences(method: str, beams: int, load_tiny: Load) -> None:
    model = load_tuned(load_tiny, "llama", method)
    rows = generate(model, *make_prompts(), max_new_tokens=5, beams=beams, allowed=TokenTrie(SEQUENCES))
    assert set(strip_padding(rows)) <= set(SEQUENCES)


@pytest.mark.parametrize("method", ["base", "soft-prompt"])
def test_greedy_decoding_takes_the_most_likely_allowed_token(
    method: str, load_tiny: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, prompts = load_tuned(load_tiny, "qwen2", method), make_prompts()
    rows = generate(model, *prompts, max_new_tokens=5, allowed=TokenTrie(SEQUENCES))
    prefixes = sorted({sequence[:n] for sequence in SEQUENCES for n in range(1, len(sequence) + 1)})
    scores_BP = score_continuations(model, *prompts, prefixes)
    for row, scores in zip(strip_padding(rows), scores_BP.tolist(), strict=True):
        score = dict(zip(prefixes, scores, strict=True))
        for n in range(len(row)):
            rivals = [prefix for prefix in prefixes if len(prefix) == n + 1 and prefix[:n] == row[:n]]
            assert row[: n + 1] == max(rivals, key=score.__getitem__)
    monkeypatch.setattr(generation, "can_use_own_decoding", lambda *_: False)
    assert torch.equal(generate(model, *prompts, max_new_tokens=5, allowed=TokenTrie(SEQUENCES)), rows)


@pytest.mark.parametrize("method", ["base", "prefix", "soft-prompt"])
def test_enough_beams_find_the_most_likely_sequence_per_token(method: str, load_tiny: Load) -> None:
    model, prompts = load_tuned(load_tiny, "llama", method), make_prompts()
    rows = generate(model, *prompts, max_new_tokens=5, beams=8, allowed=TokenTrie(SEQUENCES))
    scores_BC = score_continuations(model, *prompts, SEQUENCES)
    per_token_BC = scores_BC / torch.tensor([len(sequence) for sequence in SEQUENCES])
    assert strip_padding(rows) == [SEQUENCES[best] for best in per_token_BC.argmax(dim=1).tolist()]


def test_samples_are_sequences_as_often_as_the_model_says(load_tiny: Load) -> None:
    model, prompts = load_tiny("llama"), make_prompts((9,))
    sequences = [(C, END), (70, END), (71, END)]
    rows = generate(
        model, *prompts, max_new_tokens=2, allowed=TokenTrie(sequences), sampling=Sampling(temperature=1, samples=4000)
    )
    counts = [strip_padding(rows).count(sequence) / 4000 for sequence in sequences]
    scores_C = score_continuations(model, *prompts, [(C,), (70,), (71,)])[0]
    torch.testing.assert_close(torch.tensor(counts).double(), scores_C.softmax(dim=0), rtol=0, atol=0.03)
