"""Market streams: who listens to what, and what is sent when."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

from trading.clock import MINUTE_MS
from trading.model.order import Side
from trading.simulator.exchange import SimulatedExchange
from trading.simulator.orders import OrderEvent, UserEvent
from trading.simulator.server import intervals
from trading.simulator.server.connection import Connection
from trading.simulator.server.spot import market_wire
from trading.simulator.server.spot.stream_names import WINDOWS, StreamKind, StreamSpec, parse_stream
from trading.simulator.server.stream_board import BEAT_S, BookDiff, StreamBoard
from trading.simulator.server.wire import Json, num
from trading.simulator.tape import Candle, Tape, TapeTrade

DIFF_DEPTH_LEVELS = 1000


class MarketStreams(StreamBoard):
    """Subscriptions by stream name; real-time streams are sent on each tick, others by ``run``."""

    def __init__(self, exchange: SimulatedExchange) -> None:
        super().__init__()
        self._exchange = exchange
        self._timed: dict[str, StreamSpec] = {}
        self._diffs: dict[str, BookDiff] = {}
        self._versions: defaultdict[str, int] = defaultdict(int)
        self._changed: set[str] = set()
        self._told: dict[str, int] = {}  # name of a 1s stream: end of the kline told as closed
        exchange.add_trade_listener(self._on_trade)
        exchange.add_candle_listener(self._on_candle)
        exchange.add_user_listener(self._on_user_event)

    def subscribe(self, connection: Connection, name: str) -> None:
        """An unknown name is accepted and stays silent, as on the venue."""
        super().subscribe(connection, name)
        spec = parse_stream(name)
        if spec is None or (spec.symbol and spec.symbol not in self._exchange.instruments):
            return
        if spec.period:
            self._timed[name] = spec
        if spec.kind is StreamKind.DEPTH and name not in self._diffs:
            version, levels = self._versions[spec.symbol], self._depth(spec.symbol)
            self._diffs[name] = BookDiff(version, levels)

    def book_version(self, symbol: str) -> int:
        """Number of the book's last update."""
        return self._versions[symbol]

    def snapshot(self, symbol: str, limit: int) -> Json:
        """The book now; its ``lastUpdateId`` lies inside some depth event's U..u."""
        shown = self._depth(symbol, limit)
        for name, diff in self._diffs.items():
            if self._timed[name].symbol == symbol:
                diff.show(shown)
        sides = (("bids", Side.BUY), ("asks", Side.SELL))
        levels = {name: [list(row) for row in shown[side].items()] for name, side in sides}
        return {"lastUpdateId": self._versions[symbol], **levels}

    async def run(self) -> None:
        """Send the timed streams until cancelled."""
        beat = 0
        while True:
            await asyncio.sleep(BEAT_S)
            beat += 1
            for name, spec in list(self._timed.items()):
                if beat % spec.period == 0:
                    payload = self._timed_payload(spec)
                    if payload is not None:
                        self._publish(name, payload)
            if beat % 10 == 0:
                self._changed.clear()

    def _on_trade(self, trade: TapeTrade) -> None:
        symbol = trade.tick.symbol
        self._versions[symbol] += 1
        self._changed.add(symbol)
        lower = symbol.lower()
        now_ms = self._exchange.clock.now_ms()
        if (name := f"{lower}@aggTrade") in self._listeners:
            self._publish(name, market_wire.aggregate_trade_event(trade, now_ms))
        if (name := f"{lower}@trade") in self._listeners:
            self._publish(name, market_wire.trade_event(trade, now_ms))
        self._publish_book_ticker(symbol)

    def _on_user_event(self, event: UserEvent) -> None:
        if isinstance(event, OrderEvent):
            self._versions[event.order.symbol] += 1
            self._publish_book_ticker(event.order.symbol)

    def _publish_book_ticker(self, symbol: str) -> None:
        name = f"{symbol.lower()}@bookTicker"
        if name in self._listeners:
            row = market_wire.book_ticker(self._exchange, symbol)
            best = dict(zip("sbBaA", row.values(), strict=True))
            self._publish(name, {"u": self._versions[symbol], **best})

    def _on_candle(self, symbol: str, candle: Candle) -> None:
        prefix = f"{symbol.lower()}@kline_"
        for name in [name for name in self._timed if name.startswith(prefix)]:
            spec = self._timed[name]
            interval, offset_ms = spec.interval, spec.offset_ms
            start_ms = intervals.start_of(interval, candle.open_time_ms, offset_ms)
            end_ms = intervals.end_of(interval, start_ms, offset_ms)
            if interval == "1s" or candle.open_time_ms + MINUTE_MS <= end_ms:
                continue
            tape = self._exchange.tape(symbol)
            # The last candle already belongs to the minute that follows.
            whole = next(
                (
                    c
                    for c in intervals.candles(tape, interval, offset_ms)
                    if c.open_time_ms == start_ms
                ),
                None,
            )
            if whole is not None:
                now_ms = self._exchange.clock.now_ms()
                event = market_wire.kline_event(
                    symbol, interval, whole, end_ms, now_ms, closed=True
                )
                self._publish(name, event)

    def _timed_payload(self, spec: StreamSpec) -> Any:
        now_ms = self._exchange.clock.now_ms()
        symbol = spec.symbol
        if spec.kind is StreamKind.ALL_MINI_TICKERS:
            days = ((name, self._exchange.day(name)) for name in sorted(self._changed))
            rows = [market_wire.mini_ticker_event(s, day, now_ms) for s, day in days if day]
            return rows or None
        if spec.kind is StreamKind.ALL_WINDOW_TICKERS:
            tickers = (self._window_ticker(name, spec, now_ms) for name in sorted(self._changed))
            return [ticker for ticker in tickers if ticker is not None] or None
        if spec.kind is StreamKind.PARTIAL_DEPTH:
            levels = market_wire.depth_levels(self._exchange, symbol, spec.levels)
            return {"lastUpdateId": self._versions[symbol], **levels}
        if spec.kind is StreamKind.DEPTH:
            changes = self._diffs[spec.name].advance(
                self._versions[symbol], self._depth(symbol), num(None)
            )
            head = {"e": "depthUpdate", "E": now_ms, "s": symbol}
            return None if changes is None else head | changes
        tape = self._exchange.tape(symbol)
        if not tape.candles:
            return None
        if spec.kind is StreamKind.KLINE:
            return self._open_kline(spec, tape, now_ms)
        if spec.kind is StreamKind.AVG_PRICE:
            price = num(tape.average_price(5))
            trade_ms = tape.last.tick.time_ms if tape.last else now_ms
            head = {"e": "avgPrice", "E": now_ms, "s": symbol, "i": "5m"}
            return head | {"w": price, "T": trade_ms}
        if spec.kind is StreamKind.WINDOW_TICKER:
            return self._window_ticker(symbol, spec, now_ms)
        day = self._exchange.day(symbol)
        if day is None:
            return None
        if spec.kind is StreamKind.MINI_TICKER:
            return market_wire.mini_ticker_event(symbol, day, now_ms)
        return market_wire.ticker_event(self._exchange, symbol, now_ms)

    def _open_kline(self, spec: StreamSpec, tape: Tape, now_ms: int) -> Json | None:
        found = intervals.candles(tape, spec.interval, spec.offset_ms)
        if not found:
            return None
        end_ms = intervals.end_of(spec.interval, found[-1].open_time_ms, spec.offset_ms)
        closed = spec.interval == "1s" and now_ms > end_ms
        if closed and self._told.get(spec.name) == end_ms:
            return None  # no trade since
        self._told[spec.name] = end_ms if closed else 0
        return market_wire.kline_event(
            spec.symbol, spec.interval, found[-1], end_ms, now_ms, closed=closed
        )

    def _window_ticker(self, symbol: str, spec: StreamSpec, now_ms: int) -> Json | None:
        start_ms = now_ms - (WINDOWS[spec.interval] - 1) * MINUTE_MS
        return market_wire.window_ticker_event(
            self._exchange, symbol, spec.interval, start_ms, now_ms
        )

    def _depth(self, symbol: str, limit: int = DIFF_DEPTH_LEVELS) -> dict[Side, dict[str, str]]:
        levels = self._exchange.levels(symbol, limit)
        return {
            side: {num(price): num(quantity) for price, quantity in rows}
            for side, rows in levels.items()
        }

    def _unheard(self, name: str) -> None:
        self._timed.pop(name, None)
        self._diffs.pop(name, None)
        self._told.pop(name, None)
