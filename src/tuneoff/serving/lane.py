"""Rows that are answered in the same batches: prompts are read, then each forward pass gives every row a token.

Shapes: R rows, T positions, V vocabulary, P positions before the text, H key heads, D numbers of a head.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional
from transformers import DynamicCache

from tuneoff.evaluation.labels import pick_likeliest
from tuneoff.models.continuations import score_after_prompts
from tuneoff.models.generation import compute_last_logits
from tuneoff.models.greedy_decoding import READ_TOGETHER
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.prefix_attention import Layers
from tuneoff.models.row_cache import RowCache, count_positions
from tuneoff.serving.choosing import describe_choice
from tuneoff.serving.mixed_network import MixedNetwork
from tuneoff.serving.requests import Alternatives
from tuneoff.serving.row import Row
from tuneoff.serving.shared_prefixes import Beginning, SharedPrefixes

READ_POSITIONS = (
    4096  # of the prompts in one forward pass, with padding, so that the other rows wait for seconds at most
)


class Lane:
    """The rows of one network.

    Args:
        network: the model, with the changes of the arms whose rows it computes.
        has_window: whether some of its layers see only the last positions, among which no padding may be.
        prefixes: beginnings of prompts that need not be read again; None: all are read.
    """

    def __init__(self, network: MixedNetwork, *, has_window: bool, prefixes: SharedPrefixes | None = None) -> None:
        self.network = network
        self.prefixes = prefixes
        self.rows: list[Row] = []
        self.cache = RowCache()
        self.steps = self.prefills = 0
        self.has_window = has_window

    @property
    def model(self) -> LanguageModel:
        return self.network.model

    def count_positions(self, *more: Row) -> int:
        """Return the positions of the cache that its rows need until their ends, with further rows."""
        lengths = [*self.cache.lengths, *(row.length for row in more)]
        return count_positions(lengths, [*self.cache.remaining, *(row.request.sampling.max_tokens for row in more)])

    def read(self, rows: Sequence[Row]) -> None:
        """Read the prompts of new rows, choose their first tokens, and let those that go on join."""
        for row in rows:
            row.beginning = self._find_beginning(row)
        for group in group_prompts(rows, has_window=self.has_window):
            try:
                logits_RTV, states = self.read_group(group)
                self.prefills += 1
            except Exception as error:  # memory may run out; the rows that were there before go on
                for row in group:
                    row.fail(error)
                continue
            for row, logits_TV, of_row in zip(group, logits_RTV, states, strict=True):
                if row.request.score_prompt:
                    row.take_prompt(*_score_prompt(row, logits_TV))
                with _failing(row):
                    if self.prefixes is not None and self._shares(row):
                        self.prefixes.note(row.arm, row.request.prompt_ids, of_row)
                    self._choose_label(row, logits_TV[-1], of_row)
                    row.take(logits_TV[-1])
                if not row.finished:
                    self.cache.append(of_row, row.length, row.request.sampling.max_tokens - 1)
                    self.rows.append(row)

    def _find_beginning(self, row: Row) -> Beginning | None:
        if self.prefixes is None or not self._shares(row):
            return None
        return self.prefixes.find(row.arm, row.request.prompt_ids)

    def _shares(self, row: Row) -> bool:
        """Return whether a row may begin with what was read for another, without padding that would count as seen."""
        return not (self.has_window or row.request.score_prompt)

    @torch.inference_mode()
    def _choose_label(self, row: Row, logits_V: Tensor, states: Layers) -> None:
        """Let the most likely label be the answer, if a request asks for that.

        Args:
            logits_V: after the prompt.
            states: keys and values of the prompt.
        """
        choice = row.request.sampling.labels
        if choice is None or not choice.by_likelihood:
            return
        sequences = list(choice.labels.name_by_tokens)
        attention_1T = torch.ones(1, row.length, dtype=torch.long, device=self.model.base.device)
        cache = _join_prefixes([states], row.length)
        with self.network.batch([row.arm]):
            scores_1C = score_after_prompts(self.model, logits_V[None], cache, attention_1T, sequences)
        row.allow_only(pick_likeliest(scores_1C, sequences, per_token=choice.per_token)[0])

    def step(self) -> None:
        """Give every row its next token, and let those leave that end."""
        try:
            logits_RV = self.compute_next()
        except Exception as error:
            for row in self.rows:
                row.fail(error)
            self.clear()
            return
        self.steps += 1
        for row, logits_V in zip(self.rows, logits_RV, strict=True):
            with _failing(row):
                row.take(logits_V)
        self.remove_finished()

    def cancel(self, rows: Sequence[Row]) -> None:
        """End some rows where they are."""
        for row in rows:
            row.cancel()
        self.remove_finished()

    def clear(self) -> None:
        """Forget all rows."""
        self.rows, self.cache = [], RowCache()

    def remove_finished(self) -> None:
        """Give the places of finished rows to others."""
        for number in reversed([number for number, row in enumerate(self.rows) if row.finished]):
            self.cache.remove(number)
            self.rows[number] = self.rows[-1]
            self.rows.pop()

    @torch.inference_mode()
    def compute_next(self) -> Tensor:
        """Return the logits after the last token of each row, (R, V)."""
        device = self.model.base.device
        with self.network.batch([row.arm for row in self.rows]):
            logits_RV = compute_last_logits(
                self.model,
                input_ids=torch.tensor([row.tokens[-1:] for row in self.rows], device=device),
                attention_mask=self.cache.make_mask(device),
                position_ids=torch.tensor(self.cache.lengths, device=device)[:, None],
                past_key_values=self.cache,
                use_cache=True,
            )
        self.cache.advance()
        return logits_RV.float()

    @torch.inference_mode()
    def read_group(self, rows: Sequence[Row]) -> tuple[Sequence[Tensor], list[Layers]]:
        """Return the logits after each prompt, (1, V), or within it, (T, V), and the keys and values of each row."""
        device = self.model.base.device
        lengths = [len(row.unread) for row in rows]
        width, before = max(lengths), max(row.known_tokens for row in rows)
        pad = self.model.tokenizer.pad_token_id
        tokens_RT = torch.tensor([[pad] * (width - len(row.unread)) + list(row.unread) for row in rows])
        seen_RT = torch.arange(width)[None] >= width - torch.tensor(lengths)[:, None]
        prefix_R1 = torch.tensor([row.known_tokens for row in rows])[:, None]
        seen_RP = torch.arange(before)[None] >= before - prefix_R1
        cache = _join_prefixes([row.known_states for row in rows], before)
        inputs = {
            "input_ids": tokens_RT.to(device),
            "attention_mask": torch.cat([seen_RP, seen_RT], dim=1).long().to(device),
            "position_ids": (prefix_R1 + (seen_RT.cumsum(dim=1) - 1).clamp(min=0)).to(device),
            "past_key_values": cache,
            "use_cache": True,
        }
        with self.network.batch([row.arm for row in rows]):
            if rows[0].request.score_prompt:
                logits_RTV = self.model.base(**inputs).logits
            else:
                logits_RTV = compute_last_logits(self.model, **inputs)[:, None]
        states: list[Layers] = [
            [(_take_row(layer.keys, n, row, before), _take_row(layer.values, n, row, before)) for layer in cache.layers]
            for n, row in enumerate(rows)
        ]
        return logits_RTV.float(), states


def group_prompts(rows: Sequence[Row], *, has_window: bool) -> list[list[Row]]:
    """Divide new rows into groups whose prompts are read together: of similar length, and not too many.

    A prompt that is to be scored is read alone, since all its logits are needed. So is, where layers have a window, a
    prompt after other positions, unless both have the same length: the padding between would count as seen.
    """
    groups: list[list[Row]] = []
    for row in sorted(rows, key=lambda row: len(row.unread), reverse=True):
        fitting = (group for group in groups if _fits(row, group, has_window=has_window))
        group = next(fitting, None)
        if group is None:
            groups.append([row])
        else:
            group.append(row)
    return groups


def _fits(row: Row, group: Sequence[Row], *, has_window: bool) -> bool:
    first = group[0]
    if row.request.score_prompt or first.request.score_prompt:
        return False
    if has_window and (row.arm.prefix_tokens or first.arm.prefix_tokens):
        return (row.arm.prefix_tokens, row.length) == (first.arm.prefix_tokens, first.length)
    positions = (len(group) + 1) * len(first.unread)
    return len(group) < READ_TOGETHER and positions <= READ_POSITIONS


@contextlib.contextmanager
def _failing(row: Row) -> Iterator[None]:
    """Let an error in the block be that of a row alone."""
    try:
        yield
    except Exception as error:
        row.fail(error)


def _join_prefixes(prefixes: Sequence[Layers | None], width: int) -> DynamicCache:
    """Return a cache with what stands before the text of each row, padded on the left."""
    cache = DynamicCache()  # without the config, so that every layer keeps all positions
    known = next((prefix for prefix in prefixes if prefix is not None), None)
    for number, (keys, values) in enumerate(known or ()):
        parts = [
            tuple(torch.zeros_like(states[:, :0]) for states in (keys, values)) if prefix is None else prefix[number]
            for prefix in prefixes
        ]
        padded = [
            torch.stack([functional.pad(part[which], (0, 0, width - part[which].shape[1], 0)) for part in parts])
            for which in (0, 1)
        ]
        cache.update(*padded, number)
    return cache


def _take_row(states_RHTD: Tensor, number: int, row: Row, before: int) -> Tensor:
    """Return the keys or values of one row without padding, (H, T, D)."""
    states_HTD = states_RHTD[number]
    text_HTD = states_HTD[:, -len(row.unread) :]
    known_HTD = states_HTD[:, before - row.known_tokens : before]
    return torch.cat([known_HTD, text_HTD], dim=1)


def _score_prompt(row: Row, logits_TV: Tensor) -> tuple[tuple[float | None, ...], tuple[Alternatives, ...]]:
    wanted = row.request.sampling.logprobs or 0
    scored = [
        describe_choice(logits_V, token, wanted)
        for logits_V, token in zip(logits_TV, row.request.prompt_ids[1:], strict=False)
    ]
    return (None, *(logprob for logprob, _ in scored)), ((), *(alternatives for _, alternatives in scored))
