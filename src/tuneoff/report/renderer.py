"""The chart renderer: charts as pictures, and the script that draws them on a page.

It is a JavaScript engine, which reserves far more address space than it uses, and ends its process where that is not
allowed (`ulimit -v`). Under such a limit it runs in a process of its own, which may end without harm.
"""

from __future__ import annotations

import base64
import contextlib
import json
import resource
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from tuneoff.errors import FullDiskError
from tuneoff.system.atomic_write import write_atomically
from tuneoff.system.cache import check_cache_folder, get_cache_folder, write_cache_checksums

PNG_SCALE = 2
TIMEOUT_SECONDS = 600
COMMAND = ("-P", "-m", "tuneoff.report.renderer")  # of Python


class RendererError(Exception):
    """The renderer ended without a result. The message says why."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One chart in three formats."""

    svg: str
    png: bytes
    pdf: bytes


def draw_pictures(specifications: Sequence[Mapping[str, Any]], version: str) -> list[Picture]:
    """Draw Vega-Lite specifications.

    Raises:
        RendererError: the renderer ended without a result.
    """
    if not specifications:
        return []
    task = {"specifications": list(specifications), "version": version}
    drawn = _run_apart(task) if has_address_limit() else _draw(task)
    return [
        Picture(svg=svg, png=base64.b64decode(png), pdf=base64.b64decode(pdf)) for svg, png, pdf in drawn["pictures"]
    ]


def bundle_library(version: str) -> str:
    """Return the JavaScript that draws charts on a page. It is kept in the cache, because bundling it takes seconds.

    Raises:
        RendererError: the renderer ended without a result.
    """
    folder = get_cache_folder() / "charts" / f"vl-convert-{metadata.version('vl-convert-python')}-vega-lite-{version}"
    file = folder / "library.js"
    if check_cache_folder(folder):
        return file.read_bytes().decode()
    task = {"version": version}
    library = str((_run_apart(task) if has_address_limit() else _draw(task))["library"])
    with contextlib.suppress(OSError, FullDiskError):  # without a cache it is bundled again next time
        write_atomically(file, library)
        write_cache_checksums(folder, [file])
    return library


def has_address_limit() -> bool:
    """Return whether this process may use only a limited address space."""
    return resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY


def _run_apart(task: Mapping[str, Any]) -> Any:  # Any: the values of JSON
    command = [sys.executable, *COMMAND]
    try:
        done = subprocess.run(
            command, input=json.dumps(task), capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
        )
        if done.returncode:
            raise RendererError(_describe_end(done.returncode))
        return json.loads(done.stdout)
    except (OSError, MemoryError, subprocess.TimeoutExpired, ValueError) as error:
        raise RendererError(f"{type(error).__name__}: {error}") from error


def _describe_end(code: int) -> str:
    cause = signal.strsignal(-code) or f"signal {-code}" if code < 0 else f"exit code {code}"
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return f"its process ended with {cause}, under a limit of {limit / 1e9:,.1f} GB on address space (ulimit -v)"


def _draw(task: Mapping[str, Any]) -> dict[str, Any]:
    """Do a task: draw its specifications, or else return the library."""
    import vl_convert

    version = task["version"]
    if "specifications" not in task:
        return {"library": vl_convert.javascript_bundle(vl_version=version)}  # type: ignore[call-arg]  # its stub is wrong
    pictures = []
    for specification in task["specifications"]:
        svg = vl_convert.vegalite_to_svg(json.dumps(specification), vl_version=version)
        files = (vl_convert.svg_to_png(svg, scale=PNG_SCALE), vl_convert.svg_to_pdf(svg))
        pictures.append([svg, *(base64.b64encode(file).decode() for file in files)])
    return {"pictures": pictures}


if __name__ == "__main__":
    print(json.dumps(_draw(json.load(sys.stdin))))
