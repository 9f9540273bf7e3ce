"""The matching engine of one symbol: deterministic, in Decimal, in market time.

Accounts' orders meet two kinds of counterparty: the synthetic book around the last traded price
(orders that take liquidity walk it, and slip) and the tape (a resting order fills when a trade
prints through its price, or at its price once the queue ahead of it has traded). Between accounts,
price-time priority holds and the taker gets the maker's price. Whatever an account takes is not
printed on the tape: a recorded market stays as it was recorded.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal

from trading.model.market import Instrument
from trading.model.order import ZERO, OrderStatus, OrderType, Side, TimeInForce
from trading.simulator.accounts import INSUFFICIENT_BALANCE, Ledger
from trading.simulator.config import SimulatorConfig
from trading.simulator.orders import (
    BalanceEvent,
    ExchangeRejection,
    Execution,
    ExecutionKind,
    ExpiryReason,
    OrderEvent,
    SimOrder,
    UserEvent,
)
from trading.simulator.settlement import Settlement
from trading.simulator.synthetic_book import Level, SyntheticBook

MARKET_LIKE = (OrderType.MARKET, OrderType.STOP_LOSS, OrderType.TAKE_PROFIT)


@dataclass(slots=True)
class Match:
    """One planned execution against a synthetic level or a resting order of an account."""

    price: Decimal
    quantity: Decimal
    level: Level | None = None
    maker: SimOrder | None = None


class MatchingEngine:
    """Orders of all accounts on one symbol."""

    def __init__(
        self,
        instrument: Instrument,
        config: SimulatorConfig,
        ledger: Ledger,
        emit: Callable[[UserEvent], None],
        next_trade_id: Callable[[], int],
    ) -> None:
        self.instrument = instrument
        self.book = SyntheticBook(instrument, config.book)
        self._ledger = ledger
        self._money = Settlement(instrument, config, ledger)
        self._emit = emit
        self._next_trade_id = next_trade_id
        self._resting: dict[Side, list[SimOrder]] = {side: [] for side in Side}
        self._waiting: list[SimOrder] = []

    def open_orders(self) -> Iterator[SimOrder]:
        """Resting and waiting orders of every account."""
        yield from self._resting[Side.BUY]
        yield from self._resting[Side.SELL]
        yield from self._waiting

    def levels(self, side: Side, limit: int) -> list[tuple[Decimal, Decimal]]:
        """Price and quantity, best first: the synthetic book and accounts' orders together."""
        merged: dict[Decimal, Decimal] = {}
        for level in self.book.side(side):
            if level.quantity > 0:
                merged[level.price] = level.quantity
        for order in self._resting[side]:
            price = _limit(order)
            merged[price] = merged.get(price, ZERO) + order.remaining
        return sorted(merged.items(), reverse=side is Side.BUY)[:limit]

    def submit(self, order: SimOrder, now_ms: int) -> None:
        """Accept ``order`` and match it. Raises ExchangeRejection, and then nothing has changed."""
        last = self.book.last_price
        if last is None or not self.instrument.trading:
            raise ExchangeRejection(-2010, "Market is closed.")
        if order.type.has_trigger:
            if _is_triggered(order, last):
                raise ExchangeRejection(-2010, "Order would trigger immediately.")
            self._money.lock(order)
            self._waiting.append(order)
            self._announce(order, ExecutionKind.NEW, now_ms)
            return
        if order.type is OrderType.LIMIT_MAKER and self._plan(order):
            raise ExchangeRejection(-2010, "Order would immediately match and take.")
        if order.type is OrderType.MARKET:
            self._check_market_funds(order)
        else:
            self._money.lock(order)
        order.working_ms = now_ms
        self._announce(order, ExecutionKind.NEW, now_ms)
        self._match(order, now_ms)

    def cancel(self, order: SimOrder, now_ms: int, cancel_client_order_id: str | None) -> None:
        """Cancel an open order and give back what it held."""
        self._finish(
            order,
            OrderStatus.CANCELED,
            ExecutionKind.CANCELED,
            now_ms,
            cancel_client_order_id=cancel_client_order_id,
        )

    def on_tape(self, price: Decimal, quantity: Decimal, now_ms: int) -> None:
        """A trade printed: move the book, fill what rests in its way, pull the triggers."""
        self.book.move_to(price)
        if self._resting[Side.BUY]:
            self._fill_from_tape(Side.BUY, price, quantity, now_ms)
        if self._resting[Side.SELL]:
            self._fill_from_tape(Side.SELL, price, quantity, now_ms)
        if self._waiting:
            for order in [order for order in self._waiting if _is_triggered(order, price)]:
                self._activate(order, now_ms)

    def _fill_from_tape(self, side: Side, price: Decimal, quantity: Decimal, now_ms: int) -> None:
        filled_at_price = ZERO
        for order in list(self._resting[side]):
            limit = _limit(order)
            if limit == price:
                beyond_queue = quantity - order.queue_ahead - filled_at_price
                order.queue_ahead = max(ZERO, order.queue_ahead - quantity)
                fill = min(order.remaining, beyond_queue)
                if fill <= 0:
                    continue
                filled_at_price += fill
            elif (limit > price) is (side is Side.BUY):
                fill = order.remaining
            else:
                break
            self._trade_with_market(order, limit, fill, now_ms, is_maker=True)

    def _activate(self, order: SimOrder, now_ms: int) -> None:
        self._waiting.remove(order)
        order.working_ms = order.updated_ms = now_ms
        self._announce(order, ExecutionKind.NEW, now_ms)
        if order.type in MARKET_LIKE:
            self._money.release(order)
        self._match(order, now_ms)

    def _match(self, order: SimOrder, now_ms: int) -> None:
        plan = self._plan(order)
        if order.time_in_force is TimeInForce.FOK and order.limit_price is not None:
            foreign = (
                match for match in plan if match.maker is None or not _same(match.maker, order)
            )
            if sum((match.quantity for match in foreign), ZERO) < order.remaining:
                self._expire(order, ExpiryReason.FOK_UNFILLED, now_ms)
                return
        for match in plan:
            self._execute(order, match, now_ms)
        if order.status.is_final:
            return
        if order.type in MARKET_LIKE:
            self._expire(order, ExpiryReason.NO_LIQUIDITY, now_ms)
        elif order.time_in_force is TimeInForce.IOC:
            self._expire(order, ExpiryReason.IOC_REMAINDER, now_ms)
        else:
            self._rest(order)

    def _rest(self, order: SimOrder) -> None:
        price = _limit(order)
        resting = self._resting[order.side]
        ahead = [other.queue_ahead for other in resting if other.limit_price == price]
        order.queue_ahead = max([self.book.queue_at(order.side, price), *ahead])
        sign = -1 if order.side is Side.BUY else 1
        insort(resting, order, key=lambda other: sign * _limit(other))

    def _plan(self, order: SimOrder) -> list[Match]:
        """Executions that ``order`` would get now, best price first, nothing changed yet."""
        opposite = order.side.opposite
        offers = [Match(lvl.price, lvl.quantity, level=lvl) for lvl in self.book.side(opposite)]
        offers += [Match(_limit(m), m.remaining, maker=m) for m in self._resting[opposite]]
        sign = 1 if order.side is Side.BUY else -1
        offers.sort(key=lambda offer: sign * offer.price)
        budget = self._budget(order)
        remaining = order.remaining if order.quote_quantity is None else None
        plan: list[Match] = []
        for offer in offers:
            if order.limit_price is not None and (offer.price - order.limit_price) * sign > 0:
                break
            if offer.maker is not None and _same(offer.maker, order):
                plan.append(offer)
                continue
            quantity = offer.quantity if remaining is None else min(offer.quantity, remaining)
            if budget is not None:
                quantity = min(quantity, self._floor(budget / offer.price))
                budget -= quantity * offer.price
            if quantity <= 0:
                continue
            offer.quantity = quantity
            plan.append(offer)
            if remaining is not None:
                remaining -= quantity
                if remaining == 0:
                    break
        return plan

    def _budget(self, order: SimOrder) -> Decimal | None:
        """Quote asset that a market-like order may spend; None where its quantity decides."""
        if order.quote_quantity is not None:
            return order.quote_quantity
        if order.side is Side.BUY and order.type.has_trigger and order.type in MARKET_LIKE:
            account = self._ledger.account(order.account_id)
            return account.free(self.instrument.quote_asset)
        return None

    def _check_market_funds(self, order: SimOrder) -> None:
        plan = [m for m in self._plan(order) if m.maker is None or not _same(m.maker, order)]
        if order.quote_quantity is not None:
            order.quantity = sum((match.quantity for match in plan), ZERO)
            if order.quantity == 0:
                raise ExchangeRejection(-1013, "Filter failure: LOT_SIZE")
        cost = sum((match.price * match.quantity for match in plan), ZERO)
        account = self._ledger.account(order.account_id)
        if order.side is Side.BUY:
            enough = account.free(self.instrument.quote_asset) >= cost
        else:
            enough = account.free(self.instrument.base_asset) >= order.quantity
        if not enough:
            raise ExchangeRejection(*INSUFFICIENT_BALANCE)

    def _execute(self, taker: SimOrder, match: Match, now_ms: int) -> None:
        maker = match.maker
        if maker is None:
            if match.level is not None:
                match.level.quantity -= match.quantity
            self._trade_with_market(taker, match.price, match.quantity, now_ms, is_maker=False)
        elif _same(maker, taker):
            self._finish(
                maker,
                OrderStatus.EXPIRED,
                ExecutionKind.TRADE_PREVENTION,
                now_ms,
                reason=ExpiryReason.SELF_TRADE,
            )
        else:
            trade_id = self._next_trade_id()
            self._fill(maker, match.price, match.quantity, trade_id, now_ms, is_maker=True)
            self._fill(taker, match.price, match.quantity, trade_id, now_ms, is_maker=False)

    def _trade_with_market(
        self, order: SimOrder, price: Decimal, quantity: Decimal, now_ms: int, *, is_maker: bool
    ) -> None:
        self._money.book_market_side(order.side, price, quantity)
        self._fill(order, price, quantity, self._next_trade_id(), now_ms, is_maker=is_maker)

    def _fill(
        self,
        order: SimOrder,
        price: Decimal,
        quantity: Decimal,
        trade_id: int,
        now_ms: int,
        *,
        is_maker: bool,
    ) -> None:
        execution = self._money.settle(order, price, quantity, trade_id, now_ms, is_maker=is_maker)
        if order.status is OrderStatus.FILLED:
            self._remove(order)
        self._announce(order, ExecutionKind.TRADE, now_ms, execution=execution)

    def _expire(self, order: SimOrder, reason: ExpiryReason, now_ms: int) -> None:
        self._finish(order, OrderStatus.EXPIRED, ExecutionKind.EXPIRED, now_ms, reason=reason)

    def _finish(
        self,
        order: SimOrder,
        status: OrderStatus,
        kind: ExecutionKind,
        now_ms: int,
        *,
        reason: ExpiryReason | None = None,
        cancel_client_order_id: str | None = None,
    ) -> None:
        self._money.release(order)
        self._remove(order)
        order.status = status
        order.updated_ms = now_ms
        order.expiry_reason = reason
        self._announce(order, kind, now_ms, cancel_client_order_id=cancel_client_order_id)

    def _remove(self, order: SimOrder) -> None:
        for orders in (self._resting[order.side], self._waiting):
            for index, other in enumerate(orders):
                if other is order:
                    del orders[index]
                    return

    def _announce(
        self,
        order: SimOrder,
        kind: ExecutionKind,
        now_ms: int,
        *,
        execution: Execution | None = None,
        cancel_client_order_id: str | None = None,
    ) -> None:
        seen = copy(order)
        seen.executions = list(order.executions)
        account_id = order.account_id
        self._emit(OrderEvent(account_id, kind, seen, now_ms, execution, cancel_client_order_id))
        account = self._ledger.account(account_id)
        assets = (self.instrument.base_asset, self.instrument.quote_asset)
        balances = tuple(account.balance(asset) for asset in assets)
        self._emit(BalanceEvent(account_id, now_ms, balances))

    def _floor(self, quantity: Decimal) -> Decimal:
        step = self.instrument.step_size
        return (quantity / step).to_integral_value(ROUND_DOWN) * step


def _limit(order: SimOrder) -> Decimal:
    if order.limit_price is None:
        raise ValueError(f"order {order.order_id} of type {order.type} cannot rest")
    return order.limit_price


def _is_triggered(order: SimOrder, price: Decimal) -> bool:
    """Above the market: STOP_LOSS BUY, TAKE_PROFIT SELL; below it: the other two."""
    trigger = order.trigger_price
    if trigger is None:
        return False
    is_stop = order.type in (OrderType.STOP_LOSS, OrderType.STOP_LOSS_LIMIT)
    above = is_stop is (order.side is Side.BUY)
    return price >= trigger if above else price <= trigger


def _same(maker: SimOrder, taker: SimOrder) -> bool:
    """Self-trade: prevented by expiring the maker (the venue's default mode EXPIRE_MAKER)."""
    return maker.account_id == taker.account_id
