"""The recipe that the tests of this package start from."""

from typing import Any

import pytest


@pytest.fixture
def values() -> dict[str, Any]:
    """A minimal recipe as a user writes it."""
    return {
        "name": "mine",
        "model": {"name": "m"},
        "data": {"source": "aclsum"},
        "methods": {"base": None, "lora": None},
    }
