"""What runs trained is served from their directories, with the prompts and the answers of the runs."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tuneoff
from tests.conftest import save_model
from tests.serving.answers import ask
from tests.tiny_run import make_run
from tuneoff.errors import DataError, RequestError, RunError
from tuneoff.runs import RunDirectory
from tuneoff.serving import Engine, Request, Sampling, open_engine
from tuneoff.serving.sources import describe_weights

pytestmark = pytest.mark.model

METHODS: dict[str, Any] = {
    "base": None,
    "lora": {"learning_rate": 1e-2},
    "soft-prompt": {"tokens": 5},
    "full": {"learning_rate": 1e-3},
    "base-prompt": {"prompt": "{source} In short:"},
}
SOURCES = ["A storm closed the harbour.", "The old bridge will be rebuilt next year."]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, model_folder: Callable[[str], Path]) -> Path:
    return make_run(tmp_path_factory.mktemp("served"), model_folder("llama"), METHODS)


@pytest.fixture(scope="module")
def engine(run: Path) -> Iterator[Engine]:
    engine = open_engine([run])
    engine.start()
    yield engine
    engine.stop()


def test_every_arm_answers_as_the_model_of_its_run(engine: Engine, run: Path) -> None:
    assert [info.name for info in engine.arms()] == list(METHODS)
    sampling = Sampling(max_tokens=6, temperature=0)
    answers = {
        (name, source): ask(engine, Request(arm=name, prompt_ids=engine.prompt_for(name, source), sampling=sampling))
        for name in ("lora", "soft-prompt", "full")
        for source in SOURCES
    }
    for name in ("lora", "soft-prompt", "full"):
        texts = [answers[name, source].wait().text.strip() for source in SOURCES]
        assert texts == tuneoff.load(run, name).generate(SOURCES)


def test_fields_that_the_template_cannot_use_are_refused(engine: Engine) -> None:
    with pytest.raises(DataError):
        engine.prompt_for("lora", {"nothing": "A storm."})


def test_chosen_arms_are_served_beside_the_base_model(run: Path) -> None:
    assert [info.name for info in open_engine([run], ["lora"]).arms()] == ["base", "lora"]


def test_an_arm_that_the_run_does_not_have_is_refused(run: Path) -> None:
    with pytest.raises(RunError, match=r"no arm 'lara'\. Did you mean 'lora'"):
        open_engine([run], ["lara"])


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="not a run directory"):
        open_engine([tmp_path])


def test_runs_of_one_base_share_it_and_their_arms_have_their_names(run: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(run, tmp_path / "other"))
    names = [info.name for info in open_engine([run, other], ["run/lora", "other/soft-prompt"]).arms()]
    assert names == ["base", "run/lora", "other/soft-prompt"]


def test_runs_of_different_bases_are_refused(run: Path, tmp_path: Path, tokenizer_folder: Path) -> None:
    save_model("gpt2", tmp_path / "model")
    shutil.copytree(tokenizer_folder, tmp_path / "model", dirs_exist_ok=True)
    other = make_run(tmp_path, tmp_path / "model", {"base": None}).rename(tmp_path / "other")
    with pytest.raises(RunError, match=r"fingerprints are .* One server has one base"):
        open_engine([run, other])


def test_a_quantised_base_is_another_one(run: Path) -> None:
    setting = RunDirectory(run).read_records()[0].trial.setting
    quantised = setting.model_copy(update={"model": setting.model.model_copy(update={"quantise": "nf4"})})
    assert describe_weights(setting) != describe_weights(quantised) == f"{setting.model_fingerprint} in nf4"


def test_a_damaged_adapter_is_refused(run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    for weights in copy.glob("trials/*/adapter/adapter_model.safetensors"):
        weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    with pytest.raises(RunError, match="damaged"):
        open_engine([copy], ["lora"])


def test_an_arm_is_added_from_a_run_and_from_an_exported_adapter(engine: Engine, run: Path, tmp_path: Path) -> None:
    tuneoff.export(run, to=tmp_path / "exported", label="lora")
    engine.add_arm("from-run", f"{run}:lora")
    engine.add_arm("from-folder", tmp_path / "exported")
    prompt, sampling = engine.prompt_for("lora", SOURCES[0]), Sampling(max_tokens=6, temperature=0)
    answers = [
        ask(engine, Request(arm=name, prompt_ids=prompt, sampling=sampling)).wait().tokens
        for name in ("lora", "from-run", "from-folder")
    ]
    assert answers[0] == answers[1] == answers[2]
    with pytest.raises(RequestError, match=r"from-folder comes from no run .* Send a whole prompt"):
        engine.prompt_for("from-folder", SOURCES[0])
    for name in ("from-run", "from-folder"):
        engine.remove_arm(name)


def test_an_adapter_for_another_base_is_refused(engine: Engine, run: Path, tmp_path: Path) -> None:
    tuneoff.export(run, to=tmp_path / "exported", label="lora")
    config = tmp_path / "exported" / "adapter_config.json"
    config.write_text(
        config.read_text().replace('"base_model_name_or_path": "', '"base_model_name_or_path": "another-')
    )
    with pytest.raises(RunError, match=r"is an adapter for another-.* is served"):
        engine.add_arm("other", tmp_path / "exported")


def test_a_place_that_is_nothing_is_refused(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="neither RUN:LABEL"):
        engine.add_arm("nothing", tmp_path)
