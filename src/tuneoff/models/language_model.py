"""A causal language model whose head sees only the positions that are scored.

A usual forward pass computes logits for every position, and for a small model with a large vocabulary that is most
of its work and memory. Here the trunk runs over all positions and a hook narrows what enters the output head.
Everything after the head (soft-capping, scaling) acts on each logit alone, so the model's own code still does it,
and adapters that change the trunk need no care. Whether this holds for a given model is probed, not assumed.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self, cast

import torch
from torch import Tensor, nn

from tuneoff.models import greedy_decoding
from tuneoff.models.cross_entropy import cross_entropy
from tuneoff.models.frozen_prefix import count_frozen_blocks, run_frozen_prefix, skip_frozen_prefix
from tuneoff.models.sources import require_safe_adapter

TRAINED_FILE = "trained.safetensors"

Select = Callable[[Tensor], Tensor]


class LanguageModel(nn.Module):
    """A base model, or one with an adapter, and its tokenizer.

    Args:
        network: a causal language model of transformers, or a PeftModel around one.
        tokenizer: its tokenizer, with a pad token.
        known_as: the base model's name, for saved adapters.
        split_head: whether the head may be given scored positions alone; see `head_can_be_split`.
    """

    def __init__(self, network: Any, tokenizer: Any, known_as: str, *, split_head: bool) -> None:
        super().__init__()
        self.network = network  # Any: transformers' and peft's models have no common type
        self.tokenizer = tokenizer
        self.known_as = known_as
        self.split_head = split_head
        self.blocks_give_tuples = False  # until one was seen to

    def forward(
        self, tokens_BT: Tensor, attention_BT: Tensor, scored_BT: Tensor, trunk_ND: Tensor | None = None
    ) -> Tensor:
        """The nats of each of the N scored tokens, (N,), row by row, in float32; see `logits`."""
        return cross_entropy(self.logits(tokens_BT, attention_BT, scored_BT, trunk_ND), tokens_BT[scored_BT])

    def logits(
        self, tokens_BT: Tensor, attention_BT: Tensor, scored_BT: Tensor, trunk_ND: Tensor | None = None
    ) -> Tensor:
        """The logits, (N, V), that predict each of the N scored tokens, row by row.

        Args:
            tokens_BT: token ids, padded on the right.
            attention_BT: true for a token, false for padding.
            scored_BT: true where a token is to be predicted; the first of a row cannot be.
            trunk_ND: what `trunk` gave for these rows, where it need not be computed again.
        """
        predicting_BT = scored_BT[:, 1:]  # a token is predicted from the position before it

        def scored(positions_BTX: Tensor) -> Tensor:
            """Drop a soft prompt's positions, then keep those that predict a scored token."""
            return positions_BTX[:, -tokens_BT.shape[1] :][:, :-1][predicting_BT]

        with contextlib.ExitStack() as stack:
            select: Select = scored
            if trunk_ND is not None:
                given_BTD, select = self._placed(trunk_ND, attention_BT, scored)
                stack.enter_context(skip_frozen_prefix(self, given_BTD))
            if self.split_head:
                stack.enter_context(self._head_narrowed_by(select))
            logits = self.network(
                input_ids=tokens_BT, attention_mask=attention_BT.long(), use_cache=False, **self._tasks(len(tokens_BT))
            ).logits
        return cast(Tensor, logits if self.split_head else select(logits))

    def trunk(self, tokens_BT: Tensor, attention_BT: Tensor, scored_BT: Tensor) -> Tensor:
        """What the frozen part of the network gives, (N, D): at the positions that predict the scored tokens where the
        head alone is trained, else at every position but padding."""
        given_BTD = run_frozen_prefix(self, lambda: self.logits(tokens_BT, attention_BT, scored_BT))
        if self.frozen_blocks < len(self.blocks):
            return given_BTD[attention_BT.bool()]
        return given_BTD[:, :-1][scored_BT[:, 1:]]

    def _placed(self, trunk_ND: Tensor, attention_BT: Tensor, scored: Select) -> tuple[Tensor, Select]:
        """What `trunk` gave as the network has it, (B, T, D), and what of it is scored."""
        if self.frozen_blocks == len(self.blocks):
            return trunk_ND[None], lambda all_1ND: all_1ND[0]
        given_BTD = trunk_ND.new_zeros(*attention_BT.shape, trunk_ND.shape[1])
        given_BTD[attention_BT.bool()] = trunk_ND
        return given_BTD, scored

    @torch.no_grad()
    def takes_its_trunk(self) -> bool:
        """Probe whether `logits` are the same from what `trunk` gave; a model may ask more of its trunk."""
        probe = _make_probe(self.network)
        try:
            own, again = self.eval().logits(*probe), self.logits(*probe, self.trunk(*probe))
        except (IndexError, RuntimeError, TypeError, AttributeError, ValueError, KeyError):
            return False
        return _agree(again, own)

    @property
    def checkpoints_gradients(self) -> bool:
        """Whether blocks keep only what enters them for the backward pass, and are computed again in it."""
        return any(getattr(module, "gradient_checkpointing", False) for module in self.base.modules())

    def checkpoint_gradients(self, wanted: bool) -> None:
        """See `checkpoints_gradients`: less memory for a third more time."""
        if wanted:
            self.base.activation_checkpointing_enable({"use_reentrant": False})
        else:
            self.base.activation_checkpointing_disable()

    @contextlib.contextmanager
    def _head_narrowed_by(self, select: Select) -> Iterator[None]:
        hook = self.head.register_forward_pre_hook(lambda _, inputs: (select(inputs[0]), *inputs[1:]))
        try:
            yield
        finally:
            hook.remove()

    @torch.no_grad()
    def generate(
        self, tokens_BT: Tensor, attention_BT: Tensor, *, max_new_tokens: int, min_new_tokens: int = 0, beams: int = 1
    ) -> Tensor:
        """What the model writes after each prompt, (B, new tokens), padded on the right; nothing is drawn at random.

        Args:
            tokens_BT: prompts, padded on the left.
            attention_BT: true for a token, false for padding.
        """
        attention_BT = attention_BT.long()
        options = {"max_new_tokens": max_new_tokens, "min_new_tokens": min_new_tokens}
        if self._only_peft_can_generate:
            return self._generated_one_by_one(tokens_BT, attention_BT, {**options, "num_beams": beams})
        prompt_PD = self._soft_prompt()
        if prompt_PD is not None:
            prompt_PD = prompt_PD.to(self.base.get_input_embeddings().weight.dtype)
        length = tokens_BT.shape[1] + max_new_tokens + (0 if prompt_PD is None else len(prompt_PD))
        misplaced = (
            prompt_PD is not None
            and not bool(attention_BT.all())
            and not greedy_decoding.sees_all_positions(self.base, length)
        )
        if beams == 1 and greedy_decoding.can_generate(self.base) and not misplaced:
            ends = self.base.generation_config.eos_token_id or ()
            pad = self.base.generation_config.pad_token_id
            return greedy_decoding.generate(
                self.base,
                self._last_logits,
                tokens_BT,
                attention_BT,
                prompt_PD=prompt_PD,
                ends=ends,
                pad=pad,
                **options,
            )
        return self._generated_by_transformers(tokens_BT, attention_BT, prompt_PD, {**options, "num_beams": beams})

    def _last_logits(self, **inputs: Any) -> Tensor:
        """The logits, (B, V), after each row's last position.

        The head gets (B, D): for (B, 1, D), a slice, PyTorch would copy the head's weight once for each row.
        """
        with (
            self._head_narrowed_by(lambda hidden_BTD: hidden_BTD[:, -1])
            if self.split_head
            else contextlib.nullcontext()
        ):
            logits = self.base(**inputs).logits
        return cast(Tensor, logits if self.split_head else logits[:, -1])

    def _generated_by_transformers(
        self, tokens_BT: Tensor, attention_BT: Tensor, prompt_PD: Tensor | None, options: dict[str, Any]
    ) -> Tensor:
        """By transformers' own `generate`.

        peft puts a soft prompt before the padding, which shifts the logits of every padded row; so the vectors are
        placed here, between a row's padding and its text.
        """
        options["do_sample"] = False
        if prompt_PD is None:
            generated = self.base.generate(input_ids=tokens_BT, attention_mask=attention_BT, **options)
            return cast(Tensor, generated[:, tokens_BT.shape[1] :])
        embedded_BTD = self.base.get_input_embeddings()(tokens_BT)
        padding_B = (attention_BT == 0).sum(dim=1).tolist()
        ones_P = attention_BT.new_ones(len(prompt_PD))
        return cast(
            Tensor,
            self.base.generate(
                inputs_embeds=torch.stack(
                    [torch.cat([row[:k], prompt_PD, row[k:]]) for row, k in zip(embedded_BTD, padding_B, strict=True)]
                ),
                attention_mask=torch.stack(
                    [torch.cat([row[:k], ones_P, row[k:]]) for row, k in zip(attention_BT, padding_B, strict=True)]
                ),
                **options,
            ),
        )

    def _generated_one_by_one(self, tokens_BT: Tensor, attention_BT: Tensor, options: dict[str, Any]) -> Tensor:
        """Through peft's own `generate`, each prompt without its padding, which peft would misplace."""
        written = []
        for row, mask in zip(tokens_BT, attention_BT.bool(), strict=True):
            prompt_1T = row[mask][None]
            whole = self.network.generate(
                input_ids=prompt_1T,
                attention_mask=torch.ones_like(prompt_1T),
                do_sample=False,
                **options,
                **self._tasks(1),
            )
            written.append(whole[0, prompt_1T.shape[1] :])
        return nn.utils.rnn.pad_sequence(written, batch_first=True, padding_value=self.tokenizer.pad_token_id)

    @property
    def _adapter(self) -> Any:  # Any: the config of peft's, which differs by type; None without an adapter
        return getattr(self.network, "active_peft_config", None)

    @property
    def _only_peft_can_generate(self) -> bool:
        """Whether an adapter acts from outside transformers' model, and not by vectors before the text."""
        acts_outside = {"PREFIX_TUNING", "CARTRIDGE", "POLY", "XLORA", "SHADOW"}
        return self._adapter is not None and self._adapter.peft_type.value in acts_outside

    def _tasks(self, rows: int) -> dict[str, Tensor]:
        """What an adapter that tells tasks apart must be told: all rows are of the first one."""
        if not any(getattr(self._adapter, name, None) for name in ("num_tasks", "n_tasks")):
            return {}
        return {"task_ids": torch.zeros(rows, dtype=torch.long, device=self.network.device)}

    def _soft_prompt(self) -> Tensor | None:
        if not getattr(self._adapter, "is_prompt_learning", False):
            return None
        return cast(Tensor, self.network.get_prompt(batch_size=1, **self._tasks(1))[0])

    @property
    def base(self) -> Any:  # Any: whatever model class transformers has for this architecture
        """transformers' own model, with whatever adapters act inside it."""
        return self.network.get_base_model() if hasattr(self.network, "get_base_model") else self.network

    @property
    def head(self) -> nn.Module:
        """The module that turns the trunk's output into logits."""
        return cast(nn.Module, self.base.get_output_embeddings())

    @property
    def is_tied(self) -> bool:
        """Whether the head's weight is the input embedding's."""
        return self.head.weight is self.base.get_input_embeddings().weight

    @property
    def trains_input_embedding(self) -> bool:
        """Whether a step changes the input table."""
        return bool(self.base.get_input_embeddings().weight.requires_grad)

    @property
    def frozen_blocks(self) -> int:
        """How many blocks stay the same in training, from the first on; all of them if the head alone is trained."""
        return count_frozen_blocks(self)

    def untie_head(self) -> None:
        """Give the head a weight of its own, equal to the one that it shared."""
        self.head.weight = nn.Parameter(cast(Tensor, self.head.weight).detach().clone())
        self.base.config.tie_word_embeddings = False

    @property
    def width(self) -> int:
        """How many numbers stand for a token between two blocks."""
        return int(self.base.config.hidden_size)

    @property
    def blocks(self) -> nn.ModuleList:
        """The transformer blocks, from the first to the last."""
        return max((m for m in self.base.modules() if isinstance(m, nn.ModuleList)), key=len)

    def linears(self) -> dict[str, Any]:
        """The linear layers inside the blocks, by full name."""
        from transformers.pytorch_utils import Conv1D

        inside = set(self.blocks.modules())
        return {n: m for n, m in self.base.named_modules() if isinstance(m, nn.Linear | Conv1D) and m in inside}

    def attention_linears(self) -> list[str]:
        """The full names of the linear layers inside attention blocks."""
        return [name for name in self.linears() if "attn" in name.lower().replace("attention", "attn")]

    def norms(self) -> list[str]:
        """The full names of the LayerNorms and their like, which every architecture has a class of its own for."""
        return [name for name, module in self.base.named_modules() if type(module).__name__.endswith("Norm")]

    # What methods build on: peft's adapters, some tensors alone, all the weights.

    def with_adapter(self, config: Any) -> LanguageModel:
        """This model with a fresh adapter of peft's, which alone is trainable."""
        from peft import get_peft_model

        with _silence_peft():
            adapted = get_peft_model(self.network, config)
        config = adapted.active_peft_config  # saved with the adapter, so without paths of this machine's cache
        config.base_model_name_or_path = self.known_as
        if hasattr(config, "tokenizer_name_or_path"):
            config.tokenizer_name_or_path = self.known_as
        return self._with_network(adapted)

    def save_adapter(self, folder: Path) -> None:
        """Write the adapter in peft's format, as safetensors.

        Left to itself, peft would ask the hub for the base model's config, to see whether its vocabulary has grown.
        """
        self.network.save_pretrained(folder, save_embedding_layers=False)

    def adapter_state(self) -> dict[str, Tensor]:
        """The adapter's tensors, by the names that peft gives them in a file."""
        from peft import get_peft_model_state_dict

        return cast(dict[str, Tensor], get_peft_model_state_dict(self.network, save_embedding_layers=False))

    def write_adapter(self, state: dict[str, Tensor], config: Any, folder: Path) -> None:
        """Write tensors other than the adapter's own as one of peft's, with a config that fits them."""
        from peft.utils import SAFETENSORS_WEIGHTS_NAME
        from safetensors.torch import save_file

        config.inference_mode = True
        config.save_pretrained(folder)
        save_file({name: tensor.contiguous() for name, tensor in state.items()}, folder / SAFETENSORS_WEIGHTS_NAME)

    def load_adapter(self, folder: Path) -> LanguageModel:
        """This base model with the adapter that `save_adapter` wrote."""
        from peft import PeftModel

        require_safe_adapter(folder)
        with _silence_peft():
            return self._with_network(PeftModel.from_pretrained(self.network, folder))

    def with_adapter_merged(self) -> LanguageModel:
        """The base model with the adapter's update added into its weights, the adapter used up; where the type of
        adapter cannot, as it is."""
        if self._only_peft_can_generate:
            return self  # outside the model there is no weight to merge into; SHADOW would just be dropped
        try:
            return self._with_network(self.network.merge_and_unload())
        except (AttributeError, NotImplementedError, ValueError):  # each type says it in its own way
            return self

    def save_trained(self, folder: Path) -> None:
        """Write the tensors that require a gradient, under the names that they have in the network."""
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        trained = {name: p.detach() for name, p in self.base.named_parameters() if p.requires_grad}
        save_file({name: tensor.contiguous() for name, tensor in trained.items()}, folder / TRAINED_FILE)

    @torch.no_grad()
    def load_trained(self, folder: Path) -> None:
        """Take the tensors that `save_trained` wrote, each in the place of its name."""
        from safetensors.torch import load_file

        parameters = dict(self.base.named_parameters())
        for name, tensor in load_file(folder / TRAINED_FILE).items():
            parameters[name].copy_(tensor)

    def save_whole(self, folder: Path) -> None:
        """Write the whole model and its tokenizer, as transformers loads them."""
        self.base.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)

    def load_whole(self, folder: Path) -> LanguageModel:
        """The model that `save_whole` wrote, in this one's place."""
        return self._with_network(type(self.base).from_pretrained(folder, dtype="auto", use_safetensors=True))

    def _with_network(self, network: Any) -> LanguageModel:
        return LanguageModel(network, self.tokenizer, self.known_as, split_head=self.split_head)

    # Precision.

    def hold_for_training(self, frozen: torch.dtype) -> Self:
        """Hold trained weights in float32, so that no small update is lost, and frozen matrices in `frozen`.

        Frozen vectors stay in float32 too: they weigh nothing, and a LayerNorm on a CPU refuses parameters that
        are coarser than its input. All are copied: one left in the mapped checkpoint would keep the whole of it in
        memory beside them.
        """
        for parameter in self.parameters():
            if parameter.is_floating_point():
                keep = parameter.requires_grad or parameter.ndim < 2
                parameter.data = parameter.data.to(torch.float32 if keep else frozen, copy=True)
        return self

    def hold_for_inference(self, dtype: torch.dtype) -> Self:
        """Hold every weight in `dtype`, without gradients, as the model would be served."""
        self.requires_grad_(False)
        for parameter in self.parameters():
            if parameter.is_floating_point():
                parameter.data = parameter.data.to(dtype)
        return self.eval()


