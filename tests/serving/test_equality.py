"""In a batch with others an arm writes, token for token, what its trained model writes alone."""

from collections.abc import Callable, Iterator

import pytest
import torch

from tests.serving.answers import ask
from tests.serving.conftest import Load, Sources, answer_alone, list_methods
from tuneoff.models.language_model import LanguageModel
from tuneoff.serving.engine import Engine
from tuneoff.serving.requests import Request, Sampling

ARCHITECTURES = ("llama", "gpt2", "gpt_neo", "gemma2")
LoadAlone = Callable[[str, str], LanguageModel]

pytestmark = pytest.mark.model


@pytest.fixture(scope="module", params=ARCHITECTURES)
def architecture(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def engine(architecture: str, load_base: Load, sources: Callable[[str], Sources]) -> Iterator[Engine]:
    engine = Engine(load_base(architecture), sources(architecture))
    engine.start()
    yield engine
    engine.stop()


def make_prompt(length: int, seed: int) -> tuple[int, ...]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randint(2, 320, (length,), generator=generator).tolist())


def make_requests(names: list[str], temperature: float) -> list[Request]:
    return [
        Request(
            arm=name,
            prompt_ids=make_prompt(3 + 5 * (number % 4), number),
            sampling=Sampling(max_tokens=20, temperature=temperature, top_p=0.9, seed=number),
        )
        for number, name in enumerate([*names, *names])
    ]


@pytest.mark.parametrize("temperature", [0.0, 1.0], ids=["greedy", "sampled"])
def test_every_arm_in_one_batch_writes_what_it_writes_alone(
    architecture: str, temperature: float, engine: Engine, load_alone: LoadAlone
) -> None:
    requests = make_requests(list_methods(architecture), temperature)
    answers = [ask(engine, request) for request in requests]
    for answer in answers:
        alone = answer_alone(load_alone(architecture, answer.request.arm), answer.request)
        assert answer.wait().tokens == alone, answer.request.arm


def test_all_arms_share_batches_but_prefixes_of_models_with_a_window(architecture: str, engine: Engine) -> None:
    alone = {info.name for info in engine.arms() if not info.mixes}
    assert alone == ({"prefix"} if architecture in {"gpt_neo", "gemma2"} else set())


def test_the_self_test_finds_rounding_alone(engine: Engine) -> None:
    found = engine.check()
    assert found.keys() == {info.name for info in engine.arms()}
    assert max(one.largest_difference for one in found.values()) < 1e-4
