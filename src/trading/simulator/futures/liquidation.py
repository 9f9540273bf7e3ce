"""Forced liquidation of positions whose margin has run out, and the calls that come before it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_DOWN, Decimal
from typing import Protocol

from trading.model.order import ZERO, Side
from trading.simulator.futures.accounts import (
    MONEY_STEP,
    FuturesAccount,
    FuturesLedger,
    FuturesPosition,
)
from trading.simulator.futures.contracts import Contract
from trading.simulator.futures.margin import MarginDesk
from trading.simulator.futures.orders import FuturesOrder
from trading.simulator.futures_config import FuturesConfig


class Forcing(Protocol):
    """What the liquidator needs of the exchange."""

    def clear_orders(self, account: FuturesAccount, symbol: str | None, now_ms: int) -> None:
        """Cancel the account's open orders, on one contract or on all."""

    def force(
        self, account: FuturesAccount, position: FuturesPosition, price: Decimal, now_ms: int
    ) -> FuturesOrder:
        """Close the whole position at ``price`` or better."""

    def call_margin(
        self, account: FuturesAccount, positions: list[FuturesPosition], now_ms: int
    ) -> None:
        """Tell the account that its margin is nearly used up."""

    def insured(self, account: FuturesAccount, asset: str, change: Decimal, now_ms: int) -> None:
        """The insurance fund paid (positive) or was paid."""


class Liquidator:
    """Looks at every account that holds a contract whose mark price has moved."""

    def __init__(
        self,
        contracts: Mapping[str, Contract],
        config: FuturesConfig,
        ledger: FuturesLedger,
        margin: MarginDesk,
        forcing: Forcing,
    ) -> None:
        self._contracts = contracts
        self._config = config
        self._ledger = ledger
        self._margin = margin
        self._forcing = forcing

    def check(self, symbol: str, now_ms: int) -> None:
        for account in self._ledger.accounts.values():
            held = list(account.open_positions(symbol))
            if not held:
                continue
            if self._margin.settings(account, symbol).is_isolated:
                for position in held:
                    self._check_isolated(account, position, now_ms)
            else:
                self._check_cross(account, symbol, now_ms)

    def _check_isolated(
        self, account: FuturesAccount, position: FuturesPosition, now_ms: int
    ) -> None:
        figures = self._margin.figures(account, position)
        balance = position.isolated_wallet + figures.unrealized_pnl
        name = f"{position.symbol} {position.side}"
        if balance > figures.maintenance_margin:
            self._warn(account, name, [position], figures.maintenance_margin, balance, now_ms)
            return
        symbol = position.symbol
        self._forcing.clear_orders(account, symbol, now_ms)
        asset, margin = self._contracts[symbol].margin_asset, position.isolated_wallet
        wallet = account.wallets[asset]
        price = self._bankruptcy_price(position, margin)
        order = self._forcing.force(account, position, price, now_ms)
        left = margin + account.wallets[asset] - wallet
        self._clear(account, asset, order, left, now_ms)

    def _check_cross(self, account: FuturesAccount, symbol: str, now_ms: int) -> None:
        assets = self._assets(account, symbol)
        cleared = False
        while positions := self._cross_positions(account, assets):
            figures = [self._margin.in_asset(account, asset) for asset in assets]
            balance = sum((each.cross_balance for each in figures), ZERO)
            needed = sum((each.cross_maintenance_margin for each in figures), ZERO)
            if balance > needed:
                if not cleared:
                    self._warn(account, "cross", positions, needed, balance, now_ms)
                return
            if not cleared:
                self._forcing.clear_orders(account, None, now_ms)
                cleared = True
                continue
            largest = max(
                positions,
                key=lambda each: self._margin.figures(account, each).maintenance_margin,
            )
            own = self._margin.figures(account, largest).unrealized_pnl
            price = self._bankruptcy_price(largest, balance - own)
            order = self._forcing.force(account, largest, price, now_ms)
            asset = self._contracts[largest.symbol].margin_asset
            left = account.wallets[asset] if len(positions) == 1 else ZERO
            self._clear(account, asset, order, left, now_ms)

    def _assets(self, account: FuturesAccount, symbol: str) -> list[str]:
        if account.multi_assets:
            return sorted({contract.margin_asset for contract in self._contracts.values()})
        return [self._contracts[symbol].margin_asset]

    def _cross_positions(self, account: FuturesAccount, assets: list[str]) -> list[FuturesPosition]:
        return [
            position
            for position in account.open_positions()
            if self._contracts[position.symbol].margin_asset in assets
            and not self._margin.settings(account, position.symbol).is_isolated
        ]

    def _bankruptcy_price(self, position: FuturesPosition, margin: Decimal) -> Decimal:
        """Where closing leaves nothing of ``margin``, rounded against the account."""
        instrument = self._contracts[position.symbol].instrument
        price = (position.cost - margin) / position.amount
        price = instrument.round_price(max(price, ZERO), up=position.amount > 0)
        return max(price, instrument.tick_size)

    def _clear(
        self, account: FuturesAccount, asset: str, order: FuturesOrder, left: Decimal, now_ms: int
    ) -> None:
        """Take the liquidation fee out of what is left, or pay what is lacking."""
        fee = (order.filled_notional * self._config.liquidation_fee_rate).quantize(
            MONEY_STEP, ROUND_DOWN
        )
        change = -min(fee, left) if left > 0 else -left
        if not change:
            return
        self._ledger.insurance[asset] -= change
        self._ledger.pay(account, "INSURANCE_CLEAR", change, asset, now_ms, symbol=order.symbol)
        self._forcing.insured(account, asset, change, now_ms)

    def _warn(
        self,
        account: FuturesAccount,
        name: str,
        positions: list[FuturesPosition],
        needed: Decimal,
        balance: Decimal,
        now_ms: int,
    ) -> None:
        """One call each time that the margin comes near its end."""
        if needed < balance * self._config.margin_call_share:
            account.called.discard(name)
        elif name not in account.called:
            account.called.add(name)
            self._forcing.call_margin(account, positions, now_ms)


def closing_side(position: FuturesPosition) -> Side:
    return Side.SELL if position.amount > 0 else Side.BUY
