from __future__ import annotations

import pytest
from simulated_market import Market, build_market


@pytest.fixture
def market() -> Market:
    return build_market()
