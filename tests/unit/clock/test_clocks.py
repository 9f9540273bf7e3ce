"""Market time, and its form as text."""

from __future__ import annotations

import time

import pytest

from trading.clock import MINUTE_MS, ScaledClock, VirtualClock, duration_text, from_iso, iso

START_MS = 1_760_000_000_123


def test_a_time_survives_being_written_and_read() -> None:
    assert iso(START_MS) == "2025-10-09T08:53:20.123Z"
    assert from_iso(iso(START_MS)) == START_MS


@pytest.mark.parametrize(
    ("text", "offset_minutes"),
    [("2021-05-19T00:00", 0), ("2021-05-19", 0), ("2021-05-19T00:00+02:00", -120)],
)
def test_a_time_without_a_zone_is_utc(text: str, offset_minutes: int) -> None:
    assert from_iso(text) == 1_621_382_400_000 + offset_minutes * MINUTE_MS


def test_what_is_no_time_is_refused() -> None:
    with pytest.raises(ValueError, match="yesterday"):
        from_iso("yesterday")


def test_virtual_time_never_goes_back() -> None:
    clock = VirtualClock(START_MS)
    clock.advance_to(START_MS + 5)
    clock.advance_to(START_MS)
    assert clock.now_ms() == START_MS + 5


def test_scaled_clocks_of_one_anchor_show_the_same_time() -> None:
    anchor_ns = time.monotonic_ns() - 2_000_000_000
    exchange, core = (ScaledClock(START_MS, 60, anchor_ns) for _ in range(2))
    first, second = exchange.now_ms(), core.now_ms()
    assert first >= START_MS + 2 * MINUTE_MS
    assert 0 <= second - first < MINUTE_MS
    with pytest.raises(ValueError, match="speed"):
        ScaledClock(START_MS, -1)


def test_a_scaled_clock_can_be_paused_and_goes_on_from_there() -> None:
    anchor_ns = time.monotonic_ns() - 2_000_000_000
    clock = ScaledClock(START_MS, 60, anchor_ns)
    clock.change_speed(0)
    paused_ms = clock.now_ms()
    assert paused_ms >= START_MS + 2 * MINUTE_MS
    time.sleep(0.01)
    assert clock.now_ms() == paused_ms
    clock.change_speed(1000)
    time.sleep(0.01)
    assert paused_ms < clock.now_ms() < paused_ms + 60 * MINUTE_MS
    with pytest.raises(ValueError, match="speed"):
        clock.change_speed(float("inf"))


@pytest.mark.parametrize(
    ("duration_ms", "text"),
    [
        (0, "0 ms"),
        (999, "999 ms"),
        (1_000, "1.0 s"),
        (59_949, "59.9 s"),
        (59_950, "1 min 0 s"),
        (224_382, "3 min 44 s"),
        (3_599_499, "59 min 59 s"),
        (3_599_500, "1 h 0 min"),
        (7_500_000, "2 h 5 min"),
        (86_399_999, "1 d 0 h"),
        (190_800_000, "2 d 5 h"),
    ],
)
def test_a_duration_is_written_in_units_that_people_count_in(duration_ms: int, text: str) -> None:
    assert duration_text(duration_ms) == text
