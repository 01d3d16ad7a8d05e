"""The description of an installation as text, to copy into an issue report."""

from collections.abc import Mapping
from typing import Any

from tuneoff.report.format import format_bytes


def format_installation(description: Mapping[str, Any]) -> str:  # Any: plain values
    """Return one line `key: value` for each entry. Sizes in bytes get a unit."""
    return "\n".join(_format_line(name, value) for name, value in description.items())


def _format_line(name: str, value: Any) -> str:
    if name.endswith("_bytes"):
        return f"{name.removesuffix('_bytes')}: {format_bytes(value)}"
    if isinstance(value, list):
        return f"{name}: {', '.join(value) or 'none'}"
    return f"{name}: {'none' if value is None else value}"
