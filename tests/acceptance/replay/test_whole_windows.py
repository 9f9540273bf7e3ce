"""Whole recorded windows, twice each: minutes long, run by `make prove`."""

from __future__ import annotations

import pytest
from replayed import needs_data, replay


@needs_data
@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("window", "rule"), [("2020-03-12", "btc_drawdown_1h"), ("2025-10-10", "breadth_1h")]
)
def test_a_recorded_crash_replays_to_the_same_trace_and_halts(window: str, rule: str) -> None:
    first, second = replay("--window", window), replay("--window", window)
    assert first["trace_sha256"] == second["trace_sha256"]
    assert rule in {trip["rule"] for trip in first["trips"]}
    assert first["entries_after_trip_while_halted"] == 0
    assert first["symbols"] > 10
    assert first["spikes"] > 50
    assert first["crew_runs"] > 10
