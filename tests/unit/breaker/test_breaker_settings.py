"""Settings that do not fit together are refused, and the cool-down arithmetic is right."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from trading.clock import MINUTE_MS
from trading.risk.breaker_config import CircuitBreakerConfig, PositionsPolicy
from trading.risk.breaker_rules import cooldown_ms


@pytest.mark.parametrize(
    "wrong",
    [
        {"cooldown_minutes": 60, "cooldown_max_minutes": 30},
        {"easing_share": 1.0},
        {"stage_size_caps": (0.0, 0.5, 0.25, 1.0)},
        {"stage_size_caps": (0.0, 0.5, 0.6, 1.5)},
        {"positions_policy": "hope"},
        {"no_such_setting": 1},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        CircuitBreakerConfig(**wrong)


def test_the_defaults_are_those_of_the_design() -> None:
    config = CircuitBreakerConfig()
    assert config.stage_size_caps == (0.0, 0.10, 0.25, 0.50)
    assert (config.cooldown_minutes, config.cooldown_max_minutes) == (15, 240)
    assert config.positions_policy is PositionsPolicy.KEEP_WITH_TIGHT_STOPS


@given(st.integers(1, 10_000))
def test_the_cooldown_never_shrinks_with_more_trips_and_never_passes_its_maximum(
    trips: int,
) -> None:
    config = CircuitBreakerConfig()
    assert (
        15 * MINUTE_MS
        <= cooldown_ms(config, trips)
        <= cooldown_ms(config, trips + 1)
        <= 240 * MINUTE_MS
    )
