"""Rendering of pages: one file each, which needs no network and does not run any text that it shows.

Data, predictions and error messages on a page were written by others. The templates escape all of it, control
characters are made visible (see `escape_control`), and the content security policy of the page allows only its own
two scripts, by their hashes.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuneoff.report.escape import escape_control
from tuneoff.report.figures import Specification, get_vega_lite_version
from tuneoff.report.format import format_confidence, format_share
from tuneoff.report.renderer import RendererError, bundle_library

if TYPE_CHECKING:
    import jinja2
    from markupsafe import Markup

HERE = Path(__file__).parent
JSON_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}  # json.dumps escapes U+2028 and similar


def render_document(
    template: str,
    specifications: Mapping[str, Specification],
    images: Mapping[str, str],
    problem: str = "",
    **values: Any,  # Any: the template's variables
) -> str:
    """Render a page as text.

    Args:
        specifications: Vega-Lite's JSON by figure. A page without figures has no scripts.
        images: the same figures as SVG, shown where scripts are disabled or cannot be bundled.
        problem: why the page has no figures; empty if it has them.
    """
    scripts = _list_scripts() if specifications else []
    return _make_environment().get_template(template).render(
        problem=problem,
        is_live=bool(scripts),
        images={name: _make_data_address(svg) for name, svg in images.items()},
        css=_mark_safe((HERE / "page.css").read_text("utf-8")),
        scripts=[_mark_safe(script) for script in scripts],
        policy=_make_policy(scripts),
        charts=_mark_safe(embed_json(specifications)),
        **values,
    )  # fmt: skip


def embed_json(value: Any) -> str:  # Any: what JSON can represent
    """Format JSON so that it cannot end the script element that contains it."""
    return "".join(JSON_ESCAPES.get(character, character) for character in json.dumps(value, allow_nan=False))


def _make_environment() -> jinja2.Environment:
    import jinja2
    from markupsafe import Markup

    def escape_value(value: object) -> object:
        return escape_control(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=escape_value,
    )
    environment.filters |= {"confidence": format_confidence, "share": format_share}
    return environment


def _list_scripts() -> list[str]:
    """Return the scripts of a page with charts; none where they cannot be bundled."""
    try:
        return [_bundle_chart_library(), (HERE / "page.js").read_text("utf-8")]
    except RendererError:
        return []


@functools.cache
def _bundle_chart_library() -> str:
    return (
        bundle_library(get_vega_lite_version())
        .replace("</script", "<\\/script")
        .replace("<!--", "<\\!--")
        .replace("\r\n", "\n")
    )


def _make_policy(scripts: list[str]) -> str:
    """Make a policy that loads no address and runs only these scripts. Charts need inline styles."""
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes) or "'none'"
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; form-action 'none'"


def _make_data_address(svg: str) -> str:
    """Return the address of an inline image. Scripts do not run in an image, whatever its text contains."""
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


def _mark_safe(text: str) -> Markup:
    from markupsafe import Markup

    return Markup(text)  # our own text, or already escaped
