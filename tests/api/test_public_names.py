"""The public names."""

import pkgutil
import subprocess
import sys

import tuneoff


def test_the_public_names_are_these() -> None:
    assert tuneoff.__all__ == [
        "METHODS", "Comparison", "Method", "Recipe", "Sweep", "TuneoffError", "calibrate", "compare", "copy_recipe",
        "decide", "export", "format_markdown_table", "init", "inspect_methods", "load", "load_comparison",
        "load_merged", "load_recipe", "load_sweep", "look", "measure", "plan", "push", "read_shipped_recipes", "serve",
        "sweep", "track", "verify", "watch", "work", "write_report",
    ]  # fmt: skip


def test_no_public_name_is_also_a_module_which_would_hide_it_once_imported() -> None:
    assert not {module.name for module in pkgutil.iter_modules(tuneoff.__path__)} & set(tuneoff.__all__)


def test_every_public_name_can_be_imported() -> None:
    assert all(getattr(tuneoff, name) is not None for name in tuneoff.__all__)


def list_modules_after(statement: str) -> set[str]:
    """Return the modules that a new interpreter has imported after `statement`."""
    code = f"import sys; {statement}; print(' '.join(sys.modules))"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_the_command_line_starts_without_the_heavy_libraries() -> None:
    heavy = {"torch", "transformers", "peft", "datasets", "scipy", "altair", "pydantic", "pandas", "numpy"}
    assert not list_modules_after("import tuneoff, tuneoff.cli") & heavy


def test_a_recipe_is_read_without_torch() -> None:
    assert not list_modules_after("import tuneoff; tuneoff.load_recipe('demo')") & {
        "torch",
        "transformers",
        "datasets",
        "scipy",
    }


def test_a_run_is_judged_and_reported_without_torch() -> None:
    loaded = list_modules_after("import tuneoff.api.comparisons, tuneoff.report.page")
    assert not loaded & {"torch", "transformers", "peft", "datasets"}
