"""Futures wallets and positions, and everybody else's side of the money.

A position keeps its cost (what was paid for it, exactly) instead of a rounded entry price, so every
movement has two ends to the last decimal: for each asset the sum over accounts (wallet less cost of
positions), market, fees, funding and insurance fund never changes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from trading.model.order import ZERO
from trading.simulator.futures.orders import PositionSide
from trading.simulator.orders import ExchangeRejection

MONEY_STEP = Decimal("0.00000001")


@dataclass(slots=True)
class FuturesPosition:
    """``amount`` is negative for a short; ``cost`` has the same sign."""

    symbol: str
    side: PositionSide
    amount: Decimal = ZERO
    cost: Decimal = ZERO
    paid: Decimal = ZERO  # fees and funding since the position was opened
    realized_pnl: Decimal = ZERO
    isolated_wallet: Decimal = ZERO
    updated_ms: int = 0

    @property
    def entry_price(self) -> Decimal:
        return self.cost / self.amount if self.amount else ZERO

    @property
    def break_even_price(self) -> Decimal:
        """Where closing would give back what was paid in fees and funding, too."""
        return (self.cost + self.paid) / self.amount if self.amount else ZERO

    def notional(self, price: Decimal) -> Decimal:
        """Negative for a short."""
        return self.amount * price

    def unrealized_pnl(self, price: Decimal) -> Decimal:
        return self.amount * price - self.cost

    def trade(self, signed_quantity: Decimal, price: Decimal) -> Decimal:
        """Add a trade (a sale is negative); returns the profit that it realised."""
        if self.amount * signed_quantity >= 0:
            self.amount += signed_quantity
            self.cost += signed_quantity * price
            return ZERO
        if abs(signed_quantity) >= abs(self.amount):
            closed, closed_cost = -self.amount, self.cost
        else:
            closed = signed_quantity
            closed_cost = (self.cost * -closed / self.amount).quantize(MONEY_STEP)
        pnl = -closed * price - closed_cost
        opened = signed_quantity - closed
        self.amount += signed_quantity
        self.cost += opened * price - closed_cost
        self.realized_pnl += pnl
        if opened or not self.amount:
            self.paid = ZERO
        return pnl


@dataclass(frozen=True, slots=True)
class Income:
    """A movement of the wallet, as the income history shows it."""

    number: int
    symbol: str
    kind: str
    amount: Decimal
    asset: str
    time_ms: int
    trade_id: int | None = None


@dataclass(frozen=True, slots=True)
class MarginChange:
    """Margin that was added to an isolated position (kind 1) or taken out (kind 2)."""

    symbol: str
    side: PositionSide
    kind: int
    amount: Decimal
    asset: str
    time_ms: int
    by_user: bool


@dataclass(slots=True)
class SymbolSettings:
    leverage: int
    is_isolated: bool = False


@dataclass(slots=True)
class FuturesAccount:
    """One account: wallets by margin asset, positions, and how it wants to be treated."""

    account_id: str
    default_leverage: int
    wallets: defaultdict[str, Decimal]
    is_hedged: bool = False
    multi_assets: bool = False
    positions: dict[tuple[str, PositionSide], FuturesPosition] = field(default_factory=dict)
    incomes: list[Income] = field(default_factory=list)
    margin_changes: list[MarginChange] = field(default_factory=list)
    updated_ms: int = 0
    called: set[str] = field(default_factory=set)  # what a margin call was sent about
    _settings: dict[str, SymbolSettings] = field(default_factory=dict)

    def settings(self, symbol: str, most: int) -> SymbolSettings:
        """Leverage and margin type; ``most`` bounds the default leverage."""
        found = self._settings.get(symbol)
        if found is None:
            found = self._settings[symbol] = SymbolSettings(min(self.default_leverage, most))
        return found

    def position(self, symbol: str, side: PositionSide) -> FuturesPosition:
        found = self.positions.get((symbol, side))
        if found is None:
            found = self.positions[symbol, side] = FuturesPosition(symbol, side)
        return found

    def open_positions(self, symbol: str | None = None) -> Iterator[FuturesPosition]:
        for position in self.positions.values():
            if position.amount and symbol in (None, position.symbol):
                yield position

    def reducible(self, symbol: str, side: PositionSide, *, by_selling: bool) -> Decimal:
        """How much of the position an order on that side could close."""
        found = self.positions.get((symbol, side))
        if found is None or (found.amount > 0) is not by_selling:
            return ZERO
        return abs(found.amount)


class FuturesLedger:
    """All accounts, and what market, fee desk, funding and insurance fund hold."""

    def __init__(self) -> None:
        self.accounts: dict[str, FuturesAccount] = {}
        self.market: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)  # by asset
        self.market_quantity: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)  # by symbol
        self.fees: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
        self.funding: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
        self.insurance: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
        self._incomes = 0

    def account(self, account_id: str) -> FuturesAccount:
        account = self.accounts.get(account_id)
        if account is None:
            raise ExchangeRejection(-2015, "Invalid API-key, IP, or permissions for action.")
        return account

    def pay(
        self,
        account: FuturesAccount,
        kind: str,
        amount: Decimal,
        asset: str,
        now_ms: int,
        *,
        symbol: str = "",
        trade_id: int | None = None,
    ) -> None:
        """Change the wallet and note it. The other end is the caller's to book."""
        account.wallets[asset] += amount
        account.updated_ms = now_ms
        self._incomes += 1
        income = Income(self._incomes, symbol, kind, amount, asset, now_ms, trade_id)
        account.incomes.append(income)

    def total(self, asset: str) -> Decimal:
        """The conserved sum of an asset."""
        held = sum((account.wallets[asset] for account in self.accounts.values()), ZERO)
        costs = sum(
            (
                position.cost
                for account in self.accounts.values()
                for position in account.positions.values()
                if position.symbol.endswith(asset)
            ),
            ZERO,
        )
        others = (self.market, self.fees, self.funding, self.insurance)
        return held - costs + sum((other[asset] for other in others), ZERO)

    def net_quantity(self, symbol: str) -> Decimal:
        """All positions and the market's together: always zero."""
        held = sum(
            (
                position.amount
                for account in self.accounts.values()
                for position in account.positions.values()
                if position.symbol == symbol
            ),
            ZERO,
        )
        return held + self.market_quantity[symbol]
