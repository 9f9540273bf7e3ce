"""Names of market streams: what a name asks for, and how often it is sent."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from trading.simulator.server.intervals import INTERVALS, parse_zone
from trading.simulator.server.wire_errors import WireError

PATTERN = re.compile(
    r"^(?P<symbol>[a-z0-9]+)@(?P<kind>[a-zA-Z]+?)(?P<levels>5|10|20)?"
    r"(?:_(?P<interval>[0-9]+[smhdwM]))?"
    r"(?:@(?P<speed>100ms|1000ms)|@(?P<zone>[+-][0-9]{2}:[0-9]{2}))?$"
)
WINDOWS = {"1h": 60, "4h": 240, "1d": 1440}
"""Rolling windows of tickers, in minutes."""
ALL_WINDOW_TICKERS = re.compile(r"^!ticker_(?P<window>1h|4h|1d)@arr$")
ALL_MINI_TICKERS = ("!miniTicker@arr", "!miniTicker@arr@1000ms")  # the second by python-binance


class StreamKind(StrEnum):
    AGG_TRADE = "aggTrade"
    TRADE = "trade"
    KLINE = "kline"
    MINI_TICKER = "miniTicker"
    TICKER = "ticker"
    BOOK_TICKER = "bookTicker"
    PARTIAL_DEPTH = "partialDepth"
    DEPTH = "depth"
    AVG_PRICE = "avgPrice"
    WINDOW_TICKER = "windowTicker"
    ALL_MINI_TICKERS = "!miniTicker@arr"
    ALL_WINDOW_TICKERS = "!windowTicker@arr"


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """What one stream name asks for. ``period`` counts tenths of a second; 0 is real time."""

    name: str
    kind: StreamKind
    symbol: str = ""
    levels: int = 0
    interval: str = ""
    period: int = 0
    offset_ms: int = 0


def parse_stream(name: str) -> StreamSpec | None:
    """None for a name that the venue accepts and never sends anything for."""
    if name in ALL_MINI_TICKERS:
        return StreamSpec(name, StreamKind.ALL_MINI_TICKERS, period=10)
    if everybody := ALL_WINDOW_TICKERS.match(name):
        return StreamSpec(
            name, StreamKind.ALL_WINDOW_TICKERS, interval=everybody["window"], period=10
        )
    match = PATTERN.match(name)
    if match is None:
        return None
    symbol, kind = match["symbol"].upper(), match["kind"]
    levels, interval, speed = match["levels"], match["interval"], match["speed"]
    if kind == "depth":
        period = 1 if speed == "100ms" else 10
        if levels:
            return StreamSpec(name, StreamKind.PARTIAL_DEPTH, symbol, int(levels), period=period)
        return StreamSpec(name, StreamKind.DEPTH, symbol, period=period)
    if kind == "kline" and interval in INTERVALS:
        period = 10 if interval == "1s" else 20
        try:
            offset_ms = parse_zone(match["zone"])
        except WireError:
            return None
        return StreamSpec(
            name, StreamKind.KLINE, symbol, interval=interval, period=period, offset_ms=offset_ms
        )
    if kind == "ticker" and interval in WINDOWS:
        return StreamSpec(name, StreamKind.WINDOW_TICKER, symbol, interval=interval, period=10)
    real_time = (StreamKind.AGG_TRADE, StreamKind.TRADE, StreamKind.BOOK_TICKER)
    each_second = (StreamKind.MINI_TICKER, StreamKind.TICKER, StreamKind.AVG_PRICE)
    for known in (*real_time, *each_second):
        if kind == known.value and not (levels or interval):
            return StreamSpec(name, known, symbol, period=10 if known in each_second else 0)
    return None
