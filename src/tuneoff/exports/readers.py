"""Exports that were read back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from tuneoff.methods.peft_adapter import silence_peft
from tuneoff.models.generation import generate
from tuneoff.models.language_model import LanguageModel


@dataclass(frozen=True, kw_only=True)
class TransformersReader:
    """A model of transformers or peft, used as anybody would use it.

    Args:
        network: the model, in whatever precision it was loaded.
        ends: ids of the tokens that end an answer.
        prompt_PD: vectors to put before the embeddings of the text.
    """

    network: Any  # Any: the classes of transformers and peft share no type
    ends: tuple[int, ...]
    prompt_PD: Tensor | None = None

    @torch.no_grad()
    def compute_logits(self, tokens: tuple[int, ...]) -> Tensor:
        """Return the logits after each of the tokens; those of a soft prompt's positions are left out."""
        logits_1TV = self.network(**self._make_inputs(tokens)).logits
        return cast(Tensor, logits_1TV[0, -len(tokens) :].float())

    def generate(self, tokens: tuple[int, ...], count: int) -> tuple[int, ...]:
        """Return the answer by greedy decoding."""
        inputs = self._make_inputs(tokens)
        positions = next(iter(inputs.values())).shape[1]
        with silence_peft():
            generated_1T = self.network.generate(
                **inputs,
                attention_mask=torch.ones(1, positions, dtype=torch.long),
                do_sample=False,
                max_new_tokens=count,
                eos_token_id=list(self.ends),
                pad_token_id=self.ends[0],
            )
        # transformers returns the prompt too if it went in as tokens
        returned_prompt = len(tokens) if "input_ids" in inputs else 0
        return cut_at_end(generated_1T[0, returned_prompt:].tolist(), self.ends)

    def _make_inputs(self, tokens: tuple[int, ...]) -> dict[str, Tensor]:
        tokens_1T = torch.tensor([tokens])
        if self.prompt_PD is None:
            return {"input_ids": tokens_1T}
        text_TD = self.network.get_input_embeddings()(tokens_1T[0])
        return {"inputs_embeds": torch.cat([self.prompt_PD.to(text_TD), text_TD])[None]}


@dataclass(frozen=True, kw_only=True)
class TunedReader:
    """The tuned model itself, with which exports are compared."""

    model: LanguageModel

    @torch.no_grad()
    def compute_logits(self, tokens: tuple[int, ...]) -> Tensor:
        """Return the logits after each of the tokens."""
        tokens_1T = torch.tensor([[*tokens, tokens[-1]]])  # the last position predicts a token that is not there
        everything_1T = torch.ones_like(tokens_1T, dtype=torch.bool)
        scored_1T = everything_1T.clone()
        scored_1T[0, 0] = False
        return self.model.logits(tokens_1T, everything_1T, scored_1T).float()

    def generate(self, tokens: tuple[int, ...], count: int) -> tuple[int, ...]:
        """Return the answer by greedy decoding."""
        prompt_1T = torch.tensor([tokens])
        answer = generate(self.model, prompt_1T, torch.ones_like(prompt_1T), max_new_tokens=count)[0].tolist()
        return cut_at_end(answer, list_ends(self.model))


def list_ends(model: LanguageModel) -> tuple[int, ...]:
    """Return the ids of the tokens that end an answer."""
    ends = model.base.generation_config.eos_token_id
    return tuple(ends) if isinstance(ends, list | tuple) else (ends,)


def cut_at_end(tokens: list[int], ends: tuple[int, ...]) -> tuple[int, ...]:
    """Return the tokens before the first end token."""
    stop = next((i for i, token in enumerate(tokens) if token in ends), len(tokens))
    return tuple(tokens[:stop])
