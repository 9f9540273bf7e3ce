"""Where the money of one contract's trades goes: profit, fees, isolated margin."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal
from functools import partial

from trading.model.order import ZERO, OrderStatus, Side
from trading.simulator.futures.accounts import (
    MONEY_STEP,
    FuturesAccount,
    FuturesLedger,
    FuturesPosition,
)
from trading.simulator.futures.contracts import Contract
from trading.simulator.futures.orders import FuturesExecution, as_futures
from trading.simulator.futures_config import FuturesConfig
from trading.simulator.orders import SimOrder


class FuturesSettlement:
    """Moves money between accounts, market and fees."""

    def __init__(self, contract: Contract, config: FuturesConfig, ledger: FuturesLedger) -> None:
        self._contract = contract
        self._config = config
        self._ledger = ledger

    def release(self, _order: SimOrder) -> None:
        """Nothing is set aside: what open orders need is computed from them."""

    def budget(self, _order: SimOrder) -> None:
        """Orders have a quantity."""
        return

    def book_market_side(self, side: Side, price: Decimal, quantity: Decimal) -> None:
        """The market as counterparty of an execution on ``side``."""
        sign = 1 if side is Side.BUY else -1
        self._ledger.market_quantity[self._contract.symbol] -= sign * quantity
        self._ledger.market[self._contract.margin_asset] += sign * price * quantity

    def settle(
        self,
        order: SimOrder,
        price: Decimal,
        quantity: Decimal,
        trade_id: int,
        now_ms: int,
        *,
        is_maker: bool,
    ) -> FuturesExecution:
        """Trade against the position, realise profit, pay the fee."""
        wanted = as_futures(order)
        account = self._ledger.account(order.account_id)
        position = account.position(order.symbol, wanted.position_side)
        asset, symbol = self._contract.margin_asset, order.symbol
        before, isolated = position.amount, position.isolated_wallet
        signed = quantity if order.side is Side.BUY else -quantity
        pnl = position.trade(signed, price)
        rate = self._config.maker_fee_rate if is_maker else self._config.taker_fee_rate
        fee = (price * quantity * rate).quantize(MONEY_STEP, ROUND_DOWN)
        pay = partial(self._ledger.pay, account, symbol=symbol, trade_id=trade_id)
        if pnl:
            pay("REALIZED_PNL", pnl, asset, now_ms)
        pay("COMMISSION", -fee, asset, now_ms)
        self._ledger.fees[asset] += fee
        position.updated_ms = now_ms
        if position.amount:
            position.paid += fee
        self._keep_isolated(account, position, before, isolated, price)
        execution = FuturesExecution(
            trade_id, price, quantity, fee, asset, is_maker, now_ms, realized_pnl=pnl
        )
        order.executions.append(execution)
        order.filled_quantity += quantity
        order.filled_notional += price * quantity
        order.updated_ms = now_ms
        order.status = OrderStatus.PARTIALLY_FILLED if order.remaining else OrderStatus.FILLED
        return execution

    def _keep_isolated(
        self,
        account: FuturesAccount,
        position: FuturesPosition,
        before: Decimal,
        isolated: Decimal,
        price: Decimal,
    ) -> None:
        """Isolated margin comes with what was opened, and goes with what was closed."""
        settings = account.settings(position.symbol, self._contract.max_leverage)
        if not settings.is_isolated:
            return
        after = position.amount
        kept, opened = before, after - before
        if before * after <= 0:  # closed, or turned
            kept, opened = ZERO, after
        elif abs(after) < abs(before):
            kept, opened = after, ZERO
        left = isolated * kept / before if before else ZERO
        margin = left + abs(opened) * price / settings.leverage
        position.isolated_wallet = margin.quantize(MONEY_STEP, ROUND_DOWN)