@contextlib.contextmanager
def _silence_peft() -> Iterator[None]:
    """Keep what peft says of its own doings from the user, who can do nothing about it."""
    with warnings.catch_warnings():
        for module in ("peft", "torch.utils.cpp_extension"):  # BOFT looks for a compiler for a GPU, and goes on
            warnings.filterwarnings("ignore", module=module)
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)  # an old name, still asked for
        yield


@torch.no_grad()
def head_can_be_split(network: Any) -> bool:
    """Probe whether a head that sees only some positions gives the logits that the model itself gives there.

    Two short random rows, one of them padded, through both ways. They agree up to the rounding of a matrix product
    of another shape; a model that does more than a head after its trunk would not.
    """
    probe = _make_probe(network)
    ways = [LanguageModel(network, None, "", split_head=split) for split in (True, False)]
    try:
        narrowed, own = (way.eval().logits(*probe) for way in ways)
    except (IndexError, RuntimeError, TypeError, AttributeError, ValueError):
        return False  # the model's code does not take a narrowed head input
    return _agree(narrowed, own)


def _make_probe(network: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens, attention and what is scored, of two short random rows, one of them padded."""
    vocabulary = network.get_input_embeddings().num_embeddings
    tokens_BT = torch.randint(vocabulary, (2, 9), generator=torch.Generator().manual_seed(0)).to(network.device)
    attention_BT = torch.ones_like(tokens_BT)
    attention_BT[1, 6:] = 0
    scored_BT = attention_BT.bool()
    scored_BT[:, :3] = False
    return tokens_BT, attention_BT, scored_BT


def _agree(found: Tensor, own: Tensor) -> bool:
    # The kernel for another shape sums in another order: seen are 1e-5 of the largest logit in float32, and in bf16
    # a rounding to the neighbour. A head that also did something else would be off by far more.
    tolerance = max(2 * torch.finfo(own.dtype).eps, 1e-4) * float(own.abs().max())
    return found.shape == own.shape and torch.allclose(found, own, rtol=0, atol=tolerance)
