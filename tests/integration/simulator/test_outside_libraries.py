"""Whole libraries that nobody here wrote trade on the embedded exchange without a complaint."""

from __future__ import annotations

import pytest
from outsiders import OUTSIDERS, problems_of

FEWEST_CALLS = 10
INSTALL_AND_CALL_S = 1200


@pytest.mark.long
@pytest.mark.timeout(INSTALL_AND_CALL_S)
@pytest.mark.parametrize("name", sorted(OUTSIDERS))
def test_a_library_finds_nothing_wrong(name: str) -> None:
    count, problems = problems_of(name)
    assert problems == []
    assert count >= FEWEST_CALLS
