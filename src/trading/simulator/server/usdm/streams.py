"""Futures' market streams: who listens to what, and what is sent when."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from trading.clock import MINUTE_MS
from trading.model.order import Side
from trading.simulator.futures.events import ForcedOrder, FuturesEvent
from trading.simulator.futures.exchange import FuturesExchange
from trading.simulator.orders import OrderEvent
from trading.simulator.server.connection import Connection
from trading.simulator.server.intervals import candles, end_of, start_of
from trading.simulator.server.stream_board import BEAT_S, BookDiff, Levels, StreamBoard
from trading.simulator.server.usdm.market_wire import USD_M, MarketWire, kline_fields
from trading.simulator.server.usdm.stream_names import Route, StreamKind, StreamSpec, parse_stream
from trading.simulator.server.wire import Json
from trading.simulator.tape import Candle, TapeTrade

DIFF_DEPTH_LEVELS = 1000
FORCED_EVERY_MS = 1000
KLINES = (StreamKind.KLINE, StreamKind.CONTINUOUS_KLINE)


class FuturesStreams(StreamBoard):
    """Real-time streams are sent on each tick, others by ``run``.

    A stream that is asked for on another route than its own is accepted and stays silent.
    """

    def __init__(self, exchange: FuturesExchange, wire: MarketWire) -> None:
        super().__init__()
        self._exchange = exchange
        self._wire = wire
        self._routes: dict[Connection, Route] = {}
        self._timed: dict[str, StreamSpec] = {}
        self._diffs: dict[str, BookDiff] = {}
        self._versions: defaultdict[str, int] = defaultdict(int)
        self._told: dict[str, int] = {}  # depth stream: last update id
        self._changed: set[str] = set()
        self._forced: dict[str, ForcedOrder] = {}  # not sent yet
        self._forced_ms: dict[str, int] = {}  # when the last one was sent
        exchange.add_trade_listener(self._on_trade)
        exchange.add_candle_listener(self._on_candle)
        exchange.add_user_listener(self._on_user_event)
        exchange.add_forced_listener(self._on_forced)

    def open(self, connection: Connection, route: Route) -> None:
        """A socket on ``route``; its subscriptions follow."""
        self._routes[connection] = route

    def subscribe(self, connection: Connection, name: str) -> None:
        """A name that is unknown, or of another route, is accepted and stays silent."""
        spec = parse_stream(name)
        is_listed = spec is not None and (
            not spec.symbol or spec.symbol in self._exchange.contracts
        )
        if spec is None or not is_listed or spec.route is not self._routes.get(connection):
            connection.streams.add(name)
            return
        super().subscribe(connection, name)
        if spec.period:
            self._timed[name] = spec
        if spec.kind in (StreamKind.DEPTH, StreamKind.PARTIAL_DEPTH) and name not in self._diffs:
            version = self._versions[spec.symbol]
            self._diffs[name] = BookDiff(version, self._depth(spec))
            self._told[name] = version

    def forget(self, connection: Connection) -> None:
        super().forget(connection)
        self._routes.pop(connection, None)

    def book_version(self, symbol: str) -> int:
        """Number of the book's last update."""
        return self._versions[symbol]

    def snapshot(self, symbol: str, limit: int) -> Levels:
        """The book now; the number of its last update lies inside some depth event's U..u."""
        shown = self._levels(symbol, limit)
        for name, diff in self._diffs.items():
            if self._timed[name].symbol == symbol:
                diff.show(shown)
        return shown

    async def run(self) -> None:
        """Send the timed streams until cancelled."""
        beat = 0
        while True:
            await asyncio.sleep(BEAT_S)
            beat += 1
            for name, spec in list(self._timed.items()):
                if beat // spec.period > (beat - 1) // spec.period:
                    for payload in self._payloads(spec):
                        self._publish(name, payload)
            if self._forced:
                self._publish_forced()
            if beat % 10 == 0:
                self._changed.clear()

    def _unheard(self, name: str) -> None:
        for kept in (self._timed, self._diffs, self._told):
            kept.pop(name, None)

    def _on_trade(self, trade: TapeTrade) -> None:
        symbol = trade.tick.symbol
        self._versions[symbol] += 1
        self._changed.add(symbol)
        for kind, event in (
            (StreamKind.AGG_TRADE, self._wire.aggregate_trade_event),
            (StreamKind.TRADE, self._wire.trade_event),
        ):
            if (name := f"{symbol.lower()}@{kind}") in self._listeners:
                self._publish(name, event(trade, self._exchange.clock.now_ms()))
        self._publish_book_ticker(symbol)

    def _on_user_event(self, event: FuturesEvent) -> None:
        if isinstance(event, OrderEvent):
            self._versions[event.order.symbol] += 1
            self._publish_book_ticker(event.order.symbol)

    def _on_forced(self, forced: ForcedOrder) -> None:
        self._forced[forced.symbol] = forced
        self._publish_forced()

    def _publish_forced(self) -> None:
        """The latest of each contract, once in a second of market time."""
        now_ms = self._exchange.clock.now_ms()
        for symbol in list(self._forced):
            if now_ms - self._forced_ms.get(symbol, 0) < FORCED_EVERY_MS:
                continue
            self._forced_ms[symbol] = now_ms
            event = self._wire.forced_order_event(self._forced.pop(symbol), now_ms)
            for name in (f"{symbol.lower()}@forceOrder", StreamKind.ALL_FORCE_ORDERS.value):
                self._publish(name, event)

    def _publish_book_ticker(self, symbol: str) -> None:
        name = f"{symbol.lower()}@bookTicker"
        if name in self._listeners:
            self._publish(name, self._book_ticker(symbol))

    def _book_ticker(self, symbol: str) -> Json:
        now_ms = self._exchange.clock.now_ms()
        return self._wire.book_ticker_event(symbol, self._versions[symbol], now_ms)

    def _on_candle(self, symbol: str, candle: Candle) -> None:
        """The last message of a kline says that it is closed."""
        for name, spec in list(self._timed.items()):
            if spec.symbol != symbol or spec.kind not in KLINES:
                continue
            start_ms = start_of(spec.interval, candle.open_time_ms)
            end_ms = end_of(spec.interval, start_ms)
            if candle.open_time_ms + MINUTE_MS <= end_ms:
                continue
            rows = candles(self._exchange.tape(symbol), spec.interval)
            whole = next((row for row in rows if row.open_time_ms == start_ms), None)
            if whole is not None:
                self._publish(name, self._kline(spec, whole, closed=True))

    def _payloads(self, spec: StreamSpec) -> Iterable[Any]:
        """What a timed stream says now: nothing, one message, or one for each contract."""
        exchange, wire, symbol = self._exchange, self._wire, spec.symbol
        now_ms = exchange.clock.now_ms()
        match spec.kind:
            case StreamKind.MARK_PRICE:
                return [wire.mark_price_event(symbol, now_ms)] if self._is_priced(symbol) else []
            case StreamKind.ALL_MARK_PRICES:
                priced = filter(self._is_priced, exchange.contracts)
                return [[wire.mark_price_event(name, now_ms) for name in priced]]
            case StreamKind.ALL_BOOK_TICKERS:
                return [self._book_ticker(name) for name in sorted(self._changed)]
            case StreamKind.DEPTH | StreamKind.PARTIAL_DEPTH:
                return self._depth_event(spec, now_ms)
            case StreamKind.KLINE | StreamKind.CONTINUOUS_KLINE:
                rows = candles(exchange.tape(symbol), spec.interval)
                return [self._kline(spec, rows[-1], closed=False)] if rows else []
        return self._tickers(spec, now_ms)

    def _tickers(self, spec: StreamSpec, now_ms: int) -> Iterable[Any]:
        is_mini = spec.kind in (StreamKind.MINI_TICKER, StreamKind.ALL_MINI_TICKERS)
        write = self._wire.mini_ticker_event if is_mini else self._wire.ticker_event
        names = [spec.symbol] if spec.symbol else sorted(self._changed)
        days = ((name, self._exchange.day(name)) for name in names)
        rows = [write(name, day, now_ms) for name, day in days if day is not None]
        if spec.symbol:
            return rows
        return [rows] if rows else []

    def _kline(self, spec: StreamSpec, candle: Candle, *, closed: bool) -> Json:
        now_ms = self._exchange.clock.now_ms()
        end_ms = end_of(spec.interval, candle.open_time_ms)
        price = self._exchange.contracts[spec.symbol].price_text
        fields = kline_fields(candle, spec.interval, end_ms, price, closed=closed)
        if spec.kind is StreamKind.CONTINUOUS_KLINE:
            head: Json = {"e": "continuous_kline", "E": now_ms, "ps": spec.symbol}
            return head | {"ct": "PERPETUAL", "k": fields}
        return {"e": "kline", "E": now_ms, "s": spec.symbol, "k": {"s": spec.symbol, **fields}}

    def _depth_event(self, spec: StreamSpec, now_ms: int) -> Iterable[Any]:
        """Differences, or the best levels as they are; ``pu`` is the event's before."""
        levels = self._depth(spec)
        nothing = self._exchange.contracts[spec.symbol].quantity_text(None)
        changes = self._diffs[spec.name].advance(self._versions[spec.symbol], levels, nothing)
        if changes is None:
            return []
        previous, self._told[spec.name] = self._told[spec.name], changes["u"]
        if spec.kind is StreamKind.PARTIAL_DEPTH:
            changes |= {
                "b": list(levels[Side.BUY].items()),
                "a": list(levels[Side.SELL].items()),
            }
        head: Json = {"e": "depthUpdate", "E": now_ms, "T": now_ms, "s": spec.symbol}
        return [head | changes | {"pu": previous, "ps": spec.symbol, "st": USD_M}]

    def _depth(self, spec: StreamSpec) -> Levels:
        return self._levels(spec.symbol, spec.levels or DIFF_DEPTH_LEVELS)

    def _levels(self, symbol: str, limit: int) -> Levels:
        return {side: dict(rows) for side, rows in self._wire.depth(symbol, limit).items()}

    def _is_priced(self, symbol: str) -> bool:
        return self._exchange.prices[symbol].index > 0
