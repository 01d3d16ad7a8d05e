"""A cache gives each row its own keys and values, whatever joins and leaves."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tuneoff.models.row_cache import SHRINK_AT, SPARE_SHARE, RowCache, count_positions

LAYERS, HEADS, WIDTH = 2, 2, 3


def make_states(length: int, value: float) -> list[tuple[torch.Tensor, torch.Tensor]]:
    states = torch.arange(length, dtype=torch.float32)[None, :, None].expand(HEADS, length, WIDTH) + value
    return [(states + layer, -states - layer) for layer in range(LAYERS)]


@given(
    actions=st.lists(
        st.one_of(
            st.tuples(st.just("append"), st.integers(1, 12), st.integers(1, 9)),
            st.tuples(st.just("remove"), st.integers(0, 9), st.just(0)),
            st.tuples(st.just("step"), st.just(0), st.just(0)),
        ),
        max_size=40,
    )
)
@settings(max_examples=60)
def test_rows_keep_their_states(actions: list[tuple[str, int, int]]) -> None:
    cache, expected, total = RowCache(), [], 0
    for action, first, second in actions:
        if action == "append":
            total += 1
            states = make_states(first, 1000.0 * total)
            cache.append(states, first, second)
            expected.append([keys for keys, _ in states])
        elif action == "remove" and expected:
            row = first % len(expected)
            cache.remove(row)
            expected[row] = expected[-1]
            expected.pop()
        elif action == "step" and expected and min(cache.remaining) > 0:
            mask_RT = cache.make_mask(torch.device("cpu"))
            new_RHTD = torch.rand(len(expected), HEADS, 1, WIDTH)
            for number, layer in enumerate(cache.layers):
                keys, values = layer.update(new_RHTD + number, -new_RHTD - number)
                assert torch.equal(keys, -values)
                assert mask_RT.shape == (len(expected), keys.shape[2])
            cache.advance()
            expected = [
                [torch.cat([keys, new_RHTD[row] + number], dim=1) for number, keys in enumerate(of_row)]
                for row, of_row in enumerate(expected)
            ]
        for row, of_row in enumerate(expected):
            for layer, keys_HTD in zip(cache.layers, of_row, strict=True):
                assert torch.equal(layer.keys[row, :, -keys_HTD.shape[1] :], keys_HTD)
                assert layer.keys.shape[2] == cache.width
        needed = count_positions(cache.lengths, cache.remaining)
        assert cache.allocated >= needed
        if action == "remove":
            assert cache.allocated <= SHRINK_AT * needed * (1 + SPARE_SHARE) ** 2 + 1
