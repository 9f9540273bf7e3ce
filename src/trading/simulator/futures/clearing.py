"""What happens to futures accounts without their asking: trades, funding, calls, liquidation."""

from __future__ import annotations

import itertools
from abc import abstractmethod
from collections import defaultdict
from collections.abc import Iterable
from decimal import ROUND_DOWN, Decimal

from trading.clock import Clock
from trading.model.market import Instrument
from trading.model.order import ZERO, OrderType
from trading.simulator.futures.accounts import (
    MONEY_STEP,
    FuturesAccount,
    FuturesLedger,
    FuturesPosition,
)
from trading.simulator.futures.algo_orders import AlgoOrders
from trading.simulator.futures.contracts import list_contracts
from trading.simulator.futures.events import (
    AccountChange,
    AccountEvent,
    ForcedOrder,
    FuturesEvent,
    MarginCallEvent,
    MarginCallPosition,
    PositionState,
    WalletState,
)
from trading.simulator.futures.liquidation import Liquidator, closing_side
from trading.simulator.futures.margin import MarginDesk
from trading.simulator.futures.market import FuturesMarket
from trading.simulator.futures.matching import FuturesEngine
from trading.simulator.futures.orders import FuturesOrder, FuturesTimeInForce, NewFuturesOrder
from trading.simulator.futures.settlement import FuturesSettlement
from trading.simulator.futures_config import FuturesConfig
from trading.simulator.orders import Execution, ExpiryReason
from trading.simulator.registry import OrderRegistry


