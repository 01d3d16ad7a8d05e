"""Messages between the processes of one training."""

import math
import socket
from collections.abc import Iterator

import pytest
import torch

from tuneoff.data.batches import Batch, deal, pack_batches, unpack_batches
from tuneoff.runtime.channel import Channel


@pytest.fixture
def ends() -> Iterator[tuple[Channel, Channel]]:
    own, other = socket.socketpair()
    own.settimeout(5)
    other.settimeout(5)
    with own, other:
        yield Channel(own), Channel(other)


def test_numbers_arrive_to_the_last_bit_and_also_those_that_are_none(ends: tuple[Channel, Channel]) -> None:
    ends[0].send({"nats": [0.1 + 0.2, math.inf, math.nan], "text": "ä"})
    values, tensors = ends[1].receive()
    assert values["nats"][:2] == [0.1 + 0.2, math.inf]
    assert math.isnan(values["nats"][2])
    assert (values["text"], tensors) == ("ä", {})


def test_batches_arrive_as_they_were(ends: tuple[Channel, Channel]) -> None:
    tokens_BT = torch.tensor([[3, 4, 5], [6, 7, 1]])
    attention_BT = torch.tensor([[True, True, True], [True, True, False]])
    plain = Batch(tokens_BT=tokens_BT, attention_BT=attention_BT, scored_BT=attention_BT.clone(), rows=(4, 2))
    scored_BT = torch.zeros(1, 3, dtype=torch.bool)
    cached = Batch(
        tokens_BT=tokens_BT[:1].clone(), attention_BT=attention_BT[:1].clone(), scored_BT=scored_BT, rows=(9,),
        trunk_ND=torch.zeros(0, 8),
    )  # fmt: skip
    ends[0].send({}, pack_batches([plain, cached]))
    first, second = unpack_batches(ends[1].receive()[1])
    assert (first.rows, second.rows) == ((4, 2), (9,))
    assert first.trunk_ND is None
    assert second.trunk_ND is not None
    assert second.trunk_ND.shape == (0, 8)
    assert torch.equal(first.tokens_BT, tokens_BT)
    assert torch.equal(first.attention_BT, attention_BT)
    assert second.target_tokens == 0


def test_the_end_of_the_other_process_is_noticed_also_within_a_message() -> None:
    own, other = socket.socketpair()
    with own:
        other.sendall(b"123")
        other.close()
        with pytest.raises(EOFError):
            Channel(own).receive()


def test_rows_are_dealt_to_devices_in_turn() -> None:
    assert deal([5, 3, 8, 1, 2], 2) == [[5, 8, 2], [3, 1]]
    assert deal([5], 3) == [[5], [], []]
    assert deal([5, 3], 1) == [[5, 3]]
