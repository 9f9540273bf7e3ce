"""Compares what we believe with what the venue says.

An error, or an account that reads empty while we hold something, is never taken for being flat: it
is a failed comparison, and the positions stay as they are.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from trading.errors import ExchangeError
from trading.exchange.protocols import ExchangeClient
from trading.execution.account import AccountBook
from trading.execution.desk import OrderDesk
from trading.execution.positions import PositionBook
from trading.model.market import Instrument
from trading.model.order import ZERO, AccountSnapshot, Balance, OrderReport

logger = logging.getLogger(__name__)

LIST_RATHER_THAN_ASK = 15  # a query weighs 4, a list of all open orders 80


@dataclass(frozen=True, slots=True)
class Comparison:
    """Result of one comparison. ``differences`` is by base asset: venue less ours."""

    complete: bool  # False: something moved meanwhile or could not be asked; nothing is concluded
    differences: dict[str, Decimal]
    external_orders: tuple[OrderReport, ...] = ()
    problem: str = ""
    balances: Mapping[str, Balance] = field(default_factory=dict)  # of the assets we trade

    @property
    def is_clean(self) -> bool:
        return self.complete and not self.differences


class Reconciler:
    """One comparison after another; the service decides what a difference means."""

    def __init__(
        self,
        *,
        client: ExchangeClient,
        desk: OrderDesk,
        positions: PositionBook,
        account: AccountBook,
        instruments: Mapping[str, Instrument],
    ) -> None:
        self._client = client
        self._desk = desk
        self._positions = positions
        self._account = account
        self._instruments = instruments
        self._based: set[str] = set()

    async def compare(self) -> Comparison:
        """Bring our orders up to date, then compare balances. Never raises ExchangeError."""
        try:
            external, followed = await self._follow_orders()
            changes = self._desk.changes
            snapshot = await self._client.account()
            await self._look_again()
        except ExchangeError as error:
            return Comparison(complete=False, differences={}, problem=str(error))
        if not followed:
            return Comparison(False, {}, external, "the venue contradicts itself about an order")
        if self._desk.changes != changes or self._desk.unknown or self._is_sending():
            return Comparison(False, {}, external, "orders moved during the comparison")
        if not self._is_believable(snapshot):
            return Comparison(False, {}, external, "the venue reports an empty account")
        differences = self._differences(snapshot)
        if not differences:
            # A fill that we have not heard of would pass for a loss of what it cost.
            self._account.take(snapshot)
        return Comparison(True, differences, external, balances=self._ours(snapshot))

    def accept(self) -> None:
        """Take the venue's balances as the truth at the next comparison (an operator's word)."""
        self._based.clear()

    async def _follow_orders(self) -> tuple[tuple[OrderReport, ...], bool]:
        """Fold the venue's open orders into ours, and query those of ours it does not list.

        Returns the orders that are not ours, and whether every one of ours is accounted for.
        """
        listed = await self._client.open_orders()
        external = tuple(report for report in listed if self._desk.absorb(report) is None)
        ids = {report.client_order_id for report in listed}
        followed = True
        for record in self._desk.live():
            if record.id not in ids and not self._desk.is_sending(record.id):
                seen = await self._desk.refresh(record.id)
                followed = followed and seen.status.is_final
        return external, followed

    async def _look_again(self) -> None:
        """Learn of fills that are in the snapshot and were not in the answers before it."""
        live = self._desk.live()
        if len(live) > LIST_RATHER_THAN_ASK:
            await self._follow_orders()
            return
        for record in live:
            if not self._desk.is_sending(record.id):
                await self._desk.refresh(record.id)

    def _is_sending(self) -> bool:
        return any(self._desk.is_sending(record.id) for record in self._desk.live())

    def _is_believable(self, snapshot: AccountSnapshot) -> bool:
        if any(balance.total > 0 for balance in snapshot.balances.values()):
            return True
        return not self._positions.all() and not (self._account.known and self._account.cash > 0)

    def _ours(self, snapshot: AccountSnapshot) -> dict[str, Balance]:
        assets = {instrument.base_asset for instrument in self._instruments.values()}
        assets.update(instrument.quote_asset for instrument in self._instruments.values())
        return {asset: held for asset, held in snapshot.balances.items() if asset in assets}

    def _differences(self, snapshot: AccountSnapshot) -> dict[str, Decimal]:
        differences: dict[str, Decimal] = {}
        for instrument in self._instruments.values():
            base = instrument.base_asset
            held = self._positions.get(instrument.symbol)
            ours = held.quantity if held else ZERO
            balance = snapshot.balances.get(base)
            total = balance.total if balance is not None else ZERO
            tolerance = instrument.step_size
            if held is not None:
                # Assumed fees may be off by the whole fee; give them twice that.
                tolerance += held.uncertain_quantity * Decimal("0.004")
            if base not in self._based:
                self._based.add(base)
                self._account.external[base] = max(total - ours, ZERO)
                self._positions.forget_dust(base)
            expected = ours + self._account.external[base] + self._positions.dust(base)
            if abs(total - expected) > tolerance:
                differences[base] = total - expected
        return differences
