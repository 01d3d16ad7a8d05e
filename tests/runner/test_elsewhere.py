"""A run goes on with other kernels only if the user says so, and then every new record says it."""

from pathlib import Path
from typing import Any

import pytest

import tuneoff
from tests.runner.recorded_runs import read_records_by_id
from tuneoff.errors import RunError
from tuneoff.report.diagnostics import diagnose
from tuneoff.runner import prepare

pytestmark = pytest.mark.usefixtures("quick_comparisons")


def test_new_records_of_a_run_that_goes_on_elsewhere_are_marked_in_the_file_and_on_the_page(
    recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe | {"methods": ["base", "lora"], "seeds": [0]}
    tuneoff.compare(recipe, run=tmp_path / "run")
    monkeypatch.setattr(prepare, "get_kernel_level", lambda: "OTHER")
    more = recipe | {"seeds": [0, 1]}
    with pytest.raises(RunError, match=r"kernels .*, here OTHER\..*--elsewhere"):
        tuneoff.compare(more, run=tmp_path / "run")
    comparison = tuneoff.compare(more, run=tmp_path / "run", elsewhere=True)
    marks = {
        (record.trial.label, record.trial.seed): record.facts.get("elsewhere")
        for record in read_records_by_id(tmp_path / "run").values()
    }
    assert marks == {("base", 0): None, ("lora", 0): None, ("lora", 1): {"kernels": "OTHER"}}
    assert "1 record of lora (seed 1) was made elsewhere (OTHER)" in " ".join(d.text for d in diagnose(comparison))
