"""Our greedy decoding generates the tokens that transformers' `generate` does, in float32."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tests.conftest import ARCHITECTURES
from tuneoff.methods import read_method
from tuneoff.models import generation, greedy_decoding
from tuneoff.models.generation import compute_last_logits, generate, generate_with_transformers
from tuneoff.models.language_model import LanguageModel

NEW = 20
Load = Callable[[str], LanguageModel]


@pytest.fixture(autouse=True)
def four_prompts_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four prompts are read in one pass, so six are read in two passes."""
    monkeypatch.setattr(greedy_decoding, "READ_TOGETHER", 4)


@pytest.fixture
def prompts() -> tuple[Tensor, Tensor]:
    """Six prompts of 4 to 14 tokens, the last two at most 7, padded on the left, and their attention mask."""
    tokens_BT = torch.randint(2, 320, (6, 14), generator=torch.Generator().manual_seed(5))
    attention_BT = (torch.arange(14)[None] >= torch.tensor([0, 4, 2, 0, 10, 7])[:, None]).long()
    return tokens_BT.where(attention_BT.bool(), 1), attention_BT


@pytest.fixture
def unpadded() -> tuple[Tensor, Tensor]:
    """Three prompts of nine tokens."""
    tokens_BT = torch.randint(2, 320, (3, 9), generator=torch.Generator().manual_seed(6))
    return tokens_BT, torch.ones_like(tokens_BT)


@pytest.fixture
def alike() -> tuple[Tensor, Tensor]:
    """Five prompts that begin with the same 18 tokens and go on with 1 to 7 others, padded on the left."""
    generator = torch.Generator().manual_seed(7)
    beginning_C, rest_BT = (
        torch.randint(2, 320, (18,), generator=generator),
        torch.randint(2, 320, (5, 7), generator=generator),
    )
    rows = [torch.cat([beginning_C, rest[:length]]) for rest, length in zip(rest_BT, (7, 2, 4, 1, 6), strict=True)]
    tokens_BT = torch.stack([functional.pad(row, (25 - len(row), 0), value=1) for row in rows])
    return tokens_BT, torch.stack([functional.pad(torch.ones_like(row), (25 - len(row), 0)) for row in rows])


def generate_by_transformers(model: LanguageModel, prompts: tuple[Tensor, Tensor], minimum: int = 0) -> Tensor:
    options = {"max_new_tokens": NEW, "min_new_tokens": minimum, "num_beams": 1}
    prompt_PD = model.compute_prompt()
    return generate_with_transformers(model, *prompts, prompt_PD, options)


def set_end_tokens(model: LanguageModel, prompts: tuple[Tensor, Tensor]) -> LanguageModel:
    """Make a token of each row but the last an end token, so that the rows end at different times."""
    model.base.generation_config.eos_token_id = None
    generated_BN = generate_by_transformers(model, prompts)
    ends = {int(row[n]) for row, n in zip(generated_BN[:-1], (1, 3, 6, 9, 14), strict=True)}
    model.base.generation_config.eos_token_id = sorted(ends)
    return model


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_tokens_are_those_of_transformers(
    architecture: str, load_tiny: Load, prompts: tuple[Tensor, Tensor]
) -> None:
    model = set_end_tokens(load_tiny(architecture), prompts)
    assert greedy_decoding.can_generate(model.base)
    assert torch.equal(generate(model, *prompts, max_new_tokens=NEW), generate_by_transformers(model, prompts))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_no_end_token_is_generated_before_the_minimum_length(
    architecture: str, load_tiny: Load, prompts: tuple[Tensor, Tensor]
) -> None:
    model = set_end_tokens(load_tiny(architecture), prompts)
    generated_BN = generate(model, *prompts, max_new_tokens=NEW, min_new_tokens=8)
    assert not torch.isin(generated_BN[:, :8], torch.tensor(model.base.generation_config.eos_token_id)).any()
    assert torch.equal(generated_BN, generate_by_transformers(model, prompts, minimum=8))


