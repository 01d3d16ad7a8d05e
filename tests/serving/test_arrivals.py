"""Whatever arrives, joins, leaves or is cancelled, and when: each answer is that of its trained model alone."""

import threading
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.serving.answers import Answer
from tests.serving.conftest import Load, Sources, answer_alone, list_methods
from tests.serving.test_equality import make_prompt
from tuneoff.models.language_model import LanguageModel
from tuneoff.serving.engine import Engine
from tuneoff.serving.requests import Request, Sampling, Token

ARCHITECTURES = ("llama", "gpt2", "gpt_neo")

pytestmark = pytest.mark.model


def requests_to(architecture: str) -> st.SearchStrategy[Request]:
    return st.builds(
        lambda arm, length, seed, tokens, temperature: Request(
            arm=arm,
            prompt_ids=make_prompt(length, seed),
            sampling=Sampling(max_tokens=tokens, temperature=temperature, seed=seed),
        ),
        st.sampled_from(list_methods(architecture)),
        st.integers(1, 24),
        st.integers(0, 5),
        st.integers(1, 12),
        st.sampled_from([0.0, 0.8]),
    )


def arrivals_at(architecture: str) -> st.SearchStrategy[list[tuple[Request, int, int | None]]]:
    """Requests, each with the steps before it arrives and the tokens after which it is cancelled, if it is."""
    arrival = st.tuples(requests_to(architecture), st.integers(0, 3), st.none() | st.integers(1, 6))
    return st.lists(arrival, min_size=1, max_size=10)


@pytest.fixture(scope="module", params=ARCHITECTURES)
def architecture(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def engine(architecture: str, load_base: Load, sources: Callable[[str], Sources]) -> Iterator[Engine]:
    """Five rows at a time, so that some wait, and little room in the cache."""
    engine = Engine(load_base(architecture), sources(architecture), max_rows=5, max_cache_tokens=150)
    engine.start()
    yield engine
    engine.stop()


class CancelledAfter(Answer):
    """Cancels its request once it has some tokens, as a client that goes away."""

    after: int | None = None

    def __call__(self, event: object) -> None:
        super().__call__(event)  # type: ignore[arg-type]
        if isinstance(event, Token) and len(self.tokens) == self.after:
            assert self.ticket is not None
            self.ticket.cancel()


def wait_for_steps(engine: Engine, steps: int) -> None:
    """Let an engine that has something to do make some steps."""
    start = engine.stats().steps
    while engine.stats().steps < start + steps and engine.stats().rows:
        threading.Event().wait(0.0005)


def wait_until_idle(engine: Engine) -> None:
    """Fail by the time limit if a row stays. The last event of a row comes a moment before it leaves."""
    while engine.stats().rows or engine.stats().waiting:
        threading.Event().wait(0.0005)


@given(data=st.data())
@settings(max_examples=20, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_answer_is_that_of_the_arm_alone(
    data: st.DataObject, architecture: str, engine: Engine, load_alone: Callable[[str, str], LanguageModel]
) -> None:
    answers = []
    for request, steps, after in data.draw(arrivals_at(architecture)):
        wait_for_steps(engine, steps)
        answer = CancelledAfter(request)
        answer.ticket = engine.submit(request, lambda event, answer=answer: answer(event))
        answer.after = after
        answers.append(answer)
    for answer in answers:
        end, alone = answer.wait().end, answer_alone(load_alone(architecture, answer.request.arm), answer.request)
        if end.reason == "cancelled":
            assert answer.tokens == alone[: len(answer.tokens)]
            assert len(answer.tokens) >= (answer.after or 0)
        else:
            assert answer.tokens == alone
            assert end.reason == ("length" if len(alone) == answer.request.sampling.max_tokens else "stop")
    wait_until_idle(engine)
