"""The recipe of the original report runs unchanged if its model and dataset are available.

Here both are small repositories in the layout of the hub, under the names in the recipe.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import tuneoff
from tests.conftest import SENTENCES
from tuneoff.runner.listener import SilentListener
from tuneoff.runs import RunDirectory

COMMIT = "89abcdef0123456789abcdef0123456789abcdef"
CARD = """---
configs:
- config_name: "3.0.0"
  data_files:
  - {split: train, path: 3.0.0/train.jsonl}
  - {split: validation, path: 3.0.0/validation.jsonl}
  - {split: test, path: 3.0.0/test.jsonl}
---
"""


@pytest.fixture
def hub(tmp_path: Path, model_folder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    model = tmp_path / "hub" / "models--EleutherAI--gpt-neo-125m"
    shutil.copytree(model_folder("gpt_neo"), model / "snapshots" / COMMIT)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))

    data = tmp_path / "abisee" / "cnn_dailymail"
    (data / "3.0.0").mkdir(parents=True)
    (data / "README.md").write_text(CARD)
    for split, shift in (("train", 0), ("validation", 1), ("test", 2)):
        rows = [{"article": f"{a} {b} ({shift})", "highlights": a, "id": "x"} for a in SENTENCES for b in SENTENCES]
        (data / "3.0.0" / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tuneoff.report.page.write_report", lambda *_, **__: None)
    monkeypatch.setattr("tuneoff.evaluation.latency.REPEATS", 1)


@pytest.mark.usefixtures("hub")
def test_the_recipe_of_the_report_runs_from_the_hub(tmp_path: Path) -> None:
    tuneoff.compare(
        "gpt-neo-cnn-dailymail-shared-rate",
        "data.sizes={train: 20, validation: 4, test: 3}",
        "data.max_tokens=240",  # the tiny model has 256 positions
        "training.epochs=1",
        "evaluation.generation.max_new_tokens=3",
        "model.device=cpu",
        run=tmp_path / "run",
        listener=SilentListener(),
    )
    records = RunDirectory(tmp_path / "run").read().records
    assert {r.trial.label: (r.status, r.reason) for r in records} == dict.fromkeys(
        ("base", "last-layer", "lora", "soft-prompt"), ("done", None)
    )
    assert {r.trial.setting.model_fingerprint for r in records} == {f"EleutherAI/gpt-neo-125m@{COMMIT}"}
    assert records[0].predictions[0].reference == records[0].predictions[0].reference.lower().replace(".", "")
    assert [r.trial.label for r in records if r.facts["tied"]] == ["last-layer"]
