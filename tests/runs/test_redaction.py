"""A run directory can be shared: error messages in it hold no secret of the user who made it."""

from pathlib import Path
from typing import Any

import pytest

import tuneoff
from tuneoff.runs.redaction import redact

pytestmark = pytest.mark.usefixtures("quick_comparisons")

TOKEN = "hf_AbCdEfGhIjKlMnOpQrStUvWx"


@pytest.mark.parametrize(
    ("message", "redacted"),
    [
        (f"401 for token {TOKEN}.", "401 for token •••."),
        ("GET https://me:secret@host/x?a=1", "GET https://•••@host/x?a=1"),
        ("GET https://host/x?token=abc&a=1", "GET https://host/x?token=•••&a=1"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer •••"),
        ("no file /home/alice/.cache/x", "no file ~/.cache/x"),
        ("no file /home/alice-else/x", "no file /home/alice-else/x"),
        ("the key is s3cr3t-s3cr3t", "the key is •••"),
        ("out of memory at step 31: true", "out of memory at step 31: true"),
    ],
)
def test_secrets_are_removed_from_a_message(message: str, redacted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/alice")
    monkeypatch.setenv("WANDB_API_KEY", "s3cr3t-s3cr3t")
    monkeypatch.setenv("SOME_TOKEN", "true")
    assert redact(message) == redacted


def test_no_secret_is_in_any_file_of_a_run(
    recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home-of-alice"
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
