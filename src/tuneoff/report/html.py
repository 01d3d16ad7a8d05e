"""What all pages share: one file that needs no network, and in which nothing that others wrote can act.

What a page shows of data, predictions and errors was written by others. The templates escape all of it, no
character in it can act (see `visible`), and a page's own policy lets only its own two scripts run, by their hashes.
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
from tuneoff.report.format import format_count, format_share

if TYPE_CHECKING:
    import jinja2
    from markupsafe import Markup

HERE = Path(__file__).parent
JSON_IN_HTML = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}  # U+2028 and its like are escaped by json.dumps


def render_document(
    template: str,
    specifications: Mapping[str, Specification],
    drawn: Mapping[str, str],
    **shown: Any,  # Any: whatever the template names
) -> str:
    """A page as text.

    Args:
        specifications: Vega-Lite's JSON by figure.
        drawn: the same figures as SVG, for a reader without scripts.
    """
    scripts = [_drawing_library(), (HERE / "page.js").read_text("utf-8")]
    return _environment().get_template(template).render(
        static={name: _data_address(svg) for name, svg in drawn.items()},
        css=_trusted((HERE / "page.css").read_text("utf-8")),
        scripts=[_trusted(script) for script in scripts],
        policy=_policy(scripts),
        charts=_trusted(embed_json(specifications)),
        **shown,
    )  # fmt: skip


def embed_json(value: Any) -> str:  # Any: whatever JSON takes
    """JSON that cannot end the script element it stands in."""
    return "".join(JSON_IN_HTML.get(character, character) for character in json.dumps(value, allow_nan=False))


def _environment() -> jinja2.Environment:
    import jinja2
    from markupsafe import Markup

    def shown(value: object) -> object:
        return escape_control(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=shown,
    )
    environment.filters |= {"count": format_count, "share": format_share}
    return environment


@functools.cache  # three seconds of bundling, always with the same result
def _drawing_library() -> str:
    import vl_convert

    bundle = vl_convert.javascript_bundle(vl_version=get_vega_lite_version())  # type: ignore[call-arg]  # its stub is wrong
    return bundle.replace("</script", "<\\/script").replace("<!--", "<\\!--").replace("\r\n", "\n")


def _policy(scripts: list[str]) -> str:
    """No address may be loaded, and no script runs but these. Charts bring styles of their own, hence inline ones."""
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; form-action 'none'"


def _data_address(svg: str) -> str:
    """An image, in which no script could run, whatever text is in it."""
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


def _trusted(text: str) -> Markup:
    from markupsafe import Markup

    return Markup(text)  # ours, or escaped already
