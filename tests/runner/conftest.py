import pytest

from tests.samples import make_setting
from tuneoff.records.trial import Setting


@pytest.fixture
def setting() -> Setting:
    return make_setting()
