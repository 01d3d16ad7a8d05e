"""A run directory can be shared: no secret of whoever made it is in it."""

from pathlib import Path
from typing import Any

import pytest

import tuneoff
from tuneoff.runs.redaction import redact

pytestmark = pytest.mark.usefixtures("quick_comparisons")

TOKEN = "hf_AbCdEfGhIjKlMnOpQrStUvWx"


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        (f"401 for token {TOKEN}.", "401 for token •••."),
        ("GET https://me:secret@host/x?a=1", "GET https://•••@host/x?a=1"),
        ("GET https://host/x?token=abc&a=1", "GET https://host/x?token=•••&a=1"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer •••"),
        ("no file /home/somebody/.cache/x", "no file ~/.cache/x"),
        ("no file /home/somebody-else/x", "no file /home/somebody-else/x"),
        ("the key is s3cr3t-s3cr3t", "the key is •••"),
        ("out of memory at step 31: true", "out of memory at step 31: true"),
    ],
)
def test_a_reason_is_kept_without_its_secrets(told: str, kept: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.setenv("WANDB_API_KEY", "s3cr3t-s3cr3t")
    monkeypatch.setenv("SOME_TOKEN", "true")
    assert redact(told) == kept


def test_no_secret_is_in_any_file_of_a_run(
    recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home-of-somebody"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("MY_PASSWORD", "correct horse battery")

    def fail(*_: Any) -> None:
        raise RuntimeError(f"https://me:{TOKEN}@hub/x from {home}/.cache with {TOKEN}, correct horse battery")

    monkeypatch.setattr("tuneoff.methods.soft_prompt.SoftPrompt.save", fail)
    tuneoff.compare(recipe, run=tmp_path / "run")
    files = [file for file in (tmp_path / "run").rglob("*") if file.is_file()]
    assert any(b"RuntimeError: https://" in file.read_bytes() for file in files)
    for secret in (TOKEN, str(home), "correct horse battery"):
        assert [file for file in files if secret.encode() in file.read_bytes()] == []
