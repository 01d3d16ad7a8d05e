"""Find out which way of fine-tuning a language model is best on your text within your budget.

import tuneoff

comparison = tuneoff.compare("demo")
print(tuneoff.format_markdown_table(comparison))
"""

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

# Where bitsandbytes is installed, peft imports it for every model, and it then asks for a kernel from the hub.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)

if TYPE_CHECKING:
    from tuneoff.analysis.comparison import Comparison
    from tuneoff.analysis.sweep import Sweep
    from tuneoff.api import (
        calibrate,
        compare,
        decide,
        export,
        init,
        load,
        load_comparison,
        load_merged,
        load_sweep,
        look,
        measure,
        plan,
        push,
        serve,
        sweep,
        track,
        verify,
        watch,
        work,
    )
    from tuneoff.errors import TuneoffError
    from tuneoff.methods import METHODS, Method
    from tuneoff.recipe.loading import load_recipe
    from tuneoff.recipe.recipe import Recipe
    from tuneoff.recipe.shipped_recipes import copy_recipe, read_shipped_recipes
    from tuneoff.report.page import write_report
    from tuneoff.report.tables import format_markdown_table
    from tuneoff.runner.inspect import inspect_methods

_MODULES = {
    "METHODS": "tuneoff.methods",
    "Comparison": "tuneoff.analysis.comparison",
    "Method": "tuneoff.methods",
    "Recipe": "tuneoff.recipe.recipe",
    "Sweep": "tuneoff.analysis.sweep",
    "TuneoffError": "tuneoff.errors",
    "calibrate": "tuneoff.api",
    "compare": "tuneoff.api",
    "copy_recipe": "tuneoff.recipe.shipped_recipes",
    "decide": "tuneoff.api",
    "format_markdown_table": "tuneoff.report.tables",
    "init": "tuneoff.api",
    "export": "tuneoff.api",
    "inspect_methods": "tuneoff.runner.inspect",
    "load": "tuneoff.api",
    "load_comparison": "tuneoff.api",
    "load_merged": "tuneoff.api",
    "load_recipe": "tuneoff.recipe.loading",
    "load_sweep": "tuneoff.api",
    "look": "tuneoff.api",
    "measure": "tuneoff.api",
    "plan": "tuneoff.api",
    "push": "tuneoff.api",
    "read_shipped_recipes": "tuneoff.recipe.shipped_recipes",
    "serve": "tuneoff.api",
    "sweep": "tuneoff.api",
    "track": "tuneoff.api",
    "watch": "tuneoff.api",
    "work": "tuneoff.api",
    "verify": "tuneoff.api",
    "write_report": "tuneoff.report.page",
}

__all__ = [
    "METHODS",
    "Comparison",
    "Method",
    "Recipe",
    "Sweep",
    "TuneoffError",
    "calibrate",
    "compare",
    "copy_recipe",
    "decide",
    "export",
    "format_markdown_table",
    "init",
    "inspect_methods",
    "load",
    "load_comparison",
    "load_merged",
    "load_recipe",
    "load_sweep",
    "look",
    "measure",
    "plan",
    "push",
    "read_shipped_recipes",
    "serve",
    "sweep",
    "track",
    "verify",
    "watch",
    "work",
    "write_report",
]


def __getattr__(name: str) -> Any:  # Any: its type depends on the name
    if name in _MODULES:  # only imported now, which keeps `import tuneoff` fast
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'tuneoff' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
