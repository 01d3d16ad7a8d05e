"""What serving costs: the shape of what is measured, and that every number is of what it says."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import tuneoff
from tests.tiny_run import make_run
from tuneoff import api
from tuneoff.cli import main
from tuneoff.records.measured import Measured, Spread
from tuneoff.report.measured import describe_measured, find_measured
from tuneoff.runner import measuring
from tuneoff.runs import RunDirectory
from tuneoff.runs.measured import FILE, FOLDER, read_measured

pytestmark = pytest.mark.model
METHODS: dict[str, Any] = {
    "base": None, "full": {"learning_rate": 1e-3}, "lora": {"learning_rate": 1e-2}, "rslora": {"learning_rate": 1e-2},
    "adapter": None, "soft-prompt": {"tokens": 5},
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, model_folder: Callable[[str], Path]) -> Path:
    """A run that was measured once, quickly."""
    run = make_run(tmp_path_factory.mktemp("measured"), model_folder("llama"), METHODS)
    arguments = ["--batches", "1,2", "--prompt-tokens", "16", "--new-tokens", "2", "--repeats", "2"]
    assert main(["measure", str(run), *arguments]) == 0
    return run


@pytest.fixture
def measured(run: Path) -> Measured:
    found = read_measured(run)
    assert found is not None
    return found


def test_every_model_is_measured_in_each_form_that_it_has(measured: Measured) -> None:
    found = {(row.label, row.form, row.batch) for row in measured.times}
    forms = {("full", "merged"), ("lora", "adapter"), ("lora", "merged"), ("rslora", "adapter"), ("rslora", "merged"),
             ("adapter", "adapter"), ("soft-prompt", "adapter")}  # fmt: skip
    assert found == {(label, form, batch) for label, form in forms for batch in (1, 2)}
    assert all(row.prefill_ms.low <= row.prefill_ms.median <= row.prefill_ms.high for row in measured.times)


def test_the_models_take_turns_in_an_order_that_is_reversed(monkeypatch: pytest.MonkeyPatch, load_tiny: Any) -> None:
    order: list[str] = []
    model = load_tiny("llama")
    others = {"base": model, "other": load_tiny("llama")}
    names = {id(m): name for name, m in others.items()}

    def time_generation(timed: Any, *_: Any, tokens: int) -> float:
        order.append(names[id(timed)])
        return {"base": 1.0, "other": 2.0}[names[id(timed)]] * tokens

    monkeypatch.setattr(measuring, "time_generation", time_generation)
    options = measuring.MeasureOptions(repeats=2, new_tokens=4)
    times = measuring.time_in_turns(others, torch.zeros(1, 4, dtype=torch.long), options)
    assert order[::2] == ["base", "other", "other", "base", "base", "other"]
    assert times["other"].prefill_ms == [2.0, 2.0]  # the first repeat is not counted
    assert times["other"].token_ms == [2.0, 2.0]


def test_the_forms_compute_what_was_trained_and_not_the_base_model(run: Path) -> None:
    directory = RunDirectory(run)
    tokens = torch.arange(2, 30)[None]
    for label, same in {"lora": True, "soft-prompt": False}.items():
        (record,) = (r for r in directory.read_records() if r.trial.label == label)
        base = measuring.load_base(record.trial.setting).eval()
        forms = measuring.load_forms(directory, record, base)
        ones = torch.ones_like(tokens)
        scored = ones.bool().clone()
        scored[0, 0] = False
        with torch.no_grad():
            logits = {name: m.logits(tokens, ones.bool(), scored) for name, m in {"base": base, **forms}.items()}
        assert not torch.allclose(logits["adapter"], logits["base"], atol=1e-4)
        assert ("merged" in forms) == same
        if same:
            torch.testing.assert_close(logits["merged"], logits["adapter"], atol=1e-4, rtol=1e-4)


def test_memory_is_that_of_the_weights(run: Path, measured: Measured) -> None:
    records = {r.trial.label: r for r in RunDirectory(run).read_records()}
    base = measuring.load_base(records["base"].trial.setting)
    assert measured.base_bytes == sum(p.numel() * 4 for p in base.parameters())
    assert measured.own_bytes["soft-prompt"] == 5 * 32 * 4
    assert measured.own_bytes["full"] == measured.base_bytes
    assert measured.own_bytes["base"] == 0


def test_swaps_and_soft_prompts_are_measured(measured: Measured) -> None:
    assert measured.swap is not None
    assert measured.swap.labels == ("lora", "rslora") or set(measured.swap.labels) == {"lora", "rslora"}
    assert measured.swap.restored_drift == 0
    assert 0 < measured.swap.drift < 1e-4
    assert [prompt.tokens for prompt in measured.prompts] == [8, 32, 128]
    assert measured.prompts[0].context_share == 8 / 256


def test_all_models_are_measured_in_one_batch(measured: Measured) -> None:
    assert measured.mixed is not None
    assert set(measured.mixed.labels) == {"full", "lora", "rslora", "adapter", "soft-prompt"}
    assert min(measured.mixed.mixed_ms.low, measured.mixed.in_turn_ms.low, measured.mixed.base_ms.low) > 0


def test_the_page_has_a_section_with_figures(run: Path) -> None:
    tuneoff.write_report(tuneoff.load_comparison(run), run / "report")
    page = (run / "report" / "index.html").read_text()
    assert "Cost of serving" in page
    assert "times the base model&#39;s time" in page or "times the base model's time" in page
    assert (run / "report" / "figures" / "served-tokens.csv").exists()


def test_measurements_of_a_trial_that_is_gone_are_not_shown(run: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(run, tmp_path / "run"))
    (record,) = (r for r in RunDirectory(copied).read_records() if r.trial.label == "adapter")
    shutil.rmtree(RunDirectory(copied).get_trial_folder(record.trial))
    found = find_measured(tuneoff.load_comparison(copied))
    assert found is not None
    assert "adapter" not in {row.label for row in found.times}


def test_damaged_measurements_are_left_out_and_found_by_verify(
    run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copied = Path(shutil.copytree(run, tmp_path / "run"))
    assert not api.verify(copied).problems
    file = copied / FOLDER / FILE
    values = json.loads(file.read_text())
    values["base_bytes"] += 1
    file.write_text(json.dumps(values))
    assert tuneoff.load_comparison(copied).run.measured is None
    assert "does not match its checksum" in caplog.text
    assert [problem.file for problem in api.verify(copied).problems] == [file]


def test_the_sentences_have_the_measured_numbers(measured: Measured) -> None:
    times = [
        row.model_copy(update={"token_ratio": Spread(median=median, low=median - 0.01, high=median + 0.02)})
        for row, median in zip(measured.times, [1.01, 1.03] + [1.5] * len(measured.times), strict=False)
    ]
    text = " ".join(describe_measured(measured.model_copy(update={"times": tuple(times)})))
    assert "1.50 (1.49 to 1.52)" in text
    assert "as merged copies 5 times" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--batches", "1,x"], "Write numbers of rows"),
        (["--batches", "0"], "Write numbers of rows"),
        (["--arms", "lorra"], "Did you mean 'lora'"),
        (["--prompt-tokens", "500"], "do not fit into the model's context of 256"),
    ],
)
def test_bad_input_is_refused_with_the_cure(
    run: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (run / FOLDER / FILE).read_bytes()
    assert main(["measure", str(run), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert (run / FOLDER / FILE).read_bytes() == before