@pytest.mark.parametrize("method", ["soft-prompt", "p-tuning", "prefix", "lora", "adapter"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_tokens_of_a_tuned_model_are_those_of_transformers(
    architecture: str, method: str, load_tiny: Load, prompts: tuple[Tensor, Tensor]
) -> None:
    torch.manual_seed(0)
    model = read_method(method, {}).apply(load_tiny(architecture)).eval()
    model = set_end_tokens(model, prompts)
    assert torch.equal(generate(model, *prompts, max_new_tokens=NEW), generate_by_transformers(model, prompts))


@pytest.mark.parametrize("method", ["base", "soft-prompt", "prefix"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_tokens_after_prompts_without_padding_are_those_of_transformers(
    architecture: str, method: str, load_tiny: Load, unpadded: tuple[Tensor, Tensor]
) -> None:
    torch.manual_seed(0)
    model = read_method(method, {}).apply(load_tiny(architecture)).eval()
    assert torch.equal(generate(model, *unpadded, max_new_tokens=NEW), generate_by_transformers(model, unpadded))


@pytest.mark.parametrize("method", ["base", "soft-prompt", "prefix", "lora"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_tokens_after_prompts_that_begin_alike_are_those_of_transformers(
    architecture: str, method: str, load_tiny: Load, alike: tuple[Tensor, Tensor]
) -> None:
    torch.manual_seed(0)
    model = set_end_tokens(read_method(method, {}).apply(load_tiny(architecture)).eval(), repeat_first(alike))
    assert torch.equal(generate(model, *alike, max_new_tokens=NEW), generate_by_transformers(model, alike))


def repeat_first(prompts: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Return the prompts with the first a second time at the end."""
    tokens_BT, attention_BT = (torch.cat([part, part[:1]]) for part in prompts)
    return tokens_BT, attention_BT


def test_what_all_prompts_begin_with_is_read_once(load_tiny: Load, alike: tuple[Tensor, Tensor]) -> None:
    model = read_method("soft-prompt", {"tokens": 7}).apply(load_tiny("llama")).eval()
    assert list_shapes(model, alike) == [(1, 7), (1, 18), (4, 7), (1, 6), (5, 1)]
    assert list_shapes(model, (alike[0][:1], alike[1][:1]))[1:] == [(1, 25), (1, 1)], "one prompt has nothing in common"


@pytest.mark.parametrize("shared", [0, 15])
def test_prompts_that_have_little_in_common_are_read_as_they_are(shared: int, load_tiny: Load) -> None:
    tokens_BT = torch.randint(2, 320, (3, 20), generator=torch.Generator().manual_seed(8))
    tokens_BT[:, :shared] = 5
    assert list_shapes(load_tiny("llama"), (tokens_BT, torch.ones_like(tokens_BT)))[0] == (3, 20)


def test_equal_prompts_keep_a_token_each(load_tiny: Load) -> None:
    tokens_BT = torch.randint(2, 320, (1, 20), generator=torch.Generator().manual_seed(8)).expand(3, -1)
    prompts = tokens_BT, torch.ones_like(tokens_BT)
    model = load_tiny("llama")
    assert list_shapes(model, prompts)[:2] == [(1, 19), (3, 1)]
    assert torch.equal(generate(model, *prompts, max_new_tokens=NEW), generate_by_transformers(model, prompts))


def test_a_model_that_would_see_the_padding_in_its_window_reads_prompts_whole(
    load_tiny: Load, alike: tuple[Tensor, Tensor]
) -> None:
    model = load_tiny("gpt_neo")
    model.base.config.window_size = 26
    assert list_shapes(model, alike)[0] == (4, 25)
    model.base.config.window_size = 27
    assert list_shapes(model, alike)[0] == (1, 18)


def list_shapes(model: LanguageModel, prompts: tuple[Tensor, Tensor]) -> list[tuple[int, ...]]:
    """Return the rows and positions of each pass that generates two tokens."""
    seen: list[tuple[int, ...]] = []
    handle = model.blocks[0].register_forward_pre_hook(lambda _, inputs: seen.append(tuple(inputs[0].shape[:2])))
    generate(model, *prompts, max_new_tokens=2)
    handle.remove()
    return seen


@pytest.mark.parametrize(
    ("architecture", "width"), [("llama", 10), ("gpt_neo", 9)], ids=["queries share keys", "each has its own"]
)
def test_padding_is_added_where_it_makes_new_tokens_faster(
    architecture: str, width: int, load_tiny: Load, unpadded: tuple[Tensor, Tensor]
) -> None:
    model = load_tiny(architecture).eval()
    with torch.no_grad():
        _, cache, seen_BT = greedy_decoding.read_prompts(
            model.base, partial(compute_last_logits, model), *unpadded, None, max_new_tokens=1
        )
    assert cache.get_seq_length() == seen_BT.shape[1] == width


def test_prompts_are_read_in_parts_and_continued_together(load_tiny: Load, prompts: tuple[Tensor, Tensor]) -> None:
    model = load_tiny("llama")
    seen: list[tuple[int, ...]] = []
    model.blocks[0].register_forward_pre_hook(lambda _, inputs: seen.append(tuple(inputs[0].shape[:2])))
    generate(model, *prompts, max_new_tokens=3)
    assert seen == [(4, 14), (2, 7), (6, 1), (6, 1)]


def test_a_soft_prompt_goes_through_the_model_once_for_all_rows(
    load_tiny: Load, prompts: tuple[Tensor, Tensor]
) -> None:
    model = read_method("soft-prompt", {"tokens": 7}).apply(load_tiny("llama")).eval()
    seen: list[tuple[int, ...]] = []
    model.blocks[0].register_forward_pre_hook(lambda _, inputs: seen.append(tuple(inputs[0].shape[:2])))
    generate(model, *prompts, max_new_tokens=2)
    assert seen == [(1, 7), (4, 14), (2, 7), (6, 1)]


def test_finished_rows_are_removed_once_they_are_a_quarter(load_tiny: Load, prompts: tuple[Tensor, Tensor]) -> None:
    model = set_end_tokens(load_tiny("llama"), prompts)
    rows: list[int] = []
    model.blocks[0].register_forward_pre_hook(lambda _, inputs: rows.append(len(inputs[0])))
    generate(model, *prompts, max_new_tokens=NEW)
    assert rows[:3] == [4, 2, 6]
    assert rows[2:] == sorted(rows[2:], reverse=True), "the number of rows never grows"
    assert rows[-1] <= 3


def test_a_new_token_does_not_copy_the_keys_of_those_before(load_tiny: Load, prompts: tuple[Tensor, Tensor]) -> None:
    model = load_tiny("llama")
    caches: list[greedy_decoding.DynamicCache] = []
    addresses: list[int] = []

    def note_address(inputs: dict[str, object]) -> None:
        caches.append(inputs["past_key_values"])
        if caches[-1].layers[0].keys is not None:
            addresses.append(caches[-1].layers[0].keys.data_ptr())

    model.base.generation_config.eos_token_id = None
    model.base.model.register_forward_pre_hook(lambda _, __, inputs: note_address(inputs), with_kwargs=True)
    generate(model, *prompts, max_new_tokens=9)
    assert len(addresses) == 8
    assert len(set(addresses)) == 1


def test_the_head_sees_one_position_of_each_row(load_tiny: Load, prompts: tuple[Tensor, Tensor]) -> None:
    model = load_tiny("gpt_neo")
    shapes: set[tuple[int, ...]] = set()
    model.head.register_forward_hook(lambda _, inputs, __: shapes.add(tuple(inputs[0].shape)))
    generate(model, *prompts, max_new_tokens=3)
    assert shapes == {(4, 32), (2, 32), (6, 32)}


def test_transformers_does_the_beam_search(load_tiny: Load, prompts: tuple[Tensor, Tensor]) -> None:
    model = load_tiny("llama")
    options = {"max_new_tokens": NEW, "num_beams": 3, "min_new_tokens": 0}
    expected = generate_with_transformers(model, *prompts, None, options)
    assert torch.equal(generate(model, *prompts, max_new_tokens=NEW, beams=3), expected)


def test_whether_rows_are_generated_together_is_tried_once_for_a_model(
    load_tiny: Load, unpadded: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[object] = []
    monkeypatch.setattr(generation, "generates_rows_together", lambda network: not tried.append(network))
    model = load_tiny("llama")
    for _ in range(3):
        generate(model, *unpadded, max_new_tokens=2, beams=2)
    assert tried == [model.base]
