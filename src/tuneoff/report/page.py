"""The report: one page that needs no network, and beside it the tables and figures as files.

What the page shows of data, predictions and errors was written by others. The template escapes all of it, no
character in it can act (see `visible`), and the page's own policy lets only its own two scripts run, by their hashes.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tuneoff.comparison import Comparison
from tuneoff.diagnoses import diagnose
from tuneoff.report.charts import CURVES, FIGURES, TITLES, TRADE_OFFS, colours, draw
from tuneoff.report.examples import examples_of
from tuneoff.report.facts import environment_facts, headline_facts, setting_facts
from tuneoff.report.figures import specification_for_page, vega_lite_version, write_figures
from tuneoff.report.leaderboard import BRIEF, leaderboard_of
from tuneoff.report.tables import latex_table, markdown_table, results_csv
from tuneoff.report.visible import visible
from tuneoff.report.words import count_in_words, rate_in_words, share_in_words, verdict
from tuneoff.runs import write_whole

if TYPE_CHECKING:
    import jinja2
    from markupsafe import Markup

HERE = Path(__file__).parent
JSON_IN_HTML = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}  # U+2028 and its like are escaped by json.dumps


def write_report(comparison: Comparison, folder: Path) -> Path:
    """Write `index.html`, `table.md`, `table.tex`, `results.csv` and `figures/` into `folder`.

    Returns:
        The page.
    """
    charts = draw(comparison)
    drawn = write_figures(charts, folder / "figures")
    write_whole(folder / "table.md", markdown_table(comparison))
    write_whole(folder / "table.tex", latex_table(comparison))
    write_whole(folder / "results.csv", results_csv(comparison))
    specifications = {name: specification_for_page(chart) for name, chart in charts.items()}
    index = folder / "index.html"
    write_whole(index, page(comparison, specifications, drawn))
    return index


def page(comparison: Comparison, specifications: Mapping[str, Any], drawn: Mapping[str, str]) -> str:
    """The page as text.

    Args:
        specifications: Vega-Lite's JSON by figure.
        drawn: the same figures as SVG, for a reader without scripts.
    """
    run = comparison.run
    scripts = [_drawing_library(), (HERE / "page.js").read_text("utf-8")]
    return _environment().get_template("page.html.j2").render(
        comparison=comparison,
        recipe=run.recipe,
        verdict=verdict(comparison),
        headline=list(headline_facts(comparison)),
        board=leaderboard_of(comparison),
        brief=BRIEF,  # the columns that fit on paper
        rows=[(row, _hyperparameters(row.records[0].trial.hyperparameters)) for row in comparison.rows],
        colours=colours(comparison),
        sections=[
            ("Five figures", "What each method trains, takes and reaches.", _present(FIGURES, drawn)),
            (
                "Learning curves",
                "Epoch 0 is the model before its first step; the larger mark is the epoch whose weights were kept. "
                "A diverged training leaves the frame. Click a name to see it alone.",
                _present(CURVES, drawn),
            ),
            (
                "Quality against cost",
                "Up and to the left is better. The dashed line is the untouched model; lines are 95 % intervals.",
                _present(TRADE_OFFS, drawn),
            ),
        ],
        titles=TITLES,
        examples=examples_of(comparison),
        test_examples=run.data.splits["test"].examples if "test" in run.data.splits else 0,
        diagnoses=diagnose(comparison),
        setting=list(setting_facts(comparison)),
        data=run.data,
        environment=list(environment_facts(run.environment)),
        recipe_yaml=yaml.safe_dump(run.recipe.written(), sort_keys=False, allow_unicode=True),
        static={name: _data_address(svg) for name, svg in drawn.items()},
        css=_trusted((HERE / "page.css").read_text("utf-8")),
        scripts=[_trusted(script) for script in scripts],
        policy=_policy(scripts),
        charts=_trusted(json_in_html(specifications)),
    )  # fmt: skip


def json_in_html(value: Any) -> str:  # Any: whatever JSON takes
    """JSON that cannot end the script element it stands in."""
    return "".join(JSON_IN_HTML.get(character, character) for character in json.dumps(value, allow_nan=False))


def _environment() -> jinja2.Environment:
    import jinja2
    from markupsafe import Markup

    def shown(value: object) -> object:
        return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=shown,
    )
    environment.filters |= {"count": count_in_words, "share": share_in_words}
    return environment


@functools.cache  # three seconds of bundling, always with the same result
def _drawing_library() -> str:
    import vl_convert

    bundle = vl_convert.javascript_bundle(vl_version=vega_lite_version())  # type: ignore[call-arg]  # its stub is wrong
    return bundle.replace("</script", "<\\/script").replace("<!--", "<\\!--").replace("\r\n", "\n")


def _policy(scripts: list[str]) -> str:
    """No address may be loaded, and no script runs but these. Charts bring styles of their own, hence inline ones."""
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; form-action 'none'"


def _present(titles: Mapping[str, str], drawn: Mapping[str, str]) -> list[str]:
    return [name for name in titles if name in drawn]


def _hyperparameters(values: Mapping[str, Any]) -> str:
    rate = values.get("learning_rate", 0)
    if not rate:
        return "as it came"
    others = [
        f"{name.replace('_', ' ')} {value}" for name, value in values.items() if value and name != "learning_rate"
    ]
    return " · ".join([f"rate {rate_in_words(rate)}", *others])


def _data_address(svg: str) -> str:
    """An image, in which no script could run, whatever text is in it."""
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


def _trusted(text: str) -> Markup:
    from markupsafe import Markup

    return Markup(text)  # ours, or escaped already
