"""The market half of the futures exchange: contracts that follow their spot pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal

from trading.clock import MINUTE_MS, Clock
from trading.model.market import Bar, Tick
from trading.model.order import Side
from trading.simulator.futures.contracts import Contract
from trading.simulator.futures.crowd import Crowd
from trading.simulator.futures.events import ForcedOrder, FuturesEvent
from trading.simulator.futures.matching import FuturesEngine
from trading.simulator.futures.prices import PerpetualPrice, as_decimal
from trading.simulator.futures_config import FuturesConfig
from trading.simulator.listed_market import ListedMarket
from trading.simulator.tape import SECOND_MS, Tape

DERIVED_MINUTES = 1500  # as many klines as may be asked for at once
FORCED_IMPACT = 0.2  # share of the open interest that is forced out, to the move that it causes
SMALLEST_FORCED_USD = 1.0

ForcedListener = Callable[[ForcedOrder], None]


class DerivedPrices:
    """Candles of mark price, index and premium, looked at once a second."""

    def __init__(self, symbol: str) -> None:
        self.mark = Tape(symbol, DERIVED_MINUTES)
        self.index = Tape(symbol, DERIVED_MINUTES)
        self.premium = Tape(symbol, DERIVED_MINUTES)
        self._second = 0

    def note(self, price: PerpetualPrice, time_ms: int) -> None:
        second = time_ms // SECOND_MS
        if second <= self._second:
            return
        self._second = second
        for tape, value in (
            (self.mark, price.mark),
            (self.index, price.index),
            (self.premium, price.basis),
        ):
            tape.add(Tick(tape.symbol, value, 0.0, time_ms), 0)


class FuturesMarket(ListedMarket[FuturesEngine, FuturesEvent]):
    """Feed it the spot market: every spot trade moves the index, and with it the contract."""

    def __init__(
        self,
        config: FuturesConfig,
        contracts: Iterable[Contract],
        clock: Clock,
        history_minutes: int,
    ) -> None:
        self.config = config
        self.contracts = {contract.symbol: contract for contract in contracts}
        self.prices = {symbol: PerpetualPrice(symbol, config) for symbol in self.contracts}
        self.crowds = {symbol: Crowd(config.open_interest_days) for symbol in self.contracts}
        self.derived = {symbol: DerivedPrices(symbol) for symbol in self.contracts}
        self._forced_listeners: list[ForcedListener] = []
        instruments = [contract.instrument for contract in self.contracts.values()]
        super().__init__(history_minutes, instruments, clock)

    def mark(self, symbol: str) -> Decimal:
        """Mark price; the settlement price of funding, margin and liquidation."""
        return as_decimal(self.prices[symbol].mark)

    def index(self, symbol: str) -> Decimal:
        """The spot price."""
        return as_decimal(self.prices[symbol].index)

    def load_index_history(self, symbol: str, bars: Iterable[Bar]) -> None:
        """Spot's minutes from before the first tick; the contract's are made of them."""
        if symbol not in self.contracts:
            return
        with self._lock:
            price, crowd = self.prices[symbol], self.crowds[symbol]
            made: list[Bar] = []
            for bar in bars:
                opened = made[-1].close if made else None
                close = price.advance(bar.close, bar.close_time_ms - 1)
                if price.is_funding_due:
                    price.settle()
                share = close / bar.close
                opened = bar.open * share if opened is None else opened
                volume = bar.volume * self.config.volume_factor
                high, low = max(bar.high * share, opened), min(bar.low * share, opened)
                times = (bar.open_time_ms, bar.interval_ms)
                made.append(Bar(symbol, *times, opened, high, low, close, volume, bar.trades))
                crowd.live(close, bar.volume, bar.open_time_ms)
                crowd.forced_out(close)  # long ago
                self.derived[symbol].note(price, bar.close_time_ms - 1)
            self.load_history(symbol, made)

    def on_index(self, tick: Tick) -> None:
        """A spot trade."""
        symbol = tick.symbol
        price = self.prices.get(symbol)
        if price is None:
            return
        with self._lock:
            traded = float(self._price(symbol, price.advance(tick.price, tick.time_ms)))
            quantity = tick.quantity * self.config.volume_factor
            self.on_tick(Tick(symbol, traded, quantity, tick.time_ms, tick.is_seller_aggressor))
            now_ms = self.clock.now_ms()
            self.derived[symbol].note(price, tick.time_ms)
            self._force_the_crowd(symbol, now_ms)
            self._after_move(symbol, now_ms)

    def add_forced_listener(self, listener: ForcedListener) -> None:
        """Called with every forced order, the crowd's and the accounts'."""
        self._forced_listeners.append(listener)

    def _after_move(self, symbol: str, now_ms: int) -> None:
        """Last and mark price have moved."""

    def _force_the_crowd(self, symbol: str, now_ms: int) -> None:
        price, crowd = self.prices[symbol], self.crowds[symbol]
        minute = self._tapes[symbol].candles[-1].open_time_ms // MINUTE_MS
        if crowd.is_older_than(minute - 1):
            candles = self._tapes[symbol].candles
            over = candles[-2] if len(candles) > 1 else candles[-1]
            volume = over.volume / self.config.volume_factor
            crowd.live(price.contract, volume, (minute - 1) * MINUTE_MS)
        mark = price.mark
        sold, bought = crowd.forced_out(mark)
        for side, quantity in ((Side.SELL, sold), (Side.BUY, bought)):
            if quantity * mark >= SMALLEST_FORCED_USD:
                self._force(symbol, side, quantity, now_ms)

    def _force(self, symbol: str, side: Side, quantity: float, now_ms: int) -> None:
        price = self.prices[symbol]
        amount = self._quantity(symbol, quantity)
        if amount <= 0:
            return
        at = self._price(symbol, price.contract)
        self._print(symbol, side, amount, at, now_ms)
        self._tell_forced(ForcedOrder(symbol, side, amount, at, at, amount, amount, now_ms))

    def _print(
        self, symbol: str, side: Side, quantity: Decimal, price: Decimal, now_ms: int
    ) -> None:
        """Forced orders are seen on the tape, and they push the price."""
        sells = side is Side.SELL
        held = self.crowds[symbol].open_interest or float(quantity)
        share = min(1.0, float(quantity) / held) * FORCED_IMPACT
        self.prices[symbol].push(-share if sells else share)
        self.on_tick(Tick(symbol, float(price), float(quantity), now_ms, sells))

    def _tell_forced(self, forced: ForcedOrder) -> None:
        for listener in self._forced_listeners:
            listener(forced)
