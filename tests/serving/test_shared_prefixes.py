"""Prompts that begin alike are answered as alone, and what they have in common is read once."""

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.serving.answers import ask
from tests.serving.conftest import Load, Sources, answer_alone, list_methods
from tests.serving.test_equality import make_prompt
from tuneoff.models.common_beginning import LEAST_TOKENS, count_common
from tuneoff.models.language_model import LanguageModel
from tuneoff.serving import Engine, Request, Sampling

pytestmark = pytest.mark.model

START = make_prompt(40, 9)


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def architecture(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def engine(architecture: str, load_base: Load, sources: Callable[[str], Sources]) -> Iterator[Engine]:
    engine = Engine(load_base(architecture), sources(architecture), max_cache_tokens=16_000)
    engine.start()
    yield engine
    engine.stop()


def make_request(arm: str, seed: int, start: tuple[int, ...] = START) -> Request:
    prompt = (*start, *make_prompt(1 + 4 * (seed % 3), 100 + seed))
    return Request(arm=arm, prompt_ids=prompt, sampling=Sampling(max_tokens=8, temperature=0, seed=0))


def test_every_arm_answers_as_alone(
    architecture: str, engine: Engine, load_alone: Callable[[str, str], LanguageModel]
) -> None:
    names = list_methods(architecture)
    for seed in range(4):  # one after another, so that later ones find what earlier ones left
        answers = [ask(engine, make_request(name, seed)) for name in names]
        for answer in answers:
            alone = answer_alone(load_alone(architecture, answer.request.arm), answer.request)
            assert answer.wait().tokens == alone, (answer.request.arm, seed)
    assert engine.stats().reused_tokens >= 2 * len(START) * len(names)


def test_where_layers_have_a_window_all_is_read(load_base: Load, sources: Callable[[str], Sources]) -> None:
    engine = Engine(load_base("gemma2"), {"base": sources("gemma2")["base"]})
    engine.start()
    for _ in range(3):
        ask(engine, make_request("base", 1)).wait()
    engine.stop()
    assert engine.stats().reused_tokens == engine._lanes.prefixes.tokens == 0


def open_llama(load_base: Load, sources: Callable[[str], Sources], tokens: int) -> Engine:
    arms = {name: sources("llama")[name] for name in ("base", "lora")}
    engine = Engine(load_base("llama"), arms, max_cache_tokens=8 * tokens)
    engine.start()
    return engine


def test_the_same_prompt_again_is_read_but_for_its_last_token(
    load_base: Load, sources: Callable[[str], Sources]
) -> None:
    engine = open_llama(load_base, sources, 1000)
    answers = [ask(engine, make_request("lora", 1)).wait() for _ in range(3)]
    assert len({answer.tokens for answer in answers}) == 1
    assert engine.stats().reused_tokens == len(make_request("lora", 1).prompt_ids) - 1
    scored = Request(arm="lora", prompt_ids=make_request("lora", 1).prompt_ids, score_prompt=True)
    assert len(ask(engine, scored).wait().prompt.logprobs) == len(scored.prompt_ids), "a scored prompt is read whole"
    engine.stop()


def test_arms_share_nothing_and_a_removed_one_leaves_nothing(
    load_base: Load, sources: Callable[[str], Sources]
) -> None:
    engine = open_llama(load_base, sources, 1000)
    for arm in ("base", "base", "lora", "lora"):
        ask(engine, make_request(arm, 1)).wait()
    assert engine.stats().reused_tokens == 0
    kept = engine._lanes.prefixes.tokens
    engine.remove_arm("lora")
    ask(engine, make_request("base", 2)).wait()
    engine.stop()
    assert 0 < engine._lanes.prefixes.tokens < kept


def test_no_more_beginnings_are_kept_than_there_is_room_for(load_base: Load, sources: Callable[[str], Sources]) -> None:
    engine = open_llama(load_base, sources, 100)
    for seed in range(6):
        for number in range(2):
            ask(engine, make_request("base", number, make_prompt(40, seed))).wait()
    assert LEAST_TOKENS <= engine._lanes.prefixes.tokens <= 100
    engine.stop()


@given(st.lists(st.integers(0, 1)), st.lists(st.integers(0, 1)))
def test_the_common_beginning_is_that_of_a_comparison_one_by_one(one: list[int], other: list[int]) -> None:
    pairs = zip(one, other, strict=False)
    expected = next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
    assert count_common(one, other) == expected
