"""The run directory: plain files, readable without us.

runs/NAME/
  recipe.yaml  environment.json  data.json  spent.json  (probe.json  fit.json)
  trials/ID/   record.json  curve.jsonl  predictions.jsonl  adapter/
  report/      index.html  table.md  table.tex  results.csv  figures/
"""

from tuneoff.runs.directory import Run, RunDirectory
from tuneoff.runs.files import write_whole

__all__ = ["Run", "RunDirectory", "write_whole"]
