"""The arithmetic behind the analysis tools: plain functions over bars, windows and books.

Percentages are signed and of the earlier price. Nothing here reads a clock or a network.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from trading.model.market import Bar, Book, BookLevel
from trading.model.order import Side


def returns_pct(bars: Sequence[Bar]) -> list[float]:
    """Close-to-close returns, in %, one fewer than there are bars."""
    closes = [bar.close for bar in bars]
    return [(b / a - 1) * 100 for a, b in itertools.pairwise(closes)]


def common_returns_pct(
    bars: Sequence[Bar], reference: Sequence[Bar], *, before_ms: int
) -> tuple[list[float], list[float]]:
    """Returns of two pairs over the minutes that both have, up to ``before_ms``."""
    other = {bar.open_time_ms: bar for bar in reference if bar.open_time_ms < before_ms}
    common = [bar for bar in bars if bar.open_time_ms in other]
    return returns_pct(common), returns_pct([other[bar.open_time_ms] for bar in common])


def deviation(values: Sequence[float]) -> float:
    """Population standard deviation; 0 for fewer than two values."""
    if len(values) < 2:
        return 0.0
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((v - mean) ** 2 for v in values) / len(values))


def correlation_and_beta(
    values: Sequence[float], reference: Sequence[float]
) -> tuple[float | None, float | None]:
    """Pearson correlation, and the slope of ``values`` on ``reference``.

    Both are taken over the common newest part; (None, None) below 10 pairs or without variation.
    """
    count = min(len(values), len(reference))
    if count < 10:
        return None, None
    ys, xs = values[-count:], reference[-count:]
    mean_y, mean_x = math.fsum(ys) / count, math.fsum(xs) / count
    covariance = math.fsum((y - mean_y) * (x - mean_x) for y, x in zip(ys, xs, strict=True)) / count
    spread_y, spread_x = deviation(ys), deviation(xs)
    if spread_x < 1e-12 or spread_y < 1e-12:
        return None, None
    return covariance / (spread_y * spread_x), covariance / spread_x**2


def isolated_share(move_pct: float, reference_move_pct: float, beta: float | None) -> float:
    """How much of a move the market does not explain: 1 is all its own, 0 is all the market's.

    The market explains ``beta × reference_move_pct`` (beta 1 where it is unknown), in as far as
    that points the same way.
    """
    if move_pct == 0:
        return 0.0
    explained = (1.0 if beta is None else beta) * reference_move_pct / move_pct
    return 1.0 - min(1.0, max(0.0, explained))


def book_imbalance(book: Book) -> float:
    """Bid notional minus ask notional over their sum: -1 all offers, +1 all bids."""
    bids, asks = _notional(book.bids), _notional(book.asks)
    total = bids + asks
    return float((bids - asks) / total) if total else 0.0


def spread_pct(book: Book) -> float | None:
    """Best ask minus best bid, in % of the mid; None when a side is empty."""
    mid = book.mid
    if mid is None:
        return None
    return float((book.asks[0].price - book.bids[0].price) / mid * 100)


@dataclass(frozen=True, slots=True)
class BookFill:
    """What trading a notional at once would do to the shown book. ``filled`` 1 is all of it."""

    average_price: Decimal | None
    slippage_pct: float | None
    filled_share: float
    levels: int


def fill_from_book(book: Book, side: Side, notional: Decimal) -> BookFill:
    """Walk the shown book with a market order of ``notional`` (quote asset).

    ``slippage_pct`` is how much worse than the mid the average price is, positive for both sides.
    """
    mid = book.mid
    if mid is None or notional <= 0:
        return BookFill(None, None, 0.0, 0)
    left, quantity, used = notional, Decimal(0), 0
    for level in book.asks if side is Side.BUY else book.bids:
        taken = min(left, level.price * level.quantity)
        quantity += taken / level.price
        left -= taken
        used += 1
        if left <= 0:
            break
    filled = notional - left
    average = filled / quantity
    worse = average / mid - 1 if side is Side.BUY else 1 - average / mid
    return BookFill(average, float(worse * 100), float(filled / notional), used)


def slippage_pct(book: Book, side: Side, notional: Decimal) -> float | None:
    """``BookFill.slippage_pct``; None when the shown book does not hold that much."""
    fill = fill_from_book(book, side, notional)
    return fill.slippage_pct if fill.filled_share == 1.0 else None


def notional_within(book: Book, side: Side, limit_pct: float) -> Decimal:
    """The largest notional of the shown book whose average price is within ``limit_pct`` of the
    mid (quote asset)."""
    mid = book.mid
    if mid is None:
        return Decimal(0)
    share = Decimal(str(limit_pct)) / 100
    worst = mid * (1 + share) if side is Side.BUY else mid * (1 - share)
    spent = quantity = Decimal(0)
    for level in book.asks if side is Side.BUY else book.bids:
        is_better = level.price <= worst if side is Side.BUY else level.price >= worst
        most = level.quantity
        if not is_better:
            # Of a level beyond the limit only so much that the average just reaches it.
            room = abs(worst * quantity - spent) / abs(level.price - worst)
            most = min(most, room)
        quantity += most
        spent += most * level.price
        if most < level.quantity:
            break
    return spent


def notional_near_mid(book: Book, side: Side, distance_pct: float) -> Decimal:
    """What rests within ``distance_pct`` of the mid for an order of ``side`` to take."""
    mid = book.mid
    if mid is None:
        return Decimal(0)
    share = Decimal(str(distance_pct)) / 100
    if side is Side.BUY:
        return _notional([one for one in book.asks if one.price <= mid * (1 + share)])
    return _notional([one for one in book.bids if one.price >= mid * (1 - share)])


def retraced_share(move_pct: float, drawdown_from_high_pct: float) -> float:
    """How much of an upward move is already given back, 0 to 1."""
    if move_pct <= 0:
        return 0.0
    return min(1.0, max(0.0, drawdown_from_high_pct / move_pct))


def pump_and_dump_likelihood(
    *, isolated: float, volume_multiple: float, imbalance: float, retraced: float
) -> float:
    """0 to 1: a pump stands alone, on exploding volume, into offers, and is soon given back.

    ``0.30 isolated + 0.25 volume + 0.20 offers + 0.25 retraced``, with volume counted from 5 times
    normal (0) to 20 times (1) and offers from a balanced book (0) to one of offers alone (1).
    Weights and ranges are ours: judgement, to be tuned on recorded pumps.
    """
    volume = min(1.0, max(0.0, (volume_multiple - 5) / 15))
    offers = min(1.0, max(0.0, -imbalance))
    return 0.30 * isolated + 0.25 * volume + 0.20 * offers + 0.25 * retraced


def rounded(value: float | Decimal | None, digits: int = 4) -> float | None:
    """For answers: a figure's last digits are no information."""
    return None if value is None else round(float(value), digits)


def _notional(levels: Sequence[BookLevel]) -> Decimal:
    return sum((level.price * level.quantity for level in levels), Decimal(0))
