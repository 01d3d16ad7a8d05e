"""The functions behind `import tuneoff`. Each command of the command line calls one of them."""

from tuneoff.api.asking import open_arms, recall
from tuneoff.api.calibration import calibrate
from tuneoff.api.comparisons import RUNS, compare, load_comparison, report_run
from tuneoff.api.crew import build_engine
from tuneoff.api.deciding import decide
from tuneoff.api.exporting import export, push
from tuneoff.api.loading import load, load_merged
from tuneoff.api.looking import build_recipe, draft_recipe, init, look
from tuneoff.api.measuring import measure
from tuneoff.api.planning import plan
from tuneoff.api.serving import serve
from tuneoff.api.sweeps import VALUES, expand, is_sweep, load_sweep, report_sweep, sweep
from tuneoff.api.tracking import track
from tuneoff.api.verifying import verify
from tuneoff.api.watching import watch
from tuneoff.api.working import work

__all__ = [
    "RUNS",
    "VALUES",
    "build_engine",
    "build_recipe",
    "calibrate",
    "compare",
    "decide",
    "draft_recipe",
    "expand",
    "export",
    "init",
    "is_sweep",
    "load",
    "load_comparison",
    "load_merged",
    "load_sweep",
    "look",
    "measure",
    "open_arms",
    "plan",
    "push",
    "recall",
    "report_run",
    "report_sweep",
    "serve",
    "sweep",
    "track",
    "verify",
    "watch",
    "work",
]
