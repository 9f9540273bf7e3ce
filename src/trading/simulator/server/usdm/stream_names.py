"""Names of futures streams: what a name asks for, on which route, how often it is sent."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from trading.simulator.server.intervals import FUTURES_INTERVALS

PATTERN = re.compile(
    r"^(?P<symbol>[a-z0-9]+)(?:_(?P<contract>perpetual))?"
    r"@(?P<kind>[a-zA-Z]+?)(?P<levels>5|10|20)?"
    r"(?:_(?P<interval>[0-9]+[mhdwM]))?(?:@(?P<speed>1s|100ms|250ms|500ms))?$"
)


class Route(StrEnum):
    """The part of the path that decides what can be heard on a socket."""

    PUBLIC = "public"
    MARKET = "market"
    PRIVATE = "private"


class StreamKind(StrEnum):
    AGG_TRADE = "aggTrade"
    TRADE = "trade"  # not documented, but served, and asked for by clients
    MARK_PRICE = "markPrice"
    KLINE = "kline"
    CONTINUOUS_KLINE = "continuousKline"
    MINI_TICKER = "miniTicker"
    TICKER = "ticker"
    BOOK_TICKER = "bookTicker"
    PARTIAL_DEPTH = "partialDepth"
    DEPTH = "depth"
    FORCE_ORDER = "forceOrder"
    ALL_MARK_PRICES = "!markPrice@arr"
    ALL_MINI_TICKERS = "!miniTicker@arr"
    ALL_TICKERS = "!ticker@arr"
    ALL_FORCE_ORDERS = "!forceOrder@arr"
    ALL_BOOK_TICKERS = "!bookTicker"


PUBLIC_KINDS = (
    StreamKind.TRADE,
    StreamKind.BOOK_TICKER,
    StreamKind.PARTIAL_DEPTH,
    StreamKind.DEPTH,
    StreamKind.ALL_BOOK_TICKERS,
)
DEPTH_PERIODS: dict[str | None, float] = {None: 2.5, "250ms": 2.5, "100ms": 1, "500ms": 5}
PERIODS = {StreamKind.MINI_TICKER: 20, StreamKind.TICKER: 20}
EVERYBODY = {
    "!markPrice@arr": (StreamKind.ALL_MARK_PRICES, 30),
    "!markPrice@arr@1s": (StreamKind.ALL_MARK_PRICES, 10),
    "!miniTicker@arr": (StreamKind.ALL_MINI_TICKERS, 10),
    "!ticker@arr": (StreamKind.ALL_TICKERS, 10),
    "!forceOrder@arr": (StreamKind.ALL_FORCE_ORDERS, 0),
    "!bookTicker": (StreamKind.ALL_BOOK_TICKERS, 50),
}


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """What one name asks for. ``period`` counts tenths of a second; 0 is real time."""

    name: str
    kind: StreamKind
    symbol: str = ""
    levels: int = 0
    interval: str = ""
    period: float = 0

    @property
    def route(self) -> Route:
        return Route.PUBLIC if self.kind in PUBLIC_KINDS else Route.MARKET


def parse_stream(name: str) -> StreamSpec | None:
    """None for a name that the venue accepts and never sends anything for."""
    if name in EVERYBODY:
        everybody, beats = EVERYBODY[name]
        return StreamSpec(name, everybody, period=beats)
    match = PATTERN.match(name)
    if match is None:
        return None
    symbol, kind_name, interval = match["symbol"].upper(), match["kind"], match["interval"]
    speed, levels = match["speed"], match["levels"]
    is_continuous = kind_name == StreamKind.CONTINUOUS_KLINE
    if bool(match["contract"]) is not is_continuous:
        return None
    if kind_name in (StreamKind.KLINE, StreamKind.CONTINUOUS_KLINE):
        if interval not in FUTURES_INTERVALS or speed or levels:
            return None
        return StreamSpec(name, StreamKind(kind_name), symbol, interval=interval, period=2.5)
    if interval:
        return None
    if kind_name == StreamKind.DEPTH and speed in DEPTH_PERIODS:
        period = DEPTH_PERIODS[speed]
        if levels:
            return StreamSpec(name, StreamKind.PARTIAL_DEPTH, symbol, int(levels), period=period)
        return StreamSpec(name, StreamKind.DEPTH, symbol, period=period)
    if kind_name == StreamKind.MARK_PRICE and speed in (None, "1s") and not levels:
        return StreamSpec(name, StreamKind.MARK_PRICE, symbol, period=10 if speed else 30)
    real_time = (StreamKind.AGG_TRADE, StreamKind.TRADE, StreamKind.BOOK_TICKER)
    plain = (*real_time, StreamKind.FORCE_ORDER, *PERIODS)
    for known in plain:
        if kind_name == known.value and not (speed or levels):
            return StreamSpec(name, known, symbol, period=PERIODS.get(known, 0))
    return None
