"""A run directory holds no secret from the environment and no path of the home folder."""

from pathlib import Path
from typing import Any

import pytest

import tuneoff
from tuneoff.runner.listener import SilentListener

SECRETS = {
    "HF_TOKEN": "hf_aVerySecretToken", "HUGGING_FACE_HUB_TOKEN": "hf_anOlderSecretToken", "AWS_SECRET_ACCESS_KEY":
    "anotherSecretKey", "MY_PASSWORD": "correct-horse-battery",
}  # fmt: skip


def test_no_secret_and_no_home_folder_is_written_into_a_run(
    recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", "/home/someone-private")
    monkeypatch.setattr(
        "tuneoff.report.page.draw_figures", lambda *_: {}
    )  # figures show nothing that the page does not
    monkeypatch.setattr(
        "tuneoff.methods.soft_prompt.SoftPrompt.save", lambda *_: 1 / 0
    )  # so that the reason of a failure is written
    run = tmp_path / "run"
    tuneoff.compare({**recipe, "training": {"epochs": 1}}, run=run, listener=SilentListener())
    files = [file for file in run.rglob("*") if file.is_file()]
    assert {"record.json", "environment.json", "index.html", "adapter_config.json"} <= {file.name for file in files}
    for file in files:
        content = file.read_bytes()
        for secret in (*SECRETS.values(), "/home/someone-private"):
            assert secret.encode() not in content, file
