"""What the account would be worth had no breaker acted: the measure of capital saved.

At a trip the shadow takes a copy of positions and open entries with their original exits and
follows the prices. Fees are charged at the estimated rate; an exit that a price jumps over sells
at the price after the jump, as a stop-market order would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal

from trading.execution.positions import HeldPosition
from trading.model.order import ZERO
from trading.risk.sizing import percent
from trading.storage.order_repository import OrderRecord

PriceOf = Callable[[str], Decimal | None]


@dataclass(slots=True)
class _Holding:
    symbol: str
    quantity: Decimal
    stop_price: Decimal | None
    take_profit_price: Decimal | None


@dataclass(frozen=True, slots=True)
class _Entry:
    symbol: str
    quantity: Decimal
    limit_price: Decimal
    expires_at_ms: int
    stop_loss_pct: float
    take_profit_pct: float


class ShadowAccount:
    """A paper continuation of the account from the moment of a trip."""

    def __init__(
        self,
        *,
        cash: Decimal,
        positions: Iterable[HeldPosition],
        entries: Iterable[OrderRecord],
        entry_time_to_live_ms: int,
        fee_rate: Decimal,
    ) -> None:
        self._cash = cash
        self._fee_rate = fee_rate
        self._last: dict[str, Decimal] = {}
        self._holdings: list[_Holding] = []
        for held in positions:
            self._last[held.symbol] = held.average_entry_price
            self._holdings.append(
                _Holding(held.symbol, held.quantity, held.stop_price, held.take_profit_price)
            )
        self._entries = [
            _Entry(
                record.symbol,
                record.remaining_quantity,
                record.request.limit_price,
                record.created_at_ms + entry_time_to_live_ms,
                record.stop_loss_pct or 0.0,
                record.take_profit_pct or 0.0,
            )
            for record in entries
            if record.request.limit_price is not None
        ]

    def follow(self, price_of: PriceOf, now_ms: int) -> None:
        """Let entries fill or expire and exits trigger at the prices of now."""
        for entry in tuple(self._entries):
            price = self._seen(entry.symbol, price_of)
            if price is not None and price <= entry.limit_price:
                self._entries.remove(entry)
                self._buy(entry)
            elif now_ms >= entry.expires_at_ms:
                self._entries.remove(entry)
        for holding in tuple(self._holdings):
            price = self._seen(holding.symbol, price_of)
            if price is None:
                continue
            stopped = holding.stop_price is not None and price <= holding.stop_price
            target = holding.take_profit_price
            if stopped or (target is not None and price >= target):
                self._holdings.remove(holding)
                self._cash += holding.quantity * price * (1 - self._fee_rate)

    def equity(self, price_of: PriceOf) -> Decimal:
        """Cash and holdings at the prices of now."""
        values = (h.quantity * (self._seen(h.symbol, price_of) or ZERO) for h in self._holdings)
        return self._cash + sum(values, ZERO)

    def _buy(self, entry: _Entry) -> None:
        self._cash -= entry.quantity * entry.limit_price
        self._holdings.append(
            _Holding(
                entry.symbol,
                entry.quantity * (1 - self._fee_rate),
                entry.limit_price * (1 - percent(entry.stop_loss_pct)),
                entry.limit_price * (1 + percent(entry.take_profit_pct)),
            )
        )

    def _seen(self, symbol: str, price_of: PriceOf) -> Decimal | None:
        """The price now, else the last one seen."""
        price = price_of(symbol)
        if price is not None:
            self._last[symbol] = price
        return self._last.get(symbol)
