"""An exported folder goes to the hub: private unless asked for, and with a token that nobody can read afterwards."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from huggingface_hub.utils import close_session
from safetensors.torch import save_file

import tuneoff
from tests.exports.hub_server import Hub, serve_hub
from tuneoff.cli import main
from tuneoff.errors import RunError
from tuneoff.exports.exporting import CARD_FILE, CHECK_FILE

# huggingface_hub sends a file with an argument that its own HTTP client wants to be named otherwise
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
TOKEN = "hf_secretsecretsecretsecretsecretsecr"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # which would go to another server
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with serve_hub(TOKEN) as served:
        monkeypatch.setenv("HF_ENDPOINT", served.url)
        yield served
    close_session()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / CHECK_FILE).write_text("{}\n")
    (tmp_path / "out" / CARD_FILE).write_text("---\nlibrary_name: peft\n---\n\n# A card\n")
    save_file({"weight": torch.ones(3)}, tmp_path / "out" / "adapter_model.safetensors")
    return tmp_path / "out"


def read_all(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_a_new_repository_is_private_and_has_every_file(hub: Hub, folder: Path) -> None:
    address = tuneoff.push(folder, "me/winner")
    assert hub.visibility == {"me/winner": "private"}
    assert hub.files == read_all(folder)
    assert address.startswith(f"{hub.url}/me/winner/commit/")


def test_a_public_repository_is_created_on_request(hub: Hub, folder: Path) -> None:
    tuneoff.push(folder, "me/winner", public=True)
    assert hub.visibility == {"me/winner": "public"}


def test_nothing_goes_to_a_public_repository_unasked(hub: Hub, folder: Path) -> None:
    hub.visibility["me/winner"] = "public"
    with pytest.raises(RunError, match="exists and is public"):
        tuneoff.push(folder, "me/winner")
    assert not hub.files
    tuneoff.push(folder, "me/winner", public=True)
    assert hub.files == read_all(folder)


def test_an_existing_private_repository_gets_another_commit(hub: Hub, folder: Path) -> None:
    tuneoff.push(folder, "me/winner")
    (folder / CHECK_FILE).write_text('{"prompts": 5}\n')
    tuneoff.push(folder, "me/winner")
    assert hub.files == read_all(folder)


def test_the_token_is_in_no_file_and_in_no_message(
    hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    before = read_all(folder)
    tuneoff.push(folder, "me/winner")
    monkeypatch.setenv("HF_TOKEN", f"{TOKEN}-wrong")
    with pytest.raises(RunError, match="could not be uploaded") as refused:
        tuneoff.push(folder, "me/winner")
    assert TOKEN not in str(refused.value)
    assert TOKEN not in "".join(capfd.readouterr())
    assert read_all(folder) == before


def test_without_a_token_nothing_is_exported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    assert main(["export", "no-run", "--to", str(tmp_path / "out"), "--push", "me/winner"]) == 2
    assert "Set HF_TOKEN" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["a/b/c", "..", "me/" + "x" * 200])
def test_a_name_that_the_hub_does_not_take_is_refused_with_the_cure(hub: Hub, folder: Path, name: str) -> None:
    with pytest.raises(RunError, match="Check the name"):
        tuneoff.push(folder, name)
    assert not hub.files


def test_only_an_exported_folder_is_uploaded(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is not an exported folder"):
        tuneoff.push(tmp_path, "me/winner")
    assert not hub.requests
