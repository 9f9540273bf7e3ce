"""What the benchmarks measure with must itself be right: the streams, and the job given to all."""

from __future__ import annotations

import pytest
from _drawdown import BREACH_PCT, Drawdown
from _market import Recording, frames, load, stream
from hypothesis import given
from hypothesis import strategies as st

from trading.exchange.binance.stream_frames import agg_trade_decoder

HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def recording() -> Recording:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SPIKEGUARD_MARKET_DATA", raising=False)
        return load()


@pytest.mark.parametrize("count", [1, 2, 120])
def test_a_stream_has_the_symbols_asked_for_in_time_order(recording: Recording, count: int) -> None:
    of_count = stream(recording, count, 20_000)
    times = [at for _, at, _, _ in of_count.events]
    assert len(of_count.symbols) == count
    assert times == sorted(times)
    assert {number for number, *_ in of_count.events} <= set(range(count))
    assert all(of_count.minutes[symbol][-1][0] < times[0] for symbol in of_count.symbols)


def test_frames_decode_to_the_trades_they_were_made_from(recording: Recording) -> None:
    of_sixty = stream(recording, 60, 500)
    decoded = [agg_trade_decoder.decode(frame).data for frame in frames(of_sixty)]
    assert [(tick.symbol, tick.time_ms, tick.price, tick.quantity) for tick in decoded] == [
        (of_sixty.symbols[number], *rest) for number, *rest in of_sixty.events
    ]


@given(st.lists(st.tuples(st.integers(0, HOUR_MS), st.integers(1, 100)), min_size=1, max_size=60))
def test_the_job_given_to_all_is_the_fall_below_the_hours_high(
    steps: list[tuple[int, int]],
) -> None:
    breaches: list[int] = []
    one = Drawdown(lambda at, pct: breaches.append(at))
    now_ms, seen, expected, was_beyond = 0, [], [], False
    for pause_ms, price in steps:
        now_ms += pause_ms
        seen.append((now_ms, float(price)))
        one.update(now_ms, float(price))
        high = max(other for at, other in seen if at > now_ms - HOUR_MS)
        assert one.pct == (high - price) / high * 100.0
        if one.pct >= BREACH_PCT and not was_beyond:
            expected.append(now_ms)
        was_beyond = one.pct >= BREACH_PCT
    assert breaches == expected
