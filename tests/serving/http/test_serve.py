"""`tuneoff serve`, a process of its own, over a run of a tiny Llama."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2 as httpx
import openai
import pytest

from tests.conftest import save_rows
from tests.tiny_run import make_run
from tuneoff.cli import main
from tuneoff.records.record import Prediction
from tuneoff.runs import RunDirectory
from tuneoff.serving.limits import ServerLimits
from tuneoff.system.supervisor import WORKER_VARIABLE

ARMS = ("base", "lora", "soft-prompt")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, model_folder: Callable[[str], Path]) -> Path:
    """A run whose prompt needs another column than the source."""
    folder = tmp_path_factory.mktemp("served")
    save_rows(folder / "text.jsonl")
    rows = [json.loads(line) for line in (folder / "text.jsonl").read_text().splitlines()]
    (folder / "text.jsonl").write_text("".join(json.dumps({**row, "topic": row["target"][:9]}) + "\n" for row in rows))
    methods = {"base": None, "lora": {"learning_rate": 1e-1}, "soft-prompt": {"tokens": 5}}
    data = {"prompt": "{{ topic }}: {{ source }}\n\nTL;DR:"}
    return make_run(folder, model_folder("llama"), methods, data=data, training={"epochs": 2})


@dataclass(frozen=True, kw_only=True)
class Running:
    process: subprocess.Popen[str]
    address: str

    def open_client(self) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.address}/v1", api_key="-", max_retries=0, timeout=60)


def start(run: Path, *options: str) -> Running:
    command = [sys.executable, "-m", "tuneoff.cli", "serve", str(run), "--port", "0", *options]
    own = {name: value for name, value in os.environ.items() if name != WORKER_VARIABLE}  # a worker needs a supervisor
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=own)
    assert process.stdout
    for line in process.stdout:
        if line.startswith("Page:"):
            return Running(process=process, address=line.split()[1].rstrip("/"))
    with process.stdout:
        pytest.fail(f"the server ended before it was ready, with exit code {process.wait()}")


def end(running: Running) -> None:
    running.process.send_signal(signal.SIGTERM)
    try:
        running.process.wait(60)
    finally:
        running.process.kill()
        running.process.wait()
        assert running.process.stdout
        running.process.stdout.close()


@pytest.fixture(scope="module")
def served(run: Path) -> Iterator[Running]:
    running = start(run)
    yield running
    end(running)


def read_predictions(run: Path) -> list[tuple[str, Prediction]]:
    records = RunDirectory(run).read().records
    return [(record.trial.label, prediction) for record in records for prediction in record.predictions]


def read_columns(run: Path) -> dict[str, dict[str, Any]]:
    rows = map(json.loads, (run.parent / "text.jsonl").read_text().splitlines())
    return {row["source"]: row for row in rows}


def test_the_limits_of_the_command_are_by_default_those_of_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[ServerLimits] = []
    monkeypatch.setattr("tuneoff.api.serve", lambda _, *, limits, **__: asked.append(limits))
    assert main(["serve", "runs/mine"]) == 0
    assert asked == [ServerLimits()]


def test_every_arm_answers_as_the_run_did_all_at_once(served: Running, run: Path) -> None:
    """The prompt, the weights and the choice of tokens are those of the run, though the batch mixes all arms."""
    expected, columns = read_predictions(run), read_columns(run)
    assert len(expected) == 9

    async def ask(client: openai.AsyncOpenAI, arm: str, prediction: Prediction) -> str:
        fields = {key: value for key, value in columns[prediction.source].items() if key != "target"}
        stream = await client.chat.completions.create(
            model=arm, messages=[], max_tokens=6, temperature=0, stream=True, extra_body={"fields": fields}
        )
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    async def ask_all() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{served.address}/v1", api_key="-", max_retries=0) as client:
            return list(await asyncio.gather(*(ask(client, *one) for one in expected)))

    texts = [text.strip() for text in asyncio.run(ask_all())]
    assert texts == [prediction.prediction for _, prediction in expected]
    assert len(set(texts)) > 3  # else equality would show nothing


def test_the_base_model_and_all_methods_are_listed(served: Running) -> None:
    with served.open_client() as client:
        assert sorted(model.id for model in client.models.list()) == sorted(ARMS)
        with pytest.raises(openai.NotFoundError, match="lora"):
            client.completions.create(model="lorra", prompt="a")


def test_log_probabilities_of_a_prompt_are_numbers_below_zero(served: Running) -> None:
    with served.open_client() as client:
        answer = client.completions.create(
            model="lora", prompt="The committee met on Monday", max_tokens=0, echo=True, logprobs=1
        )
    found = answer.choices[0].logprobs
    assert found is not None
    assert found.token_logprobs is not None
    assert found.token_logprobs[0] is None
    assert len(found.token_logprobs) > 2
    assert all(logprob < 0 for logprob in found.token_logprobs[1:])


def test_a_prompt_that_does_not_fit_the_model_is_refused_with_the_counts(served: Running) -> None:
    with served.open_client() as client, pytest.raises(openai.BadRequestError, match=r"\d+ tokens.* 256") as raised:
        client.completions.create(model="soft-prompt", prompt="river " * 400)
    assert raised.value.code == "context_length_exceeded"


def test_an_adapter_of_the_run_can_be_added_and_removed_while_serving(served: Running, run: Path) -> None:
    with served.open_client() as client:
        load = {"lora_name": "again", "lora_path": f"{run}:lora"}
        client.post("/load_lora_adapter", body=load, cast_to=str)
        options: Any = {"prompt": "The committee", "max_tokens": 8, "temperature": 0}
        first, again = (client.completions.create(model=arm, **options) for arm in ("lora", "again"))
        assert first.choices[0].text == again.choices[0].text
        with pytest.raises(openai.BadRequestError, match="already"):
            client.post("/load_lora_adapter", body=load, cast_to=str)
        client.post("/unload_lora_adapter", body={"lora_name": "again"}, cast_to=str)
        with pytest.raises(openai.NotFoundError):
            client.completions.create(model="again", **options)


@pytest.mark.parametrize("path", ["/etc", "nowhere", "../../..", ""])
def test_a_folder_without_an_adapter_is_refused(served: Running, path: str) -> None:
    with served.open_client() as client, pytest.raises(openai.BadRequestError):
        client.post("/load_lora_adapter", body={"lora_name": "x", "lora_path": path}, cast_to=str)


def test_a_test_example_is_asked_as_in_the_run_and_a_vote_reaches_the_report(served: Running, run: Path) -> None:
    """Though the text on the page lacks the column that the prompt needs."""
    with httpx.Client(base_url=served.address, timeout=60) as client:
        example = client.get("/page/example").json()
        body = {
            "kind": "run", "text": example["source"], "row": example["row"], "arms": list(ARMS), "blind": True,
            "max_tokens": 6, "temperature": 0.0,
        }  # fmt: skip
        lines = client.post("/page/rounds", json=body).text.split("\n\n")
        events = [json.loads(line.removeprefix("data: ")) for line in lines if line]
        assert events[0]["panes"] == ["Answer A", "Answer B", "Answer C"]
        assert not any(arm in json.dumps(event) for event in events for arm in ARMS)
        revealed = client.post("/page/votes", json={"round": events[0]["round"], "choice": 1}).json()
        assert client.post("/page/votes", json={"round": events[0]["round"], "choice": 1}).status_code == 409
    texts = [""] * 3
    for event in events[1:]:
        texts[event["pane"]] += event.get("text", "")
    expected = {arm: p.prediction for arm, p in read_predictions(run) if p.row == example["row"]}
    assert {arm: text.strip() for arm, text in zip(revealed["arms"], texts, strict=True)} == expected
    (vote,) = RunDirectory(run).read().votes
    assert (vote.chosen, vote.row, list(vote.answers)) == (revealed["arms"][1], example["row"], revealed["arms"])


def test_a_signal_ends_the_server_though_a_stream_is_open(run: Path) -> None:
    running = start(run, "--drain-seconds", "1", "--arms", "lora")
    with running.open_client() as client:
        stream = client.completions.create(model="lora", prompt="a", max_tokens=240, stream=True, n=16)
        next(iter(stream))
        end(running)
    assert running.process.returncode == -signal.SIGTERM


def test_other_machines_need_a_key(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", str(run), "--host", "0.0.0.0"]) == 2
    assert "--api-key-env" in capsys.readouterr().err


def test_a_key_that_is_not_set_is_an_error(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", str(run), "--api-key-env", "NOT_SET_AT_ALL"]) == 2
    assert "NOT_SET_AT_ALL is not set" in capsys.readouterr().err


def test_an_arm_that_is_not_there_is_an_error_that_lists_the_arms(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", str(run), "--port", "0", "--arms", "lorra"]) == 2
    assert "Did you mean 'lora'" in capsys.readouterr().err


def test_a_port_that_is_taken_is_an_error(run: Path, served: Running, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", str(run), "--port", served.address.rpartition(":")[2]]) == 2
    assert "--port" in capsys.readouterr().err
