"""Exits: a protective stop on the exchange for every position, take profits, and closing.

The stop is a STOP_LOSS by default: once triggered it sells at market and always gets out, where a
STOP_LOSS_LIMIT can be jumped over in the very crash it is meant for. A spot balance can back one
sell order only, so everything that sells first cancels the stop, confirms that, sells, and puts
the stop back for whatever is left. One lock a symbol keeps these steps together; at no moment do
open sell orders exceed the position.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable
from decimal import Decimal

from trading.clock import Clock
from trading.errors import DecisionRejectedError, ExchangeError, StoreError, TradingHaltedError
from trading.execution.books import Books, Effects
from trading.execution.config import ExecutionConfig
from trading.execution.desk import OrderDesk
from trading.execution.exit_orders import ExitOrders
from trading.execution.exit_rules import ExitRules
from trading.execution.journal import Journal
from trading.execution.positions import HeldPosition
from trading.model.order import ZERO, OrderPurpose, OrderStatus, OrderType
from trading.risk.sizing import percent
from trading.storage.order_repository import OrderRecord

logger = logging.getLogger(__name__)

MAX_STOP_REFUSALS = 3  # then the position is sold: an entry without a stop is not kept
NextSlice = Callable[[Decimal, int], Awaitable[Decimal]]
_SENDING_ERRORS = (TradingHaltedError, DecisionRejectedError, StoreError)


class Protector:
    """All sells of one account. On the order loop."""

    def __init__(
        self,
        *,
        desk: OrderDesk,
        books: Books,
        journal: Journal,
        orders: ExitOrders,
        rules: ExitRules,
        config: ExecutionConfig,
        max_slippage_pct: float,
        wait_clock: Clock,
        data_fresh: Callable[[], bool],
    ) -> None:
        self._desk = desk
        self._books = books
        self._journal = journal
        self._orders = orders
        self._rules = rules
        self._config = config
        self._slippage = percent(max_slippage_pct)
        self._wait_clock = wait_clock
        self._data_fresh = data_fresh
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._retry_at_ms: dict[str, int] = {}
        self._profit_again_ms: dict[str, int] = {}
        self._refusals: defaultdict[str, int] = defaultdict(int)  # by entry
        self.stops_placed = 0

    async def ensure(self, symbol: str) -> OrderRecord | None:
        """Make the stop on the exchange fit the position; returns the live stop.

        Idempotent, and safe to call at any time. After a failure it does nothing until the pause
        is over; ``needs_care`` then says so.
        """
        async with self._locks[symbol]:
            return await self._ensure(symbol)

    async def close(self, symbol: str, reason: str) -> OrderRecord | None:
        """Sell the whole position at market; None when there is nothing to sell.

        Raises:
            ExchangeError: the stop or the entry could not be cancelled, so nothing was sold.
            TradingHaltedError: the gate refuses; the stop stays in place.
        """
        async with self._locks[symbol]:
            if self._books.positions.get(symbol) is None:
                return None
            await self._give_up_stop(symbol, reason)
            try:
                return await self._sell(symbol, OrderPurpose.EXIT, reason)
            finally:
                await self._ensure(symbol)

    async def close_in_slices(self, symbol: str, reason: str, next_slice: NextSlice) -> None:
        """Sell the whole position at market, in orders of what ``next_slice`` says.

        It is told what is left and how many orders there were. Zero means not now. What is left
        after an error has its stop again. Raises as ``close`` does, and what ``next_slice`` raises.
        """
        async with self._locks[symbol]:
            if self._books.positions.get(symbol) is None:
                return
            await self._give_up_stop(symbol, reason)
            try:
                number = 0
                while (left := self._sellable(symbol)) > 0:
                    at_most = await next_slice(left, number)
                    sold = await self._sell(symbol, OrderPurpose.EXIT, reason, at_most=at_most)
                    if sold is None or sold.status is not OrderStatus.FILLED:
                        return
                    number += 1
            finally:
                await self._ensure(symbol)

    async def take_profit(self, symbol: str) -> None:
        """Sell what the reached profit levels call for, or leave everything as it was."""
        async with self._locks[symbol]:
            held = self._books.positions.get(symbol)
            quantity = self._profit_quantity(held) if held is not None else ZERO
            if quantity <= 0:
                return
            self._profit_again_ms[symbol] = self._pause_end()
            try:
                self._desk.check_reduction(OrderPurpose.TAKE_PROFIT, symbol)
                if not await self._clear_exits(symbol, "take profit"):
                    return
                await self._sell(symbol, OrderPurpose.TAKE_PROFIT, "take_profit", at_most=quantity)
            except _SENDING_ERRORS as error:
                logger.warning("take profit of %s refused: %s", symbol, error)
            except ExchangeError as error:
                logger.warning("take profit of %s: its stop is not cancelled: %s", symbol, error)
            finally:
                await self._ensure(symbol)

    def is_profit_reached(self, held: HeldPosition) -> bool:
        return self._profit_quantity(held) > 0

    def _profit_quantity(self, held: HeldPosition) -> Decimal:
        price = self._books.account.price_of(held.symbol)
        if (
            not self._config.take_profit_enabled
            or price is None
            or not self._data_fresh()
            or self._wait_clock.now_ms() < self._profit_again_ms.get(held.symbol, 0)
        ):
            return ZERO
        return self._rules.profit_quantity(held, price)

    def tighten(self, symbol: str, distance_pct: float) -> bool:
        """Move the stop's price up to ``distance_pct`` below the last price; never down.

        ``ensure`` then moves the order. Returns whether the price changed.
        """
        held = self._books.positions.get(symbol)
        price = self._books.account.price_of(symbol)
        if held is None or price is None:
            return False
        return self.raise_stop(held, price * (1 - percent(distance_pct)))

    def raise_stop(self, held: HeldPosition, price: Decimal) -> bool:
        """Move the stop's price up to ``price``, never down; ``ensure`` then moves the order.

        Returns whether it changed.
        """
        stop = self._orders.round_price(held.symbol, price)
        if held.stop_price is not None and stop <= held.stop_price:
            return False
        held.stop_price = stop
        self._save(held)
        return True

    def needs_care(self, held: HeldPosition) -> bool:
        """Whether ``ensure`` has something to do and its pause after a failure is over."""
        if self.is_pausing(held.symbol):
            return False
        try:
            self._desk.check_reduction(OrderPurpose.PROTECTIVE_STOP, held.symbol)
        except TradingHaltedError:
            return False
        stops = self._stops(held.symbol)
        if len(stops) != 1:
            return bool(stops) or self._books.positions.sellable(held) > 0
        return not stops[0].is_unresolved and not self._fits(stops[0], held)

    def is_in_place(self, held: HeldPosition) -> bool:
        """Whether one confirmed stop covers what of ``held`` can be sold, at its price."""
        stops = self._stops(held.symbol)
        if not stops:
            return self._books.positions.sellable(held) <= 0
        return len(stops) == 1 and not stops[0].is_unresolved and self._fits(stops[0], held)

    async def check_stop(self, symbol: str) -> None:
        """The price is below the stop and it still rests: ask the venue what became of it."""
        if self.is_pausing(symbol):
            return
        self._retry_later(symbol)
        for stop in self._stops(symbol):
            if not stop.is_unresolved:
                await self._desk.refresh(stop.id)

    def is_overrun(self, held: HeldPosition) -> bool:
        """Whether the price is below a stop that has not sold."""
        price = self._books.account.price_of(held.symbol)
        return price is not None and held.stop_price is not None and price < held.stop_price

    async def _ensure(self, symbol: str) -> OrderRecord | None:
        try:
            return await self._fit_stop(symbol)
        except (ExchangeError, *_SENDING_ERRORS) as error:
            logger.warning("the stop of %s could not be set: %s", symbol, error)
            self._retry_later(symbol)
            return None

    async def _fit_stop(self, symbol: str) -> OrderRecord | None:
        held = self._books.positions.get(symbol)
        stops = self._stops(symbol)
        if held is None:
            await self._clear_exits(symbol, "position closed")
            return None
        if held.sold > 0 and self._desk.is_live(held.entry_id):
            await self._desk.cancel(held.entry_id, "its position is being sold")
        if any(record.is_unresolved for record in self._exits(symbol)):
            return None  # once it is resolved, the change brings us here again
        if len(stops) == 1 and self._fits(stops[0], held):
            return stops[0]
        if self.is_pausing(symbol):
            return None
        if not await self._clear_exits(symbol, "replaced by a fitting stop"):
            self._retry_later(symbol)
            return None
        current = self._books.positions.get(symbol)
        if current is None or self._books.positions.sellable(current) <= 0:
            return None
        return await self._place_stop(current)

    async def _place_stop(self, held: HeldPosition) -> OrderRecord | None:
        symbol = held.symbol
        if self._is_too_late(held):
            self._retry_later(symbol)
            await self._sell(symbol, OrderPurpose.EXIT, "stop_loss")
            return None
        quantity = self._books.positions.sellable(held)
        refusals = self._refusals[held.entry_id]
        # A pair that does not take one kind of stop may take the other.
        kind = OrderType(self._config.protective_stop_type)
        if refusals % 2:
            other = {OrderType.STOP_LOSS: OrderType.STOP_LOSS_LIMIT}
            kind = other.get(kind, OrderType.STOP_LOSS)
        record = self._orders.stop(held, quantity, kind)
        self._retry_later(symbol)  # before the send: its refusal calls for the stop at once
        self._journal.open_reduction(record)
        held.stop_order_id = record.id
        self._save(held)
        sent = await self._desk.send(record)
        if sent.status is OrderStatus.REJECTED:
            if sent.sent_at_ms is not None:
                self._refusals[held.entry_id] = refusals + 1
            logger.warning("the stop of %s was refused: %s", symbol, sent.reason)
            return None
        self.stops_placed += 1
        self._refusals.pop(held.entry_id, None)
        self._retry_at_ms.pop(symbol, None)
        return sent

    def _is_too_late(self, held: HeldPosition) -> bool:
        if self._refusals[held.entry_id] >= MAX_STOP_REFUSALS:
            return True
        price = self._books.account.price_of(held.symbol)
        return price is not None and held.stop_price is not None and price <= held.stop_price

    async def _give_up_stop(self, symbol: str, reason: str) -> None:
        """Make room for a sale of all: no exit and no entry of ``symbol`` is open after it."""
        held = self._books.positions.get(symbol)
        assert held is not None
        self._desk.check_reduction(OrderPurpose.EXIT, symbol)  # before the stop is given up for it
        if self._desk.is_live(held.entry_id):
            await self._desk.cancel(held.entry_id, reason)
        if not await self._clear_exits(symbol, reason):
            raise ExchangeError(f"the exits of {symbol} could not be cancelled yet")

    def _sellable(self, symbol: str) -> Decimal:
        held = self._books.positions.get(symbol)
        return self._books.positions.sellable(held) if held is not None else ZERO

    async def _sell(
        self, symbol: str, purpose: OrderPurpose, reason: str, at_most: Decimal | None = None
    ) -> OrderRecord | None:
        """Send one sell of what can be sold. The caller holds the lock; no exit is open.

        One of ``at_most`` is for all, where less or what it leaves could not be sold by itself.
        """
        held = self._books.positions.get(symbol)
        if held is None:
            return None
        quantity = self._books.positions.sellable(held)
        if at_most is not None:
            quantity = self._books.positions.part(held, at_most)
        if quantity <= 0:
            return None
        price = self._books.account.price_of(symbol)
        if purpose is OrderPurpose.TAKE_PROFIT and price is not None:
            record = self._orders.limit_sell(held, quantity, price * (1 - self._slippage), reason)
        else:
            record = self._orders.market_sell(held, quantity, reason)
        self._journal.open_reduction(record)
        return await self._desk.send(record)

    async def _clear_exits(self, symbol: str, reason: str) -> bool:
        """Cancel every open sell of ``symbol``; False while one is not confirmed gone."""
        gone = True
        for record in self._exits(symbol):
            result = await self._desk.cancel(record.id, reason)
            gone = gone and result.status.is_final
        return gone

    def _fits(self, stop: OrderRecord, held: HeldPosition) -> bool:
        return (
            stop.entry_id == held.entry_id
            and stop.remaining_quantity == self._books.positions.sellable(held)
            and stop.request.trigger_price == held.stop_price
        )

    def _exits(self, symbol: str) -> list[OrderRecord]:
        return [r for r in self._desk.live() if r.symbol == symbol and not r.purpose.increases_risk]

    def _stops(self, symbol: str) -> list[OrderRecord]:
        return [r for r in self._exits(symbol) if r.purpose is OrderPurpose.PROTECTIVE_STOP]

    def is_pausing(self, symbol: str) -> bool:
        """Whether an order failed, or the venue asked for time, so recently that none is due."""
        retry_at_ms = max(self._retry_at_ms.get(symbol, 0), self._desk.refused_until_ms)
        return self._wait_clock.now_ms() < retry_at_ms

    def _retry_later(self, symbol: str) -> None:
        self._retry_at_ms[symbol] = self._pause_end()

    def _pause_end(self) -> int:
        return self._wait_clock.now_ms() + self._config.stop_retry_ms

    def _save(self, held: HeldPosition) -> None:
        self._desk.apply(Effects(writes=[self._books.save_position(held)]), "a position's exits")
