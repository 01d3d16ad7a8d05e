import dataclasses
import random

import pytest
import torch
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from tuneoff.data import collate, collate_prompts, make_epoch_batches, make_evaluation_batches
from tuneoff.data.batches import WORTH_A_PASS, chunk, divide_rows

LENGTHS = st.lists(st.integers(1, 300), max_size=80)
PAD = 9


@pytest.fixture
def split():
    return Dataset.from_dict({"tokens": [[1, 2, 3, 0], [4, 0], [5, 6, 7, 8, 0]], "prompt_tokens": [2, 1, 4]})


@settings(deadline=None)
@given(LENGTHS, st.integers(1, 9), st.integers(0, 5), st.integers(0, 5))
def test_an_epoch_has_every_example_once(lengths, batch_size, seed, epoch):
    batches = make_epoch_batches(lengths, batch_size, seed, epoch)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))


@settings(deadline=None)
@given(LENGTHS, st.integers(1, 9))
def test_only_one_batch_of_an_epoch_may_be_smaller(lengths, batch_size):
    sizes = sorted(map(len, make_epoch_batches(lengths, batch_size, seed=0, epoch=0)))
    assert all(size == batch_size for size in sizes[1:])


def test_the_same_seed_and_epoch_give_the_same_batches():
    lengths = [n % 37 + 1 for n in range(100)]
    assert make_epoch_batches(lengths, 4, 1, 2) == make_epoch_batches(lengths, 4, 1, 2)


def test_seed_and_epoch_both_decide_the_batches():
    lengths = [n % 37 + 1 for n in range(100)]
    orders = {str(make_epoch_batches(lengths, 4, seed, epoch)) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9


def test_the_global_generator_is_not_used():
    before = torch.get_rng_state()
    make_epoch_batches([1, 2, 3], 2, 0, 0)
    assert torch.equal(torch.get_rng_state(), before)


def test_examples_of_similar_length_share_a_batch():
    lengths = torch.randint(1, 300, (800,), generator=torch.Generator().manual_seed(0)).tolist()
    padded = sum(max(lengths[row] for row in batch) * len(batch) for batch in make_epoch_batches(lengths, 8, 0, 0))
    assert padded < 1.1 * sum(lengths)


@given(LENGTHS, st.integers(1, 9))
def test_evaluation_batches_go_from_long_to_short(lengths, batch_size):
    rows = [row for batch in make_evaluation_batches(lengths, batch_size) for row in batch]
    assert [lengths[row] for row in rows] == sorted(lengths, reverse=True)


def test_evaluation_keeps_equal_lengths_in_order():
    assert make_evaluation_batches([5, 5, 5, 7], 2) == [[3, 0], [1, 2]]


def test_a_row_that_is_much_longer_than_the_others_has_a_batch_of_its_own() -> None:
    lengths = [300, 310, 2000, 290, 305, 900]
    assert make_evaluation_batches(lengths, 8) == [[2], [5], [1, 4, 0, 3]]
    assert divide_rows([0, 5, 1], lengths, 2) == [[0, 5], [1]], "it would save fewer positions than a pass is worth"
    assert divide_rows([3, 0, 2, 1], lengths, 4) == [[2], [1, 0, 3]]


@pytest.mark.parametrize("seed", range(5))
def test_every_row_is_in_one_part_and_a_division_never_has_more_padding(seed: int) -> None:
    draw = random.Random(seed)
    lengths = [draw.choice((20, 100, 500, 3000)) for _ in range(30)]
    rows = draw.sample(range(30), 23)

    def count_positions(parts: list[list[int]]) -> int:
        return sum(len(part) * max(lengths[row] for row in part) for part in parts)

    divided, whole = divide_rows(rows, lengths, 7), chunk(rows, 7)
    assert sorted(row for part in divided for row in part) == sorted(rows)
    assert count_positions(divided) <= count_positions(whole) - WORTH_A_PASS * (len(divided) - len(whole))
    assert all(len(part) <= 7 for part in divided)


def test_a_batch_is_padded_on_the_right_to_its_own_longest(split):
    batch = collate(split, [1, 0], PAD, "target")
    assert batch.tokens_BT.tolist() == [[4, 0, PAD, PAD], [1, 2, 3, 0]]


def test_padding_is_not_attended_to(split):
    batch = collate(split, [1, 0], PAD, "target")
    assert batch.attention_BT.tolist() == [[True, True, False, False], [True] * 4]


def test_the_loss_scores_the_target_and_its_eos(split):
    batch = collate(split, [1, 0], PAD, "target")
    assert batch.scored_BT.tolist() == [[False, True, False, False], [False, False, True, True]]


def test_the_loss_on_all_scores_every_token_but_the_first(split):
    batch = collate(split, [1, 0], PAD, "all")
    assert batch.scored_BT.tolist() == [[False, True, False, False], [False, True, True, True]]


def test_a_batch_has_its_rows_and_counts_without_padding(split):
    batch = collate(split, [2, 1], PAD, "target")
    assert (batch.rows, batch.real_tokens, batch.target_tokens) == ((2, 1), 7, 2)


def test_padding_with_eos_is_not_scored(split):
    assert collate(split, [1, 0], 0, "target").target_tokens == 3


def test_a_moved_batch_keeps_its_rows_and_counts(split):
    batch = collate(split, [2, 1], PAD, "target")
    moved = batch.to("meta")
    assert (moved.tokens_BT.device.type, moved.rows, moved.real_tokens, moved.target_tokens) == ("meta", (2, 1), 7, 2)


def test_a_batch_is_frozen(split):
    with pytest.raises(dataclasses.FrozenInstanceError):
        collate(split, [0], PAD, "target").rows = ()


def test_prompts_are_padded_on_the_left_and_have_no_target(split):
    tokens_BT, attention_BT = collate_prompts(split, [2, 1], PAD)
    assert tokens_BT.tolist() == [[5, 6, 7, 8], [PAD, PAD, PAD, 4]]
    assert attention_BT.tolist() == [[True] * 4, [False, False, False, True]]
