"""A LoRA adapter as vLLM serves it, beside the base model and other adapters."""

from __future__ import annotations

import json
from pathlib import Path

from tuneoff.errors import RunError
from tuneoff.exports import adapter
from tuneoff.exports.exportable import Exportable
from tuneoff.exports.format import ExportOptions, Format

RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # that vLLM's --max-lora-rank accepts


def write(exportable: Exportable, folder: Path, options: ExportOptions) -> None:
    """Write the adapter of peft.

    Raises:
        RunError: vLLM cannot serve it.
    """
    adapter.write(exportable, folder, options)
    config = _read_config(folder)
    reasons = {
        "is no LoRA": config.get("peft_type") != "LORA",
        "is DoRA": config.get("use_dora"),
        "trains whole modules": config.get("modules_to_save"),
        f"has a rank above {RANKS[-1]}": _get_rank(config) > RANKS[-1],
    }
    if problem := next((reason for reason, holds in reasons.items() if holds), None):
        raise RunError(f"vLLM cannot serve {exportable.label} as an adapter: it {problem}. Export it with --as merged.")


def describe_usage(exportable: Exportable, folder: str) -> str:
    """Return the command that serves the folder."""
    rank = next(known for known in RANKS if known >= _get_rank(_read_config(exportable.adapter)))
    return (
        f"```\nvllm serve {exportable.model.known_as} --enable-lora --max-lora-rank {rank} \\\n"
        f"    --lora-modules {exportable.label}={folder}\n```\n\n"
        f'Requests with `"model": "{exportable.label}"` then go through the adapter.'
    )


def _read_config(folder: Path) -> dict[str, object]:
    file = folder / adapter.PEFT_CONFIG
    config: dict[str, object] = json.loads(file.read_text()) if file.is_file() else {}
    return config


def _get_rank(config: dict[str, object]) -> int:
    rank, pattern = config.get("r"), config.get("rank_pattern")
    ranks = [rank, *(pattern.values() if isinstance(pattern, dict) else ())]
    return max((int(str(value)) for value in ranks if value), default=0)


VLLM = Format(
    name="vllm",
    summary="A LoRA adapter with the command that serves it in vLLM.",
    write=write,
    read=adapter.read,
    usage=describe_usage,
    base="files",
)
