"""Market streams: who listens to what, and what is sent when."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

import orjson

from trading.clock import MINUTE_MS
from trading.model.order import Side
from trading.simulator.exchange import SimulatedExchange
from trading.simulator.orders import OrderEvent, UserEvent
from trading.simulator.server.connection import Connection
from trading.simulator.server.spot import intervals, market_wire
from trading.simulator.server.spot.stream_names import WINDOWS, StreamKind, StreamSpec, parse_stream
from trading.simulator.server.wire import Json, in_microseconds, num
from trading.simulator.tape import Candle, Tape, TapeTrade

BEAT_S = 0.1
DIFF_DEPTH_LEVELS = 1000


class DepthDiff:
    """The changes of one symbol's book since the last event of one depth stream."""

    def __init__(self, version: int, levels: dict[Side, dict[str, str]]) -> None:
        self._version = version
        self._levels = levels

    def advance(self, version: int, levels: dict[Side, dict[str, str]]) -> Json | None:
        """Update ids and changed levels; None when nothing has changed."""
        if version == self._version:
            return None
        changes = {
            side: [
                [price, new.get(price, num(None))]
                for price in {**self._levels[side], **new}
                if new.get(price) != self._levels[side].get(price)
            ]
            for side, new in levels.items()
        }
        first, self._version, self._levels = self._version + 1, version, levels
        return {"U": first, "u": version, "b": changes[Side.BUY], "a": changes[Side.SELL]}


class MarketStreams:
    """Subscriptions by stream name; real-time streams are sent on each tick, others by ``run``."""

    def __init__(self, exchange: SimulatedExchange) -> None:
        self._exchange = exchange
        self._listeners: dict[str, set[Connection]] = {}
        self._timed: dict[str, StreamSpec] = {}
        self._diffs: dict[str, DepthDiff] = {}
        self._versions: defaultdict[str, int] = defaultdict(int)
        self._changed: set[str] = set()
        self._told: dict[str, int] = {}  # name of a 1s stream: end of the kline told as closed
        exchange.add_trade_listener(self._on_trade)
        exchange.add_candle_listener(self._on_candle)
        exchange.add_user_listener(self._on_user_event)

    def subscribe(self, connection: Connection, name: str) -> None:
        """An unknown name is accepted and stays silent, as on the venue."""
        connection.streams.add(name)
        self._listeners.setdefault(name, set()).add(connection)
        spec = parse_stream(name)
        if spec is None or (spec.symbol and spec.symbol not in self._exchange.instruments):
            return
        if spec.period:
            self._timed[name] = spec
        if spec.kind is StreamKind.DEPTH and name not in self._diffs:
            version, levels = self._versions[spec.symbol], self._depth(spec.symbol)
            self._diffs[name] = DepthDiff(version, levels)

    def unsubscribe(self, connection: Connection, name: str) -> None:
        connection.streams.discard(name)
        listeners = self._listeners.get(name, set())
        listeners.discard(connection)
        if not listeners:
            self._listeners.pop(name, None)
            self._timed.pop(name, None)
            self._diffs.pop(name, None)
            self._told.pop(name, None)

    def forget(self, connection: Connection) -> None:
        """The connection is gone."""
        for name in list(connection.streams):
            self.unsubscribe(connection, name)

    def book_version(self, symbol: str) -> int:
        """``lastUpdateId`` of a snapshot taken now; lies inside some depth event's U..u."""
        return self._versions[symbol]

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
            changes = self._diffs[spec.name].advance(self._versions[symbol], self._depth(symbol))
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

    def _depth(self, symbol: str) -> dict[Side, dict[str, str]]:
        levels = self._exchange.levels(symbol, DIFF_DEPTH_LEVELS)
        return {
            side: {num(price): num(quantity) for price, quantity in rows}
            for side, rows in levels.items()
        }

    def _publish(self, name: str, payload: Any) -> None:
        """One frame for all listeners of a kind: raw or combined, milliseconds or microseconds."""
        frames: dict[tuple[bool, bool], bytes] = {}
        for connection in self._listeners.get(name, ()):
            kind = (connection.combined, connection.microseconds)
            frame = frames.get(kind)
            if frame is None:
                frame = orjson.dumps(in_microseconds(payload) if kind[1] else payload)
                if connection.combined:
                    frame = b'{"stream":"%b","data":%b}' % (name.encode(), frame)
                frames[kind] = frame
            connection.send_bytes(frame)
