"""The market half of an embedded exchange: tapes, books, trades; fed from outside."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal
from typing import Generic, TypeVar

from trading.clock import MINUTE_MS, Clock
from trading.model.market import Bar, Book, BookLevel, Instrument, Tick
from trading.model.order import Side
from trading.simulator.matching import MatchingEngine
from trading.simulator.orders import ExchangeRejection
from trading.simulator.tape import Candle, DayFigures, Tape, TapeTrade

INVALID_SYMBOL = (-1121, "Invalid symbol.")

TradeListener = Callable[[TapeTrade], None]
CandleListener = Callable[[str, Candle], None]
EngineT = TypeVar("EngineT", bound=MatchingEngine)
EventT = TypeVar("EventT")


class ListedMarket(ABC, Generic[EngineT, EventT]):
    """The listed pairs, and what anybody may know of them.

    A market says which engine matches a pair's orders, and what its users are told.
    """

    def __init__(
        self, history_minutes: int, instruments: Iterable[Instrument], clock: Clock
    ) -> None:
        self.clock = clock
        self._history_minutes = history_minutes
        self._lock = threading.RLock()
        self._instruments: dict[str, Instrument] = {}
        self._engines: dict[str, EngineT] = {}
        self._tapes: dict[str, Tape] = {}
        self._trade_ids: dict[str, int] = {}
        self._trade_listeners: list[TradeListener] = []
        self._candle_listeners: list[CandleListener] = []
        self._user_listeners: list[Callable[[EventT], None]] = []
        for instrument in instruments:
            self.add_instrument(instrument)

    @property
    def instruments(self) -> dict[str, Instrument]:
        """Listed pairs by symbol."""
        return self._instruments

    def add_instrument(self, instrument: Instrument) -> None:
        """List a pair (once)."""
        symbol = instrument.symbol
        if symbol in self._instruments:
            return
        self._instruments[symbol] = instrument
        self._trade_ids[symbol] = 0
        self._tapes[symbol] = Tape(symbol, self._history_minutes)
        self._engines[symbol] = self._make_engine(instrument)

    def load_history(self, symbol: str, bars: Iterable[Bar]) -> None:
        """One-minute bars from before the first tick; the last close becomes the last price."""
        with self._lock:
            tape = self.tape(symbol)
            tape.load(tuple(bars))
            if tape.last_price is not None:
                self._engines[symbol].book.move_to(self._price(symbol, tape.last_price))

    def on_tick(self, tick: Tick) -> None:
        """A trade on the tape: fills resting orders, pulls triggers, tells the listeners."""
        symbol = tick.symbol
        with self._lock:
            engine = self._engines.get(symbol)
            if engine is None:
                return
            trade_id = self._next_trade_id(symbol)
            tape = self._tapes[symbol]
            closed = tape.add(tick, trade_id)
            engine.on_tape(
                self._price(symbol, tick.price),
                self._quantity(symbol, tick.quantity),
                self.clock.now_ms(),
            )
            if closed is not None:
                for on_candle in self._candle_listeners:
                    on_candle(symbol, closed)
            if tape.last is not None:
                for on_trade in self._trade_listeners:
                    on_trade(tape.last)

    def last_price(self, symbol: str) -> float | None:
        """Price of the last trade; None before any data."""
        return self.tape(symbol).last_price

    def tape(self, symbol: str) -> Tape:
        """The symbol's trades and bars. Raises ExchangeRejection -1121 for an unlisted pair."""
        tape = self._tapes.get(symbol)
        if tape is None:
            raise ExchangeRejection(*INVALID_SYMBOL)
        return tape

    def depth(self, symbol: str, limit: int = 20) -> Book:
        """Synthetic book and accounts' orders together, best first."""
        with self._lock:
            levels = self.levels(symbol, limit)
            bids, asks = (
                tuple(BookLevel(price=price, quantity=quantity) for price, quantity in levels[side])
                for side in (Side.BUY, Side.SELL)
            )
            return Book(symbol=symbol, time_ms=self.clock.now_ms(), bids=bids, asks=asks)

    def levels(self, symbol: str, limit: int) -> dict[Side, list[tuple[Decimal, Decimal]]]:
        """Like ``depth``, as plain (price, quantity) pairs."""
        with self._lock:
            self.tape(symbol)
            return {side: self._engines[symbol].levels(side, limit) for side in Side}

    def bars(
        self, symbol: str, minutes: int = 1, *, start_ms: int | None = None, limit: int = 500
    ) -> tuple[Bar, ...]:
        """Bars of ``minutes`` minutes, oldest first, the last one still open.

        With ``start_ms`` the first ``limit`` bars from there on, else the newest ``limit``.
        """
        with self._lock:
            candles = self.tape(symbol).aggregated(minutes)
        if start_ms is not None:
            candles = [candle for candle in candles if candle.open_time_ms >= start_ms][:limit]
        return tuple(
            Bar(
                symbol=symbol,
                open_time_ms=candle.open_time_ms,
                interval_ms=minutes * MINUTE_MS,
                open=candle.open,
                high=candle.high,
                low=candle.low,
                close=candle.close,
                volume=candle.volume,
            )
            for candle in candles[-limit:]
        )

    def day(self, symbol: str) -> DayFigures | None:
        """24 h figures; None before any data."""
        with self._lock:
            return self.tape(symbol).day()

    def add_trade_listener(self, listener: TradeListener) -> None:
        """Called for every tick, after orders have been matched against it."""
        self._trade_listeners.append(listener)

    def add_candle_listener(self, listener: CandleListener) -> None:
        """Called with (symbol, candle) when a one-minute candle is complete."""
        self._candle_listeners.append(listener)

    def add_user_listener(self, listener: Callable[[EventT], None]) -> None:
        """Called with every event of every account, in order."""
        self._user_listeners.append(listener)

    @abstractmethod
    def _make_engine(self, instrument: Instrument) -> EngineT:
        """The engine that matches the pair's orders."""

    def _price(self, symbol: str, price: float) -> Decimal:
        tick = self._instruments[symbol].tick_size
        steps = (Decimal(repr(price)) / tick).to_integral_value(ROUND_HALF_EVEN)
        return max(steps, Decimal(1)) * tick

    def _quantity(self, symbol: str, quantity: float) -> Decimal:
        step = self._instruments[symbol].step_size
        return (Decimal(repr(quantity)) / step).to_integral_value(ROUND_DOWN) * step

    def _next_trade_id(self, symbol: str) -> int:
        self._trade_ids[symbol] += 1
        return self._trade_ids[symbol]

    def _emit(self, event: EventT) -> None:
        for listener in self._user_listeners:
            listener(event)
