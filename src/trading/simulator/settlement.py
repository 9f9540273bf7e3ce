"""Where the money of one symbol's orders goes: locks, payments, fees."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal

from trading.model.market import Instrument
from trading.model.order import ZERO, OrderStatus, Side
from trading.simulator.accounts import Ledger
from trading.simulator.config import SimulatorConfig
from trading.simulator.orders import Execution, SimOrder

FEE_STEP = Decimal("0.00000001")


class Settlement:
    """Moves the money of orders of one symbol between accounts, market and fees."""

    def __init__(self, instrument: Instrument, config: SimulatorConfig, ledger: Ledger) -> None:
        self._instrument = instrument
        self._config = config
        self._ledger = ledger

    def lock(self, order: SimOrder) -> None:
        """Set aside what the order may have to pay. Raises ExchangeRejection without funds."""
        amount = order.quantity * _lock_price(order)
        self._ledger.account(order.account_id).lock(self._paid_asset(order.side), amount)
        order.locked = amount

    def release(self, order: SimOrder) -> None:
        """Give back what is still set aside."""
        account = self._ledger.account(order.account_id)
        account.unlock(self._paid_asset(order.side), order.locked)
        order.locked = ZERO

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
        rate = self._config.maker_fee_rate if is_maker else self._config.taker_fee_rate
        fee = (received * rate).quantize(FEE_STEP, ROUND_DOWN)
        account = self._ledger.account(order.account_id)
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


def _lock_price(order: SimOrder) -> Decimal:
    """What one unit of an order holds back: its limit (or trigger) price for a BUY, 1 for a SELL"""
    if order.side is Side.SELL:
        return Decimal(1)
    return order.limit_price or order.trigger_price or ZERO
