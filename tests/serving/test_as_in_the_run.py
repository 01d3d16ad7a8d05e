"""An arm that is asked as its run asked it answers as it did there: its prompts, its ends, its labels."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.conftest import SENTENCES
from tests.serving.answers import ask
from tests.serving.http.conftest import make_client
from tests.serving.http.serving import serve
from tests.tiny_run import make_run
from tuneoff.evaluation.generation import trim
from tuneoff.runs import RunDirectory
from tuneoff.serving import Engine, Request, open_engine

pytestmark = pytest.mark.model

CHAT = (
    "{{ greeting }}{% for m in messages %}<{{ m.role }}>{{ m.content }}{{ '<eos>' if m.role == 'assistant' }}"
    "{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)
ASKED = {"base": None, "base-prompt": {"prompt": "{{ source }} In short:"}, "base-few-shot": {"shots": 2},
         "base-nearest-shots": {"shots": 2}}  # fmt: skip
MODES: dict[str, dict[str, Any]] = {
    "sampled": {"generation": {"max_new_tokens": 8, "temperature": 0.9, "top_k": 40, "top_p": 0.9, "seed": 3}},
    "free text": {"generation": {"max_new_tokens": 8, "min_new_tokens": 3, "stop": [" r", "o"]}},
    "constrained": {"generation": {"constrain_to": "labels"}},
    "likelihood per token": {"labels": {"predict_by": "likelihood", "per_token": True}},
}


def save_labeled_rows(path: Path) -> None:
    labels = ("the river", "the harbour in the night", "rain")
    rows = [{"source": f"{text} {n}", "target": labels[n % 3]} for n, text in enumerate(SENTENCES * 4)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def open_started(run: Path) -> Engine:
    engine = open_engine([run])
    engine.start()
    return engine


@pytest.mark.parametrize(
    "mode", ["free text", "constrained", "likelihood per token", pytest.param("sampled", marks=pytest.mark.slow)]
)
def test_every_arm_answers_the_test_examples_as_in_its_run(
    mode: str, tmp_path: Path, model_folder: Callable[[str], Path]
) -> None:
    save_labeled_rows(tmp_path / "text.jsonl")
    methods = {**ASKED, "lora": {"learning_rate": 1e-1}}
    data = {"sizes": {"train": 12, "validation": 2, "test": 4}, "prompt": "{{ source }}\nAbout:"}
    run = make_run(tmp_path, model_folder("llama"), methods, data=data, evaluation={"generation": {}, **MODES[mode]})
    engine = open_started(run)
    records = RunDirectory(run).read_records()
    asked = {
        (record.trial.label, prediction.source): prediction.prediction
        for record in records
        for prediction in record.predictions
    }
    answers = {}
    for arm, source in asked:
        prompts = engine.prompts_of(arm)
        assert prompts is not None
        request = Request(arm=arm, prompt_ids=engine.prompt_for(arm, source), sampling=prompts.sampling)
        answers[arm, source] = ask(engine, request)
    assert {key: trim(answer.wait().text) for key, answer in answers.items()} == asked
    engine.stop()
    assert {arm for arm, _ in asked} == methods.keys()


@pytest.fixture(scope="module")
def chat_run(tmp_path_factory: pytest.TempPathFactory, model_folder: Callable[[str], Path]) -> Path:
    """A run whose prompts are written by a chat template with a variable."""
    folder = tmp_path_factory.mktemp("chats")
    shutil.copytree(model_folder("llama"), folder / "model")
    config = folder / "model" / "tokenizer_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "chat_template": CHAT}))
    save_labeled_rows(folder / "text.jsonl")
    data = {
        "sizes": {"train": 12, "validation": 2, "test": 3}, "prompt": "chat", "chat_instruction": "Say: {source}",
        "chat_template_kwargs": {"greeting": "Now "}, "max_tokens": 96,
    }  # fmt: skip
    methods = {**ASKED, "base-prompt": {"prompt": "chat", "chat_instruction": "In short: {source}"}}
    return make_run(folder, folder / "model", methods, data=data)


@pytest.fixture(scope="module")
def chat_engine(chat_run: Path) -> Iterator[Engine]:
    engine = open_started(chat_run)
    yield engine
    engine.stop()


@pytest.fixture
def client(chat_engine: Engine) -> Iterator[openai.OpenAI]:
    with serve(KeptOpen(chat_engine)) as server, make_client(server) as made:
        yield made


class KeptOpen:
    """An engine that a server does not stop at its end, since other tests go on with it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def stop(self) -> None:
        """Do nothing."""


def read_first(run: Path, label: str) -> Any:
    record = next(record for record in RunDirectory(run).read_records() if record.trial.label == label)
    return record.predictions[0]


@pytest.mark.parametrize("arm", ASKED)
def test_fields_are_answered_as_in_the_run_unless_the_request_says_otherwise(
    arm: str, chat_run: Path, client: openai.OpenAI
) -> None:
    expected = read_first(chat_run, arm)
    fields = {"fields": {"source": expected.source}}
    answer = client.completions.create(model=arm, prompt=None, extra_body=fields)
    assert trim(answer.choices[0].text) == expected.prediction
    assert answer.usage is not None
    assert answer.usage.completion_tokens <= 6
    shorter = client.chat.completions.create(model=arm, messages=[], max_tokens=2, extra_body=fields)
    assert shorter.usage is not None
    assert shorter.usage.completion_tokens == 2


def ask_in_chat(client: openai.OpenAI, arm: str, text: str, **options: Any) -> Any:
    return client.chat.completions.create(
        model=arm, messages=[{"role": "user", "content": text}], max_tokens=6, temperature=0, **options
    )


def test_chats_have_the_variables_of_the_run(chat_run: Path, client: openai.OpenAI) -> None:
    expected = read_first(chat_run, "base")
    answer = ask_in_chat(client, "base", f"Say: {expected.source}")
    assert trim(answer.choices[0].message.content) == expected.prediction
    other = ask_in_chat(client, "base", "Hello", extra_body={"chat_template_kwargs": {"greeting": "Here and now, "}})
    assert other.usage.prompt_tokens > ask_in_chat(client, "base", "Hello").usage.prompt_tokens


@pytest.mark.parametrize("arm", list(ASKED)[1:])
def test_a_chat_with_an_arm_that_has_prompts_of_its_own_gets_them(
    arm: str, chat_run: Path, client: openai.OpenAI
) -> None:
    expected = read_first(chat_run, arm)
    answer = ask_in_chat(client, arm, expected.source)
    assert trim(answer.choices[0].message.content) == expected.prediction
    with pytest.raises(openai.BadRequestError, match="takes no variables"):
        ask_in_chat(client, arm, "A storm.", extra_body={"chat_template_kwargs": {"greeting": "Hi"}})
    turns = [{"role": role, "content": "A storm."} for role in ("user", "assistant", "user")]
    with pytest.raises(openai.BadRequestError, match="has 3 messages"):
        client.chat.completions.create(model=arm, messages=turns)  # type: ignore[arg-type]


def test_an_arm_says_that_it_is_the_base_model_asked_otherwise(chat_engine: Engine) -> None:
    notes = {info.name: info.note for info in chat_engine.arms()}
    assert [name for name, note in notes.items() if "prompts of its own" in note] == list(ASKED)[1:]
