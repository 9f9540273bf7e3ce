"""Balances of the exchange's accounts, the market as their counterparty, and collected fees.

Every movement has two ends, so for each asset the sum over accounts, market and fees never
changes: that sum is what the conservation tests check.
"""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

from trading.model.order import ZERO, Balance
from trading.simulator.orders import ExchangeRejection

INSUFFICIENT_BALANCE = (-2010, "Account has insufficient balance for requested action.")


class Account:
    """Free and locked amounts by asset. Raises ExchangeRejection rather than going below zero."""

    def __init__(self, account_id: str, balances: dict[str, Decimal], opened_ms: int = 0) -> None:
        self.account_id = account_id
        self.updated_ms = opened_ms
        self.traded_notional = ZERO  # in the quote assets, ever
        self._free: defaultdict[str, Decimal] = defaultdict(lambda: ZERO, balances)
        self._locked: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)

    def free(self, asset: str) -> Decimal:
        return self._free.get(asset, ZERO)

    def locked(self, asset: str) -> Decimal:
        return self._locked.get(asset, ZERO)

    def lock(self, asset: str, amount: Decimal) -> None:
        """Move ``amount`` from free to locked."""
        if amount > self._free[asset]:
            raise ExchangeRejection(*INSUFFICIENT_BALANCE)
        self._free[asset] -= amount
        self._locked[asset] += amount

    def unlock(self, asset: str, amount: Decimal) -> None:
        self._locked[asset] -= amount
        self._free[asset] += amount

    def credit(self, asset: str, amount: Decimal) -> None:
        self._free[asset] += amount

    def debit(self, asset: str, amount: Decimal) -> None:
        if amount > self._free[asset]:
            raise ExchangeRejection(*INSUFFICIENT_BALANCE)
        self._free[asset] -= amount

    def balance(self, asset: str) -> Balance:
        return Balance(asset=asset, free=self.free(asset), locked=self.locked(asset))

    def balances(self) -> dict[str, Balance]:
        """Every asset ever held, by name."""
        return {asset: self.balance(asset) for asset in sorted({*self._free, *self._locked})}


class Ledger:
    """All accounts of the exchange, plus what the market and the fee desk hold."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.market: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
        self.fees: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)

    def account(self, account_id: str) -> Account:
        account = self.accounts.get(account_id)
        if account is None:
            raise ExchangeRejection(-2015, "Invalid API-key, IP, or permissions for action.")
        return account

    def total(self, asset: str) -> Decimal:
        """The conserved sum: accounts, market and fees together."""
        held = sum((a.free(asset) + a.locked(asset) for a in self.accounts.values()), ZERO)
        return held + self.market[asset] + self.fees[asset]
