"""A judge behind an API: retries, timeouts, refusals and keys; and a judge in this process."""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.judge_server import JudgeServer, serve_judge
from tuneoff.config.judge import JudgeOptions
from tuneoff.errors import JudgeError, RecipeError
from tuneoff.evaluation.judge_questions import Question
from tuneoff.evaluation.judges import open_judge

pytest.importorskip("openai")

QUESTIONS = [Question(str(i), f"question {i}") for i in range(12)]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[JudgeServer]:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)
    monkeypatch.setattr("openai._base_client.MAX_RETRY_DELAY", 0.01)
    with serve_judge(lambda prompt: "A" if int(prompt.split()[-1]) % 2 else "B") as server:
        yield server


def ask(server: JudgeServer, questions: list[Question] = QUESTIONS, **changes: Any) -> dict[str, str | None]:
    options = JudgeOptions(model="m", endpoint=server.url, **{"retries": 2, **changes})
    return {judgement.key: judgement.verdict for judgement in open_judge(options).ask(questions)}


def test_every_question_gets_its_reply(server: JudgeServer) -> None:
    assert ask(server) == {str(i): "first" if i % 2 else "second" for i in range(12)}
    assert server.requests[0]["model"] == "m"
    assert {request["temperature"] for request in server.requests} == {0}
    assert ask(server, parameters={"max_completion_tokens": 9})
    assert server.requests[-1]["max_completion_tokens"] == 9
    assert "temperature" not in server.requests[-1]


def test_a_failure_is_asked_again(server: JudgeServer) -> None:
    failures = iter([500, 429, 503])

    def fail_at_first(prompt: str) -> str | int:
        return next(failures, "tie") if prompt == "question 3" else "tie"

    server.reply = fail_at_first
    assert set(ask(server, retries=3).values()) == {"tie"}
    assert server.prompts.count("question 3") == 4


def test_what_was_answered_before_the_endpoint_went_away_is_yielded(server: JudgeServer) -> None:
    server.reply = lambda prompt: 500 if prompt == "question 9" else "A"
    answered = []
    judge = open_judge(JudgeOptions(model="m", endpoint=server.url, retries=1, parallel=1))
    with pytest.raises(JudgeError, match=r"does not answer: InternalServerError.*Everything so far is saved"):
        answered.extend(judge.ask(QUESTIONS))
    assert len(answered) == 9


def test_an_endpoint_that_is_not_there_is_named(server: JudgeServer) -> None:
    with pytest.raises(JudgeError, match=r"judge m at http://127\.0\.0\.1:9/v1 does not answer: APIConnectionError"):
        list(open_judge(JudgeOptions(model="m", endpoint="http://127.0.0.1:9/v1", retries=0)).ask(QUESTIONS))


def test_a_slow_reply_is_not_waited_for(server: JudgeServer) -> None:
    server.reply = lambda _: time.sleep(0.5) or "A"
    with pytest.raises(JudgeError, match="APITimeoutError"):
        ask(server, retries=0, timeout_seconds=0.1)


def test_a_refused_question_has_no_verdict_and_a_wrong_parameter_stops_at_the_first(server: JudgeServer) -> None:
    server.reply = lambda prompt: 400 if prompt == "question 3" else "A"
    verdicts = ask(server)
    assert [key for key, verdict in verdicts.items() if verdict is None] == ["3"]
    server.reply, server.requests = lambda _: 400, []
    with pytest.raises(JudgeError, match="BadRequestError"):
        ask(server)
    assert len(server.requests) == 1


def test_the_key_comes_from_the_environment_and_is_in_no_error(
    server: JudgeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-very-secret")
    ask(server, api_key_variable="MY_KEY")
    assert set(server.keys) == {"Bearer sk-very-secret"}
    server.reply = lambda _: 401
    with pytest.raises(JudgeError, match="AuthenticationError") as error:
        ask(server, api_key_variable="MY_KEY")
    assert "sk-very-secret" not in str(error.value)


def test_openais_own_api_without_a_key_is_refused_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(RecipeError, match="the environment variable OPENAI_API_KEY with the key is not set"):
        open_judge(JudgeOptions(model="m"))


def test_without_the_client_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(RecipeError, match=r"pip install 'tuneoff\[judge\]'"):
        open_judge(JudgeOptions(model="m", endpoint="http://localhost/v1"))


def test_a_local_model_judges_by_its_most_likely_word(model_folder: Callable[[str], Path]) -> None:
    judge = open_judge(JudgeOptions(model=str(model_folder("llama")), endpoint="local"))
    judgements = list(judge.ask(QUESTIONS))
    assert {judgement.key for judgement in judgements} == {question.key for question in QUESTIONS}
    assert {judgement.verdict for judgement in judgements} <= {"first", "second", "tie"}
    assert {judgement.key: judgement.verdict for judgement in judge.ask(QUESTIONS[:1])} == {
        judgement.key: judgement.verdict for judgement in judgements if judgement.key == "0"
    }
