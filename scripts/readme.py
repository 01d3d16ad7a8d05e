"""The README's leaderboard and its picture of the page, made from a run: `python -m scripts.readme runs/demo`.

The picture needs Chromium; without it the picture stays as it is.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import tuneoff
from tuneoff.analysis.comparison import Comparison
from tuneoff.budget.spending import read_spending
from tuneoff.report.format import format_seconds, join_list, pluralize
from tuneoff.report.leaderboard import list_footnotes

ROOT = Path(__file__).parent.parent
README, PICTURE = ROOT / "README.md", ROOT / "docs" / "images" / "page.png"
PICTURE_SIZE = "1280,1700"
PACKAGES = ("tuneoff", "torch", "transformers", "peft")


def write_leaderboard(comparison: Comparison, seconds: float) -> str:
    """The leaderboard, with the command, seeds, versions and machine that made it."""
    table = tuneoff.format_markdown_table(comparison).split("\n\n")[0]
    environment = comparison.run.environment
    versions = ", ".join(f"{name} {environment['versions'][name]}" for name in PACKAGES)
    examples = comparison.run.data.splits["test"].examples
    seeds = comparison.run.recipe.seeds
    seeds_text = f"{'seed' if len(seeds) == 1 else 'seeds'} {join_list([str(seed) for seed in seeds])}"
    return (
        f"{table}\n\n"
        f"`tuneoff {comparison.run.recipe.name}`; {seeds_text}; {pluralize(examples, 'test example')}, 95 % intervals; "
        f"≈ is not shown to be worse than the best of its column. {' '.join([*list_footnotes(comparison), versions])}; "
        f"{environment['processor']}, "
        f"{environment['cores']} cores, {environment['threads']} threads, {comparison.setting.precision} products, "
        f"{format_seconds(seconds)} in total.\n"
    )


def replace_block(text: str, name: str, block: str) -> str:
    """Put `block` between the comments `<!-- name -->` and `<!-- /name -->`.

    Raises:
        ValueError: there are no such comments.
    """
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"the document has no block {name!r}")
    return pattern.sub(lambda found: found[1] + block + found[2], text)


def take_picture(page: Path, picture: Path) -> None:
    """The first screen of a page as PNG, by headless Chromium with an empty profile."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        print("No Chromium: the picture stays as it is.", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory() as profile:
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={profile}"]
        command = [
            browser,
            *options,
            f"--window-size={PICTURE_SIZE}",
            f"--screenshot={picture}",
            page.resolve().as_uri(),
        ]
        subprocess.run(command, check=True, capture_output=True, timeout=120)


def main(run: str) -> None:
    """Replace the README's leaderboard and picture by those of a run."""
    comparison = tuneoff.load_comparison(run)
    seconds = read_spending(Path(run)).spent.seconds
    README.write_text(replace_block(README.read_text("utf-8"), "demo", write_leaderboard(comparison, seconds)), "utf-8")
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    take_picture(Path(run) / "report" / "index.html", PICTURE)


if __name__ == "__main__":
    main(*sys.argv[1:])
