"""`tuneoff env` prints what an issue report needs, and nothing private."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tuneoff.cli import main
from tuneoff.system.environment import PACKAGES, describe_environment


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of a user named alice, with two files of 1,500 bytes in all."""
    home = tmp_path / "home" / "alice"
    folder = home / ".cache" / "tuneoff" / "tokens"
    folder.mkdir(parents=True)
    for name, size in (("a", 500), ("b", 1000)):
        (folder / name).write_bytes(bytes(size))
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("TUNEOFF_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    return folder.parent


def run_env(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    assert main(["env", *options]) == 0
    return capsys.readouterr().out


def test_every_line_is_a_key_with_its_value(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entries = dict(line.split(": ", 1) for line in run_env(capsys).splitlines())
    assert {*PACKAGES, "python", "platform", "processor", "cores", "memory", "accelerators"} <= set(entries)
    assert {
        "cache": "~/.cache/tuneoff",
        "cache_size": "2 kB",
        "TUNEOFF_CACHE": "not set",
        "HF_HUB_OFFLINE": "1",
    }.items() <= (entries.items())


def test_json_holds_the_same_entries_with_plain_numbers(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entries = json.loads(run_env(capsys, "--json"))
    environment = describe_environment()
    assert entries["cache_size_bytes"] == 1500
    assert entries["memory_bytes"] == environment["memory_bytes"]
    assert {name: entries[name] for name in PACKAGES} == environment["versions"]


def test_a_cache_that_does_not_exist_yet_has_no_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TUNEOFF_CACHE", str(tmp_path / "none"))
    entries = json.loads(run_env(capsys, "--json"))
    assert (entries["TUNEOFF_CACHE"], entries["cache_size_bytes"]) == ("set", 0)


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_no_user_name_and_no_secret_is_printed(
    options: list[str], cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret_secret")
    monkeypatch.setenv("USER", "bob")
    monkeypatch.setenv("TUNEOFF_CACHE", str(tmp_path / "scratch" / "bob" / "alice" / "cache"))
    output = run_env(capsys, *options)
    assert "scratch/USER/USER/cache" in output
    for private in ("alice", "bob", "hf_secret_secret"):
        assert private not in output


def test_the_commands_are_listed_without_importing_heavy_libraries() -> None:
    script = "import sys, tuneoff.cli; print([m for m in ('torch', 'transformers', 'psutil') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout.strip() == "[]"
