"""Bars, tickers and the synthetic book that grow out of the ticks."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.clock import MINUTE_MS
from trading.model.market import Bar, Tick
from trading.model.order import Side
from trading.simulator.book_config import BookShapeConfig
from trading.simulator.instruments import make_instrument
from trading.simulator.synthetic_book import SyntheticBook
from trading.simulator.tape import Tape
from trading.simulator.tape_shock import TapeShock

T0 = 1_600_000_020_000  # a whole minute


def tape_of(*ticks: tuple[int, float, float]) -> Tape:
    tape = Tape("ABCUSDT", 1000)
    for number, (offset_ms, price, quantity) in enumerate(ticks, start=1):
        tape.add(Tick("ABCUSDT", price, quantity, T0 + offset_ms), number)
    return tape


def test_ticks_become_minute_bars() -> None:
    tape = tape_of((0, 10, 1), (20_000, 12, 2), (59_999, 9, 1), (60_000, 11, 5))
    first, second = tape.candles
    assert (first.open, first.high, first.low, first.close) == (10, 12, 9, 9)
    assert (first.volume, first.quote_volume, first.trades) == (4, 43, 3)
    assert (second.open_time_ms, second.open) == (T0 + MINUTE_MS, 11)


def test_quiet_minutes_become_flat_bars() -> None:
    tape = tape_of((0, 10, 1), (3 * MINUTE_MS, 12, 1))
    assert [(c.close, c.volume) for c in tape.candles] == [(10, 1), (10, 0), (10, 0), (12, 1)]


def test_the_first_tick_of_a_minute_closes_the_bar_before() -> None:
    tape = Tape("ABCUSDT", 1000)
    assert tape.add(Tick("ABCUSDT", 10, 1, T0), 1) is None
    closed = tape.add(Tick("ABCUSDT", 11, 1, T0 + MINUTE_MS), 2)
    assert closed is not None
    assert closed.close == 10


def test_longer_bars_are_aligned_to_utc() -> None:
    tape = tape_of(*((minute * MINUTE_MS, 10 + minute, 1) for minute in range(12)))
    bars = tape.aggregated(5)
    assert all(bar.open_time_ms % (5 * MINUTE_MS) == 0 for bar in bars)
    assert sum(bar.volume for bar in bars) == 12
    assert bars[-1].close == 21


def test_the_day_ticker_forgets_what_is_older_than_24_hours() -> None:
    tape = Tape("ABCUSDT", 3000)
    tape.load((Bar("ABCUSDT", T0 - 1500 * MINUTE_MS, MINUTE_MS, 50, 99, 50, 50, 7),))
    tape.add(Tick("ABCUSDT", 60, 1, T0), 1)
    day = tape.day()
    assert day is not None
    assert (day.high, day.low, day.close, day.volume) == (60, 50, 60, 1)


@given(
    price=st.decimals("0.01", "100000", places=2),
    spread=st.integers(0, 50),
    spacing=st.integers(0, 50),
)
def test_the_book_never_touches_the_last_price_and_its_levels_never_cross(
    price: Decimal, spread: int, spacing: int
) -> None:
    shape = BookShapeConfig(spread_bps=Decimal(spread), level_spacing_bps=Decimal(spacing))
    book = SyntheticBook(make_instrument("BTCUSDT"), shape)
    book.move_to(price)
    bids, asks = book.side(Side.BUY), book.side(Side.SELL)
    assert all(level.price < price for level in bids)
    assert all(level.price > price for level in asks)
    for side, ascending in ((bids, False), (asks, True)):
        in_order = [level.price for level in side]
        assert in_order == sorted(set(in_order), reverse=not ascending)
        assert all(level.quantity > 0 and level.price > 0 for level in side)


@pytest.mark.parametrize(
    ("symbol", "price", "decimals", "tick", "step"),
    [
        ("BTCUSDT", 65000.0, None, "0.01", "0.00001"),
        ("BNBUSDT", 580.0, 1, "0.1", "0.001"),
        ("NEWUSDT", 0.001234, None, "1E-7", "1"),
        ("NEWUSDT", 123.4, None, "0.01", "0.001"),
        ("NEWUSDT", None, 4, "0.0001", "0.1"),
    ],
)
def test_steps_of_a_pair_follow_from_its_name_price_or_decimals(
    symbol: str, price: float | None, decimals: int | None, tick: str, step: str
) -> None:
    instrument = make_instrument(symbol, price, decimals)
    assert (instrument.tick_size, instrument.step_size) == (Decimal(tick), Decimal(step))


def test_a_shock_moves_prices_linearly_and_stays() -> None:
    shock = TapeShock()
    shock.add("ABCUSDT", -20, T0, 10)

    def price_after(seconds: float, symbol: str = "ABCUSDT") -> float:
        return shock.apply(Tick(symbol, 100.0, 1, T0 + int(seconds * 1000))).price

    assert [price_after(s) for s in (0, 5, 10, 99)] == pytest.approx([100, 90, 80, 80])
    assert price_after(99, "XYZUSDT") == 100
    shock.add(None, 50, T0 + 100_000, 0)
    assert price_after(200) == pytest.approx(120)
