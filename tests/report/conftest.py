import pytest

from tests.report.synthetic import make_synthetic_run
from tuneoff.analysis.comparison import Comparison, judge
from tuneoff.runs import Run


@pytest.fixture(scope="session")
def run() -> Run:
    return make_synthetic_run()


@pytest.fixture(scope="session")
def comparison(run: Run) -> Comparison:
    return judge(run)
