"""Rolling windows against a reference that looks at every trade again each time."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import zip_longest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.market import windows as windows_module
from trading.market.windows import ONE_MINUTE, SPANS_MS, RollingWindows

Trade = tuple[int, float, float]  # pause before it in ms, price, quantity

TRADES = st.lists(
    st.tuples(
        st.one_of(
            st.integers(0, 3_000),
            st.integers(0, 120_000),
            st.sampled_from([0, 60_000, 300_000, 3_600_000, 14_400_000, 20_000_000]),
        ),
        st.one_of(st.integers(90, 110).map(float), st.floats(0.01, 1e5)),
        st.floats(0.0, 1e3),
    ),
    min_size=1,
    max_size=80,
)


class Reference:
    """The definition of a window, written down plainly."""

    def __init__(self) -> None:
        self._trades: list[tuple[int, float, float]] = []

    def add(self, time_ms: int, price: float, quantity: float) -> None:
        self._trades.append((time_ms, price, quantity))

    def stats(self, window: int, now_ms: int) -> dict[str, float]:
        inside = [trade for trade in self._trades if trade[0] > now_ms - SPANS_MS[window]]
        priced = inside or self._trades[-1:]
        return {
            "high": max(price for _, price, _ in priced),
            "low": min(price for _, price, _ in priced),
            "first": priced[0][1],
            "volume": math.fsum(quantity for _, _, quantity in inside),
        }


def check(make: Callable[[], RollingWindows], trades: list[Trade], late_ms: int = 0) -> None:
    """Feed both and compare every window after every trade."""
    windows, reference, now_ms = make(), Reference(), 1_000_000_000
    for pause_ms, price, quantity in trades:
        now_ms += pause_ms
        windows.add(now_ms, price, quantity)
        reference.add(now_ms, price, quantity)
        windows.expire(now_ms)
        _compare(windows, reference, now_ms)
    windows.expire(now_ms + late_ms)
    _compare(windows, reference, now_ms + late_ms)


def _compare(windows: RollingWindows, reference: Reference, now_ms: int) -> None:
    for window in range(len(SPANS_MS)):
        expected = reference.stats(window, now_ms)
        assert windows.high(window) == expected["high"]
        assert windows.low(window) == expected["low"]
        assert windows.first_price(window) == expected["first"]
        assert windows.volume(window) == pytest.approx(expected["volume"], rel=1e-6, abs=1e-6)


@given(trades=TRADES, late_ms=st.integers(0, 15_000_000))
@settings(max_examples=300, deadline=None)
def test_every_window_equals_a_look_at_all_its_trades(trades: list[Trade], late_ms: int) -> None:
    check(RollingWindows, trades, late_ms)


def _contents(windows: RollingWindows) -> list[object]:
    return [
        list(windows.trades()),
        windows.last_time_ms,
        *(
            (read(window), windows.is_ready(window))
            for read in (windows.high, windows.low, windows.first_price, windows.volume)
            for window in range(len(SPANS_MS))
        ),
    ]


@given(trades=TRADES, late_ms=st.lists(st.integers(0, 400_000), max_size=80), data=st.data())
@settings(max_examples=200, deadline=None)
def test_batches_give_what_single_trades_give_to_the_last_bit(
    trades: list[Trade], late_ms: list[int], data: st.DataObject
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows_module, "_COMPACT_EVERY", 7)
        patch.setattr(windows_module, "_COMPACT_STACK", 1)
        single, batched, now_ms, at = RollingWindows(), RollingWindows(), 1_000_000_000, 0
        stamped = []
        for (pause_ms, price, quantity), late in zip_longest(
            trades, late_ms[: len(trades)], fillvalue=0
        ):
            now_ms += pause_ms
            stamped.append((now_ms - late, price, quantity))
        while at < len(stamped):
            batch = stamped[at : at + data.draw(st.integers(1, 30))]
            at += len(batch)
            for trade in batch:
                single.add(*trade)
            columns = [list(column) for column in zip(*batch, strict=True)]
            kind = np.array if data.draw(st.booleans()) else list  # long batches come as arrays
            batched.extend(*map(kind, columns))
            single.expire(now_ms)
            batched.expire(now_ms)
            assert _contents(batched) == _contents(single)


@given(trades=TRADES)
@settings(max_examples=150, deadline=None)
def test_forgetting_old_trades_changes_nothing(trades: list[Trade]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows_module, "_COMPACT_EVERY", 2)
        patch.setattr(windows_module, "_COMPACT_STACK", 1)
        check(RollingWindows, trades)


@given(trades=TRADES, since_ms=st.integers(0, 400_000))
@settings(max_examples=150, deadline=None)
def test_extremes_since_a_moment_ignore_what_was_before(trades: list[Trade], since_ms: int) -> None:
    windows, now_ms, kept = RollingWindows(), 1_000_000_000, []
    since_ms += now_ms
    for pause_ms, price, quantity in trades:
        now_ms += pause_ms
        windows.add(now_ms, price, quantity)
        kept.append((now_ms, price))
    windows.expire(now_ms)
    for window, span_ms in enumerate(SPANS_MS):
        inside = [price for at, price in kept if at > now_ms - span_ms and at >= since_ms]
        assert windows.highs_since((window,), since_ms) == (max(inside, default=kept[-1][1]),)
        assert windows.lows_since((window,), since_ms) == (min(inside, default=kept[-1][1]),)


class MeanInsteadOfHigh(RollingWindows):
    def high(self, window: int) -> float:
        prices = [price for _, price, _ in self.trades()]
        return sum(prices) / len(prices)


class NothingExpires(RollingWindows):
    def expire(self, now_ms: int) -> None:
        """Keeps everything for ever."""


class LosesTheOldestHigh(RollingWindows):
    def _at(self, times: list[int], window: int) -> int:
        return min(super()._at(times, window) + 1, len(times) - 1)


@pytest.mark.parametrize("mutant", [MeanInsteadOfHigh, NothingExpires, LosesTheOldestHigh])
def test_broken_windows_are_found_out(mutant: type[RollingWindows]) -> None:
    falling = [(20_000, 100.0 - step, 1.0) for step in range(12)]
    check(RollingWindows, falling)
    with pytest.raises(AssertionError):
        check(mutant, falling)


def test_the_five_minute_window_is_ready_after_five_minutes() -> None:
    windows = RollingWindows()
    windows.add(0, 100.0, 1.0)
    windows.add(299_999, 100.0, 1.0)
    assert not windows.is_ready(1)
    windows.add(300_000, 100.0, 1.0)
    assert [windows.is_ready(window) for window in range(5)] == [True, True, False, False, False]


def test_a_late_trade_counts_as_of_the_last_one() -> None:
    windows = RollingWindows()
    windows.add(10_000, 100.0, 1.0)
    windows.add(4_000, 90.0, 1.0)
    assert windows.last_time_ms == 10_000
    assert windows.low(ONE_MINUTE) == 90.0


def check_high_after(trades: list[Trade], split: int, pause_ms: int) -> None:
    """A high told ahead of further trades is the one that is read once they were taken."""
    windows, now_ms = RollingWindows(), 1_000_000_000
    columns: tuple[list[int], list[float], list[float]] = ([], [], [])
    for pause, price, quantity in trades:
        now_ms += pause
        for column, value in zip(columns, (now_ms, price, quantity), strict=True):
            column.append(value)  # type: ignore[arg-type]  # each column has its own type
    times, prices, quantities = columns
    windows.extend(times[:split], prices[:split], quantities[:split])
    told = [
        windows.high_after(window, now_ms + pause_ms, times[split:], prices[split:])
        for window in range(len(SPANS_MS))
    ]
    arrays = (np.array(times[split:]), np.array(prices[split:]))
    for window, known in enumerate(told):
        assert windows.high_after(window, now_ms + pause_ms, *arrays) == known
    windows.extend(times[split:], prices[split:], quantities[split:])
    windows.expire(now_ms + pause_ms)
    for window, known in enumerate(told):
        if known:
            assert known == (windows.high(window), windows.high_time_ms(window))
        else:
            assert times[split] <= now_ms + pause_ms - SPANS_MS[window]


@given(
    trades=TRADES.filter(lambda trades: len(trades) > 1),
    share=st.floats(0.0, 1.0),
    pause_ms=st.integers(0, 400_000),
)
def test_a_high_told_ahead_of_waiting_trades_is_theirs_too(
    trades: list[Trade], share: float, pause_ms: int
) -> None:
    check_high_after(trades, 1 + int(share * (len(trades) - 2)), pause_ms)


@pytest.mark.parametrize(
    "broken", [lambda prices: len(prices) - 1, lambda prices: int(np.argmax(prices))]
)
def test_a_high_told_wrongly_is_found_out(
    broken: Callable[[list[float]], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    trades = [(1_000, price, 1.0) for price in (99.0, 101.0, 100.0, 101.0, 98.0)]
    check_high_after(trades, 1, 0)
    monkeypatch.setattr(windows_module, "last_highest", broken)
    with pytest.raises(AssertionError):
        check_high_after(trades, 1, 0)
