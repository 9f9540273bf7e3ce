"""The full form of a proof takes as long as it takes."""

from __future__ import annotations

import pytest
from proofs import FULL

FULL_TIMEOUT_S = 3_600


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not FULL:
        return
    for item in items:
        if "tests/acceptance/" in item.nodeid:
            item.add_marker(pytest.mark.timeout(FULL_TIMEOUT_S), append=False)
