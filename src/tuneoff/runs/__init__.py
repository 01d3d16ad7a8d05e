"""The run directory: plain files that can be read without tuneoff.

runs/NAME/
  recipe.yaml  environment.json  data.json  SHA256SUMS  spent.json  test-use.jsonl  (probe.json  fit.json)
  trials/ID/   record.json  curve.jsonl  predictions.jsonl  (benchmarks.jsonl)  adapter/  SHA256SUMS
  set-aside/   trials whose record was damaged
  report/      index.html  table.md  table.tex  results.csv  figures/
"""

from tuneoff.runs.directory import RunDirectory
from tuneoff.runs.reading import Run

__all__ = ["Run", "RunDirectory"]