class FuturesClearing(FuturesMarket):
    """Keeps the accounts: their money, margin and open orders."""

    def __init__(
        self,
        config: FuturesConfig,
        pairs: Iterable[Instrument],
        clock: Clock,
        history_minutes: int = 2880,
    ) -> None:
        contracts = list_contracts(pairs)
        self.ledger = FuturesLedger()
        self.margin = MarginDesk(
            {contract.symbol: contract for contract in contracts}, self.mark, self.open_orders
        )
        self._registry: OrderRegistry[FuturesOrder] = OrderRegistry()
        self._open: defaultdict[str, dict[int, FuturesOrder]] = defaultdict(dict)
        self._forced_ids = itertools.count(1)
        self._modifications = itertools.count(1)
        super().__init__(config, contracts, clock, history_minutes)
        self.algos = AlgoOrders(self, self._last_and_mark, self._emit)
        self._liquidator = Liquidator(self.contracts, config, self.ledger, self.margin, self)

    @abstractmethod
    def submit(
        self, account_id: str, order: NewFuturesOrder, *, test_only: bool = False
    ) -> FuturesOrder:
        """Take in an order, an account's own or one that a trigger bore."""

    def open_orders(self, account_id: str, symbol: str | None = None) -> tuple[FuturesOrder, ...]:
        """Oldest first."""
        found = self._open[account_id].values()
        return tuple(order for order in found if symbol in (None, order.symbol))

    def open_interest(self, symbol: str) -> Decimal:
        """Open contracts of the crowd and of the accounts."""
        longs = (
            position.amount
            for account in self.ledger.accounts.values()
            for position in account.open_positions(symbol)
            if position.amount > 0
        )
        return self._quantity(symbol, self.crowds[symbol].open_interest) + sum(longs, ZERO)

    # What the engines, the liquidator and the triggers ask for -------------------------------

    def on_trade(self, order: FuturesOrder, execution: Execution, now_ms: int) -> None:
        """An execution was announced: so are the account's balance and position."""
        account = self.ledger.account(order.account_id)
        position = account.position(order.symbol, order.position_side)
        self._emit(
            self.account_event(account, AccountChange.ORDER, execution.fee_asset, now_ms, position)
        )
        self._engines[order.symbol].knock_out(order.account_id, order, now_ms)
        if not position.amount:
            self.algos.on_position_closed(order.account_id, order.symbol, now_ms)

    def on_end(self, order: FuturesOrder, now_ms: int) -> None:
        self._open[order.account_id].pop(order.order_id, None)
        self.algos.on_end(order, now_ms)

    def clear_orders(
        self,
        account: FuturesAccount,
        symbol: str | None,
        now_ms: int,
        reason: ExpiryReason | None = ExpiryReason.LIQUIDATION,
    ) -> None:
        """End the account's open orders, on one contract or on all."""
        for order in self.open_orders(account.account_id, symbol):
            if not order.status.is_final:
                self._engines[order.symbol].cancel(order, now_ms, reason)

    def force(
        self, account: FuturesAccount, position: FuturesPosition, price: Decimal, now_ms: int
    ) -> FuturesOrder:
        """Liquidate the whole position at ``price`` or better."""
        number = self._registry.last_order_id + 1
        order = FuturesOrder(
            order_id=number,
            account_id=account.account_id,
            client_order_id=f"autoclose-{now_ms}{next(self._forced_ids):06d}",
            symbol=position.symbol,
            side=closing_side(position),
            type=OrderType.LIMIT,
            quantity=abs(position.amount),
            limit_price=price,
            trigger_price=None,
            time_in_force=FuturesTimeInForce.IOC.in_matching,
            created_ms=now_ms,
            updated_ms=now_ms,
            position_side=position.side,
            wire_time_in_force=FuturesTimeInForce.IOC,
            original_type=OrderType.LIMIT.value,
            is_liquidation=True,
        )
        self._registry.add(order)
        self._registry.last_order_id = number
        self._open[account.account_id][number] = order
        self._engines[position.symbol].liquidate(order, price, now_ms)
        last = order.executions[-1]
        self._print(position.symbol, order.side, order.quantity, last.price, now_ms)
        self._tell_forced(
            ForcedOrder(
                order.symbol,
                order.side,
                order.quantity,
                price,
                order.average_price,
                last.quantity,
                order.filled_quantity,
                now_ms,
            )
        )
        return order

    def insured(self, account: FuturesAccount, asset: str, change: Decimal, now_ms: int) -> None:
        """The insurance fund took its fee, or paid what was lacking."""
        self._emit(
            self.account_event(account, AccountChange.INSURANCE_CLEAR, asset, now_ms, change=change)
        )

    def call_margin(
        self, account: FuturesAccount, positions: list[FuturesPosition], now_ms: int
    ) -> None:
        first = positions[0].symbol
        asset = self.contracts[first].margin_asset
        isolated = self.margin.settings(account, first).is_isolated
        cross_wallet = None if isolated else self.margin.in_asset(account, asset).cross_wallet
        rows = tuple(
            MarginCallPosition(
                self.position_state(account, position),
                self.mark(position.symbol),
                self.margin.figures(account, position).maintenance_margin,
            )
            for position in positions
        )
        self._emit(MarginCallEvent(account.account_id, now_ms, cross_wallet, rows))

    def position_state(self, account: FuturesAccount, position: FuturesPosition) -> PositionState:
        """The position as user data show it."""
        return PositionState(
            position.symbol,
            position.side,
            position.amount,
            position.entry_price,
            position.break_even_price,
            position.realized_pnl,
            position.unrealized_pnl(self.mark(position.symbol)),
            self.margin.settings(account, position.symbol).is_isolated,
            position.isolated_wallet,
        )

    # Inside --------------------------------------------------------------------------------

    def _make_engine(self, instrument: Instrument) -> FuturesEngine:
        symbol = instrument.symbol
        contract = self.contracts[symbol]
        return FuturesEngine(
            contract,
            self.config.book,
            FuturesSettlement(contract, self.config, self.ledger),
            self.ledger,
            self.margin,
            self,
            self._emit,
            lambda: self._next_trade_id(symbol),
        )

    def _after_move(self, symbol: str, now_ms: int) -> None:
        if self.prices[symbol].is_funding_due:
            self._settle_funding(symbol, now_ms)
        self.algos.on_price(symbol, now_ms)
        self._liquidator.check(symbol, now_ms)

    def _settle_funding(self, symbol: str, now_ms: int) -> None:
        """Longs pay shorts where the rate is positive; the crowd has the other side."""
        settlement = self.prices[symbol].settle()
        asset = self.contracts[symbol].margin_asset
        for account in self.ledger.accounts.values():
            for position in list(account.open_positions(symbol)):
                notional = position.notional(settlement.mark_price)
                paid = (notional * settlement.rate).quantize(MONEY_STEP, ROUND_DOWN)
                if not paid:
                    continue
                position.paid += paid
                isolated = self.margin.settings(account, symbol).is_isolated
                if isolated:
                    position.isolated_wallet -= paid
                self.ledger.funding[asset] += paid
                self.ledger.pay(account, "FUNDING_FEE", -paid, asset, now_ms, symbol=symbol)
                self._emit(
                    self.account_event(
                        account,
                        AccountChange.FUNDING_FEE,
                        asset,
                        now_ms,
                        position if isolated else None,
                        change=-paid,
                        symbol=symbol,
                    )
                )

    def announce(self, event: FuturesEvent) -> None:
        """Tell the users' listeners."""
        self._emit(event)

    def account_event(
        self,
        account: FuturesAccount,
        reason: AccountChange,
        asset: str,
        now_ms: int,
        position: FuturesPosition | None = None,
        *,
        change: Decimal = ZERO,
        symbol: str | None = None,
    ) -> AccountEvent:
        cross = self.margin.in_asset(account, asset).cross_wallet
        wallet = WalletState(asset, account.wallets[asset], cross, change)
        positions = () if position is None else (self.position_state(account, position),)
        return AccountEvent(account.account_id, reason, now_ms, (wallet,), positions, symbol)

    def _last_and_mark(self, symbol: str) -> tuple[Decimal, Decimal]:
        return self._price(symbol, self.tape(symbol).last_price or 0.0), self.mark(symbol)
