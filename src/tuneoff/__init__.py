"""tuneoff finds out which way of fine-tuning a language model is best on your text within your budget.

import tuneoff
comparison = tuneoff.compare("demo")
print(comparison.table())
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tuneoff.analysis.comparison import Comparison
    from tuneoff.analysis.sweep import Study
    from tuneoff.api import calibrate, compare, load_comparison, load_study, planned, studied
    from tuneoff.errors import TuneoffError
    from tuneoff.methods import METHODS, Method
    from tuneoff.recipe.loading import copy_recipe, load_recipe, shipped_recipes
    from tuneoff.recipe.recipe import Recipe
    from tuneoff.runner.inspect import trained

_HOME = {
    "METHODS": "tuneoff.methods",
    "Comparison": "tuneoff.analysis.comparison",
    "Method": "tuneoff.methods",
    "Recipe": "tuneoff.recipe.recipe",
    "Study": "tuneoff.analysis.sweep",
    "TuneoffError": "tuneoff.errors",
    "calibrate": "tuneoff.api",
    "compare": "tuneoff.api",
    "copy_recipe": "tuneoff.recipe.loading",
    "load_comparison": "tuneoff.api",
    "load_recipe": "tuneoff.recipe.loading",
    "load_study": "tuneoff.api",
    "planned": "tuneoff.api",
    "shipped_recipes": "tuneoff.recipe.loading",
    "studied": "tuneoff.api",
    "trained": "tuneoff.runner.inspect",
}

__all__ = [
    "METHODS",
    "Comparison",
    "Method",
    "Recipe",
    "Study",
    "TuneoffError",
    "calibrate",
    "compare",
    "copy_recipe",
    "load_comparison",
    "load_recipe",
    "load_study",
    "planned",
    "shipped_recipes",
    "studied",
    "trained",
]


def __getattr__(name: str) -> Any:  # Any: whichever public name is asked for
    if name in _HOME:  # imported when first used, so that `import tuneoff` costs nothing
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'tuneoff' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
