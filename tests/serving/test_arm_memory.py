"""Arms that were not used for longest leave the memory, and answer as before when they are read again."""

import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.serving.answers import ask
from tests.serving.conftest import Load, Sources, answer_alone
from tests.serving.test_equality import make_prompt
from tuneoff.errors import RunError
from tuneoff.models.language_model import LanguageModel
from tuneoff.serving import Engine, Request, Sampling

pytestmark = pytest.mark.model

ARMS = ("base", "lora", "dora", "full", "soft-prompt", "prefix", "last-layer")
AnswerAlone = Callable[[Request], tuple[int, ...]]


@pytest.fixture(scope="module")
def arms(sources: Callable[[str], Sources]) -> Sources:
    return {name: sources("llama")[name] for name in ARMS}


@pytest.fixture(scope="module")
def sizes(load_base: Load, arms: Sources) -> dict[str, int]:
    return {info.name: info.bytes for info in Engine(load_base("llama"), arms).arms()}


@pytest.fixture(scope="module")
def answer(load_alone: Callable[[str, str], LanguageModel]) -> AnswerAlone:
    """What an arm writes alone. All are loaded now, since peft is silenced for a whole process and not for a thread."""
    models = {name: load_alone("llama", name) for name in ARMS}
    return lambda request: answer_alone(models[request.arm], request)


@pytest.fixture
def engine(load_base: Load, arms: Sources, sizes: dict[str, int], answer: AnswerAlone) -> Iterator[Engine]:
    """Room for the largest arm and nothing else."""
    engine = Engine(load_base("llama"), arms, max_rows=4, max_arm_bytes=max(sizes.values()))
    engine._base.base.generation_config.eos_token_id = None
    engine.start()
    yield engine
    engine.stop()


def make_request(arm: str, seed: int = 1, tokens: int = 6) -> Request:
    return Request(arm=arm, prompt_ids=make_prompt(5, seed), sampling=Sampling(max_tokens=tokens, temperature=0))


def list_loaded(engine: Engine) -> list[str]:
    return [info.name for info in engine.arms() if info.is_loaded]


def test_arms_that_do_not_fit_together_answer_as_alone(engine: Engine, answer: AnswerAlone) -> None:
    requests = [make_request(arm, seed) for seed in range(3) for arm in (*ARMS, *reversed(ARMS))]
    for given in [ask(engine, request) for request in requests]:
        assert given.wait().tokens == answer(given.request)
    stats = engine.stats()
    assert stats.arm_bytes <= engine._memory.limit
    assert stats.arm_loads - stats.arm_unloads == stats.arms == len(list_loaded(engine))
    assert stats.arm_unloads > len(ARMS)


def test_before_the_start_there_is_as_little_in_memory(load_base: Load, arms: Sources, sizes: dict[str, int]) -> None:
    engine = Engine(load_base("llama"), arms, max_arm_bytes=max(sizes.values()))
    assert engine.stats().arm_bytes <= max(sizes.values())
    assert len(list_loaded(engine)) < len(ARMS)


def test_the_one_that_was_not_used_for_longest_leaves(load_base: Load, arms: Sources, sizes: dict[str, int]) -> None:
    few = {name: arms[name] for name in ("lora", "dora", "soft-prompt")}
    engine = Engine(load_base("llama"), few, max_arm_bytes=sizes["lora"] + sizes["dora"] + sizes["soft-prompt"])
    engine.start()
    for name in ("dora", "soft-prompt", "lora"):
        ask(engine, make_request(name)).wait()
    engine.add_arm("new", replace(arms["soft-prompt"]))
    ask(engine, make_request("new")).wait()
    assert list_loaded(engine) == ["lora", "soft-prompt", "new"]
    engine.stop()


def test_an_arm_in_use_stays_until_its_rows_have_ended(engine: Engine, answer: AnswerAlone) -> None:
    long = ask(engine, make_request("lora", tokens=100))
    while not long.tokens:
        threading.Event().wait(0.001)
    other, again = ask(engine, make_request("full")), ask(engine, make_request("lora", 2))
    for given in (long, other, again):
        assert given.wait().tokens == answer(given.request)


def test_an_arm_that_is_too_large_is_refused(engine: Engine, arms: Sources) -> None:
    engine._memory.limit -= 1
    with pytest.raises(RunError, match=r"large takes .* all models together may take .* --arm-memory"):
        engine.add_arm("large", arms["full"])


def test_files_that_were_changed_are_not_read_again(engine: Engine, arms: Sources, tmp_path: Path) -> None:
    assert arms["lora"].folder is not None
    shutil.copytree(arms["lora"].folder, tmp_path / "lora")
    engine.add_arm("changing", replace(arms["lora"], folder=tmp_path / "lora"))
    before = ask(engine, make_request("changing")).wait().tokens
    ask(engine, make_request("full")).wait()  # leaves no room for it
    weights = tmp_path / "lora" / "adapter_model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    lost, fine = [ask(engine, make_request("changing")) for _ in range(3)], ask(engine, make_request("base"))
    for given in lost:
        assert "others than when it was added" in str(given.wait().error)
    assert len(fine.wait().tokens) == 6
    weights.write_bytes(content)
    assert ask(engine, make_request("changing")).wait().tokens == before


def test_what_waits_for_an_arm_is_answered_after_its_removal(engine: Engine, answer: AnswerAlone) -> None:
    ask(engine, make_request("full")).wait()
    given = ask(engine, make_request("lora"))
    engine.remove_arm("lora")
    assert given.wait().tokens == answer(given.request)
    ask(engine, make_request("base")).wait()
    engine.stop(drain_seconds=10)
    assert engine.stats().arms == len(list_loaded(engine)), "the removed one has left"


def test_an_engine_that_stops_without_time_waits_for_no_arm(engine: Engine) -> None:
    ask(engine, make_request("full")).wait()
    answers = [ask(engine, make_request(arm)) for arm in ("lora", "dora")]
    engine.stop()
    assert {answer.wait().end.reason for answer in answers} <= {"cancelled", "length"}
    assert not engine._scheduler._loader.is_alive()
