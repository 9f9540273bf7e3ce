"""What the market did on one symbol: last trade, recent trades, one-minute bars, 24 h figures."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from trading.clock import MINUTE_MS
from trading.model.market import Bar, Tick

SECOND_MS = 1000
DAY_MINUTES = 1440
RECENT_TRADES = 1000


@dataclass(slots=True)
class Candle:
    """A bar with the extra columns of a kline. Volumes: base, quote, base bought by takers."""

    open_time_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float = 0.0
    quote_volume: float = 0.0
    trades: int = 0
    taker_buy_volume: float = 0.0
    taker_buy_quote: float = 0.0
    first_trade_id: int = -1
    last_trade_id: int = -1

    def add(self, tick: Tick, trade_id: int) -> None:
        notional = tick.price * tick.quantity
        self.high = max(self.high, tick.price)
        self.low = min(self.low, tick.price)
        self.close = tick.price
        self.volume += tick.quantity
        self.quote_volume += notional
        self.trades += 1
        if not tick.is_seller_aggressor:
            self.taker_buy_volume += tick.quantity
            self.taker_buy_quote += notional
        if self.first_trade_id < 0:
            self.first_trade_id = trade_id
        self.last_trade_id = trade_id


@dataclass(frozen=True, slots=True)
class TapeTrade:
    """A tick with the ids it got on this exchange."""

    tick: Tick
    aggregate_id: int
    trade_id: int


@dataclass(frozen=True, slots=True)
class DayFigures:
    """The last 24 hours, as the ticker shows them."""

    open_time_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    quote_volume: float
    trades: int


class Tape:
    """One symbol's history, fed tick by tick."""

    def __init__(self, symbol: str, history_minutes: int) -> None:
        self.symbol = symbol
        self.last: TapeTrade | None = None
        self.trades: deque[TapeTrade] = deque(maxlen=RECENT_TRADES)
        self.candles: deque[Candle] = deque(maxlen=history_minutes)
        self._aggregate_id = 0
        self._closed_day: tuple[int, DayFigures] | None = None

    @property
    def last_price(self) -> float | None:
        """Price of the last tick or, before the first, the close of the loaded history."""
        return self.candles[-1].close if self.candles else None

    def load(self, bars: tuple[Bar, ...]) -> None:
        """Take over one-minute bars from before the first tick, oldest first."""
        for bar in bars:
            middle = (bar.high + bar.low + bar.close) / 3
            self.candles.append(
                Candle(
                    bar.open_time_ms,
                    bar.open,
                    bar.high,
                    bar.low,
                    bar.close,
                    volume=bar.volume,
                    quote_volume=bar.volume * middle,
                    trades=int(bar.volume > 0) if bar.trades is None else bar.trades,
                    taker_buy_volume=bar.volume / 2,
                    taker_buy_quote=bar.volume * middle / 2,
                )
            )

    def add(self, tick: Tick, trade_id: int) -> Candle | None:
        """Record ``tick``; returns the candle it closed, if it opened a new minute."""
        open_time = tick.time_ms - tick.time_ms % MINUTE_MS
        closed = self._roll(open_time, tick.price)
        self.candles[-1].add(tick, trade_id)
        self._aggregate_id += 1
        self.last = TapeTrade(tick, self._aggregate_id, trade_id)
        self.trades.append(self.last)
        return closed

    def _roll(self, open_time_ms: int, price: float) -> Candle | None:
        """Make sure the last candle is that of ``open_time_ms``; quiet minutes become flat bars."""
        last = self.candles[-1] if self.candles else None
        if last is not None and open_time_ms <= last.open_time_ms:
            return None
        if last is not None:
            longest_gap = (self.candles.maxlen or 0) * MINUTE_MS
            start = max(last.open_time_ms + MINUTE_MS, open_time_ms - longest_gap)
            for flat_ms in range(start, open_time_ms, MINUTE_MS):
                self.candles.append(Candle(flat_ms, last.close, last.close, last.close, last.close))
        self.candles.append(Candle(open_time_ms, price, price, price, price))
        return last

    def day(self) -> DayFigures | None:
        """Figures of the last 24 hours up to the last candle; None before any data."""
        if not self.candles:
            return None
        current = self.candles[-1]
        if self._closed_day is None or self._closed_day[0] != current.open_time_ms:
            self._closed_day = (current.open_time_ms, self._figures_of_closed(current))
        closed = self._closed_day[1]
        return DayFigures(
            open_time_ms=closed.open_time_ms,
            open=closed.open,
            high=max(closed.high, current.high),
            low=min(closed.low, current.low),
            close=current.close,
            volume=closed.volume + current.volume,
            quote_volume=closed.quote_volume + current.quote_volume,
            trades=closed.trades + current.trades,
        )

    def _figures_of_closed(self, current: Candle) -> DayFigures:
        since = current.open_time_ms - (DAY_MINUTES - 1) * MINUTE_MS
        closed = [c for c in self.candles if c.open_time_ms >= since and c is not current]
        first = closed[0] if closed else current
        return DayFigures(
            open_time_ms=first.open_time_ms,
            open=first.open,
            high=max((c.high for c in closed), default=current.high),
            low=min((c.low for c in closed), default=current.low),
            close=first.close,
            volume=sum(c.volume for c in closed),
            quote_volume=sum(c.quote_volume for c in closed),
            trades=sum(c.trades for c in closed),
        )

    def figures(self, since_ms: int) -> DayFigures | None:
        """Like ``day``, from the minute of ``since_ms`` on; None before any data."""
        if not self.candles:
            return None
        current = self.candles[-1]
        since_ms = min(since_ms - since_ms % MINUTE_MS, current.open_time_ms)
        candles = [candle for candle in self.candles if candle.open_time_ms >= since_ms]
        return DayFigures(
            open_time_ms=candles[0].open_time_ms,
            open=candles[0].open,
            high=max(candle.high for candle in candles),
            low=min(candle.low for candle in candles),
            close=current.close,
            volume=sum(candle.volume for candle in candles),
            quote_volume=sum(candle.quote_volume for candle in candles),
            trades=sum(candle.trades for candle in candles),
        )

    def average_price(self, minutes: int) -> float | None:
        """Volume-weighted price of the last ``minutes`` candles; the last price without volume."""
        candles = [self.candles[-1 - i] for i in range(min(minutes, len(self.candles)))]
        volume = sum(candle.volume for candle in candles)
        if volume <= 0:
            return self.last_price
        return sum(candle.quote_volume for candle in candles) / volume

    def aggregated(self, minutes: int) -> list[Candle]:
        """Candles of ``minutes`` minutes, aligned to UTC, oldest first; the last may be open."""
        if minutes == 1:
            return list(self.candles)
        width = minutes * MINUTE_MS
        return self.grouped(lambda time_ms: time_ms - time_ms % width)

    def grouped(self, start_of: Callable[[int], int]) -> list[Candle]:
        """Candles merged by the start that ``start_of`` gives each; the last may be open."""
        result: list[Candle] = []
        for candle in self.candles:
            start = start_of(candle.open_time_ms)
            if not result or result[-1].open_time_ms != start:
                result.append(Candle(start, candle.open, candle.high, candle.low, candle.close))
            _merge(result[-1], candle)
        return result

    def seconds(self) -> list[Candle]:
        """Candles of one second, as far back as single trades are kept."""
        result: list[Candle] = []
        for trade in self.trades:
            tick = trade.tick
            start = tick.time_ms - tick.time_ms % SECOND_MS
            if result and result[-1].open_time_ms != start:
                close = result[-1].close
                gap = range(result[-1].open_time_ms + SECOND_MS, start, SECOND_MS)
                result += [Candle(flat_ms, close, close, close, close) for flat_ms in gap]
            if not result or result[-1].open_time_ms != start:
                result.append(Candle(start, tick.price, tick.price, tick.price, tick.price))
            result[-1].add(tick, trade.trade_id)
        return result


def _merge(into: Candle, candle: Candle) -> None:
    into.high = max(into.high, candle.high)
    into.low = min(into.low, candle.low)
    into.close = candle.close
    into.volume += candle.volume
    into.quote_volume += candle.quote_volume
    into.trades += candle.trades
    into.taker_buy_volume += candle.taker_buy_volume
    into.taker_buy_quote += candle.taker_buy_quote
    if into.first_trade_id < 0:
        into.first_trade_id = candle.first_trade_id
    if candle.last_trade_id >= 0:
        into.last_trade_id = candle.last_trade_id
