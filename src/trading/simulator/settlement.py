"""Where the money of one symbol's orders goes: locks, payments, fees."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_DOWN, Decimal

from trading.model.market import Instrument
from trading.model.order import ZERO, OrderStatus, Side
from trading.simulator.accounts import INSUFFICIENT_BALANCE, Ledger
from trading.simulator.config import SimulatorConfig
from trading.simulator.match_plan import MARKET_LIKE, Match
from trading.simulator.orders import ExchangeRejection, Execution, SelfTradeMode, SimOrder

FEE_STEP = Decimal("0.00000001")


class Settlement:
    """Moves the money of orders of one symbol between accounts, market and fees."""

    def __init__(self, instrument: Instrument, config: SimulatorConfig, ledger: Ledger) -> None:
        self._instrument = instrument
        self._config = config
        self._ledger = ledger

    def lock(self, order: SimOrder) -> None:
        """Set aside what the order may have to pay. Raises ExchangeRejection without funds."""
        amount = need(order)
        self._ledger.account(order.account_id).lock(self._paid_asset(order.side), amount)
        order.locked = amount

    def lock_pair(self, orders: Sequence[SimOrder]) -> None:
        """Set aside, once, what the dearest of ``orders`` may have to pay; only one will pay."""
        self.lock(max(orders, key=need))

    def take_over(self, order: SimOrder, sibling: SimOrder) -> None:
        """``order`` of a pair pays: it gets the pair's lock, and what it does not need is free."""
        order.locked += sibling.locked
        sibling.locked = ZERO
        self.release(order, order.locked - need(order))

    def set_aside(self, seller: SimOrder, bought: Execution) -> None:
        """Hold for ``seller`` what was bought for it; the fee comes out of what else is there."""
        account = self._ledger.account(seller.account_id)
        base = self._instrument.base_asset
        fee = bought.fee if bought.fee_asset == base else ZERO
        can_pay_fee = account.free(base) >= bought.quantity
        amount = bought.quantity if can_pay_fee else bought.quantity - fee
        account.lock(base, amount)
        seller.locked += amount

    def release(self, order: SimOrder, amount: Decimal | None = None) -> None:
        """Give back ``amount`` of what is set aside, or all that still is."""
        amount = order.locked if amount is None else amount
        account = self._ledger.account(order.account_id)
        account.unlock(self._paid_asset(order.side), amount)
        order.locked -= amount

    def release_excess(self, order: SimOrder) -> None:
        """The order became smaller: give back what it no longer needs."""
        self.release(order, max(ZERO, order.locked - need(order)))

    def check_market_funds(self, order: SimOrder, plan: Sequence[Match]) -> None:
        """Size a market order by quote amount; raises ExchangeRejection if it cannot be paid."""
        if order.quote_quantity is not None:
            decrements = order.self_trade_mode is not SelfTradeMode.EXPIRE_MAKER
            order.quantity = sum(
                (m.quantity for m in plan if decrements or not m.is_with(order)), ZERO
            )
            if order.quantity == 0:
                raise ExchangeRejection(-1013, "Filter failure: LOT_SIZE")
        trades = [match for match in plan if not match.is_with(order)]
        cost = sum((match.price * match.quantity for match in trades), ZERO)
        account = self._ledger.account(order.account_id)
        if order.side is Side.BUY:
            enough = account.free(self._instrument.quote_asset) >= cost
        else:
            enough = account.free(self._instrument.base_asset) >= order.quantity
        if not enough:
            raise ExchangeRejection(*INSUFFICIENT_BALANCE)

    def budget(self, order: SimOrder) -> Decimal | None:
        """Quote asset that a market-like order may spend; None where its quantity decides."""
        if order.quote_quantity is not None:
            return order.quote_quantity
        if order.side is Side.BUY and order.type.has_trigger and order.type in MARKET_LIKE:
            account = self._ledger.account(order.account_id)
            return account.free(self._instrument.quote_asset)
        return None

    def book_market_side(self, side: Side, price: Decimal, quantity: Decimal) -> None:
        """The market as counterparty of an execution on ``side``."""
        sign = 1 if side is Side.BUY else -1
        self._ledger.market[self._instrument.base_asset] -= sign * quantity
        self._ledger.market[self._instrument.quote_asset] += sign * price * quantity

    def settle(
        self,
        order: SimOrder,
        price: Decimal,
        quantity: Decimal,
        trade_id: int,
        now_ms: int,
        *,
        is_maker: bool,
    ) -> Execution:
        """Pay one side of one execution; the fee comes out of the received asset."""
        paid, received = price * quantity, quantity
        if order.side is Side.SELL:
            paid, received = received, paid
        paid_asset = self._paid_asset(order.side)
        received_asset = self._paid_asset(order.side.opposite)
        account = self._ledger.account(order.account_id)
        maker_rate, taker_rate = self._config.fee_rates(account.traded_notional)
        fee = (received * (maker_rate if is_maker else taker_rate)).quantize(FEE_STEP, ROUND_DOWN)
        account.traded_notional += price * quantity
        if order.locked:
            held = quantity * _lock_price(order)
            account.unlock(paid_asset, held)
            order.locked -= held
        account.debit(paid_asset, paid)
        account.credit(received_asset, received - fee)
        self._ledger.fees[received_asset] += fee
        execution = Execution(trade_id, price, quantity, fee, received_asset, is_maker, now_ms)
        order.executions.append(execution)
        order.filled_quantity += quantity
        order.filled_notional += price * quantity
        order.updated_ms = now_ms
        order.status = OrderStatus.PARTIALLY_FILLED if order.remaining else OrderStatus.FILLED
        return execution

    def _paid_asset(self, side: Side) -> str:
        pair = self._instrument
        return pair.quote_asset if side is Side.BUY else pair.base_asset


def need(order: SimOrder) -> Decimal:
    """What an open order may still have to pay."""
    return order.remaining * _lock_price(order)


def _lock_price(order: SimOrder) -> Decimal:
    """What one unit of an order holds back: its limit, trigger or last price for a BUY, or 1."""
    if order.side is Side.SELL:
        return Decimal(1)
    return order.limit_price or order.trigger_price or order.reference_price or ZERO
