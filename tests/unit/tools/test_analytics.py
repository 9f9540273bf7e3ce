"""The arithmetic of the analysis tools."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools import analytics
from trading.model.market import Bar, Book, BookLevel
from trading.model.order import Side


def bars_of(closes: list[float]) -> list[Bar]:
    return [
        Bar("SOLUSDT", index * 60_000, 60_000, close, close, close, close, 1.0)
        for index, close in enumerate(closes)
    ]


def book_of(bids: list[tuple[str, str]], asks: list[tuple[str, str]]) -> Book:
    def levels(side: list[tuple[str, str]]) -> tuple[BookLevel, ...]:
        return tuple(BookLevel(price=Decimal(p), quantity=Decimal(q)) for p, q in side)

    return Book(symbol="SOLUSDT", time_ms=0, bids=levels(bids), asks=levels(asks))


def test_beta_and_correlation_of_a_doubled_series_are_two_and_one() -> None:
    reference = [0.1, -0.2, 0.3, 0.0, 0.5, -0.4, 0.2, 0.1, -0.1, 0.3]
    correlation, beta = analytics.correlation_and_beta([2 * r for r in reference], reference)
    assert correlation == pytest.approx(1.0)
    assert beta == pytest.approx(2.0)


def test_too_few_or_flat_returns_give_no_correlation() -> None:
    assert analytics.correlation_and_beta([1.0] * 5, [1.0] * 5) == (None, None)
    assert analytics.correlation_and_beta([1.0] * 20, [0.5] * 20) == (None, None)


def test_a_move_the_market_explains_is_not_isolated() -> None:
    assert analytics.isolated_share(4.0, 4.0, 1.0) == 0.0
    assert analytics.isolated_share(4.0, 2.0, 1.0) == pytest.approx(0.5)
    assert analytics.isolated_share(4.0, -2.0, 1.0) == 1.0


def test_buying_walks_the_asks_and_says_when_they_end() -> None:
    book = book_of([("99", "10")], [("101", "1"), ("103", "10")])
    # 101 buys 1, the next 103 buys 1: 204 for 2 is 102 apiece, 2 % above the mid of 100.
    assert analytics.slippage_pct(book, Side.BUY, Decimal(204)) == pytest.approx(2.0)
    assert analytics.slippage_pct(book, Side.BUY, Decimal(10_000)) is None


def test_selling_walks_the_bids_and_slippage_is_positive_for_both_sides() -> None:
    book = book_of([("99", "1"), ("97", "10")], [("101", "1")])
    fill = analytics.fill_from_book(book, Side.SELL, Decimal(196))
    assert fill.average_price == pytest.approx(Decimal(98))
    assert fill.slippage_pct == pytest.approx(2.0)
    assert (fill.filled_share, fill.levels) == (1.0, 2)
    assert analytics.fill_from_book(book, Side.SELL, Decimal(2138)).filled_share == 0.5


def test_what_rests_near_the_mid_is_counted_on_the_side_that_is_taken() -> None:
    book = book_of([("99.9", "1"), ("98", "5")], [("100.1", "2"), ("103", "5")])
    assert analytics.notional_near_mid(book, Side.BUY, 0.5) == Decimal("200.2")
    assert analytics.notional_near_mid(book, Side.SELL, 0.5) == Decimal("99.9")


offers_of_a_book = st.lists(
    st.tuples(st.integers(1, 200), st.integers(1, 50)),
    min_size=1,
    max_size=6,
    unique_by=lambda offer: offer[0],
)


@given(offers=offers_of_a_book, limit=st.floats(0.1, 10))
def test_the_largest_size_within_a_slippage_costs_that_slippage_or_takes_the_whole_book(
    offers: list[tuple[int, int]], limit: float
) -> None:
    asks = [(str(Decimal(10_000 + step) / 100), str(size)) for step, size in sorted(offers)]
    book = book_of([("99.99", "1")], asks)
    most = analytics.notional_within(book, Side.BUY, limit)
    if most == 0:
        return
    paid = analytics.fill_from_book(book, Side.BUY, most).slippage_pct
    assert paid is not None
    assert paid <= limit + 1e-9
    whole = analytics.notional_near_mid(book, Side.BUY, 1000)
    if most < whole:
        assert paid == pytest.approx(limit)


def test_minutes_missing_in_one_pair_are_left_out_of_both() -> None:
    own, market = bars_of([100, 101, 102, 103]), bars_of([50, 51, 52, 53])
    own_returns, market_returns = analytics.common_returns_pct(
        own, [bar for bar in market if bar.open_time_ms != 60_000], before_ms=10**9
    )
    assert len(own_returns) == len(market_returns) == 2
    assert own_returns[0] == pytest.approx(2.0)


@given(
    isolated=st.floats(0, 1),
    volume=st.floats(0, 1e6),
    imbalance=st.floats(-1, 1),
    retraced=st.floats(0, 1),
)
def test_the_pump_likelihood_stays_a_probability(
    isolated: float, volume: float, imbalance: float, retraced: float
) -> None:
    likelihood = analytics.pump_and_dump_likelihood(
        isolated=isolated, volume_multiple=volume, imbalance=imbalance, retraced=retraced
    )
    assert 0.0 <= likelihood <= 1.0
