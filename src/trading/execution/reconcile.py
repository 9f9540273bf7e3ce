"""Compares what we believe with what the venue says.

An error, or an account that reads empty while we hold something, is never taken for being flat: it
is a failed comparison, and the positions stay as they are.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from trading.errors import ExchangeError
from trading.exchange.protocols import ExchangeClient
from trading.execution.account import AccountBook
from trading.execution.desk import OrderDesk
from trading.execution.positions import PositionBook
from trading.model.futures import FundingPayment
from trading.model.market import Instrument
from trading.model.order import ZERO, AccountSnapshot, Balance, OrderReport
from trading.model.reconciliation import AssetComparison

logger = logging.getLogger(__name__)

LIST_RATHER_THAN_ASK = 15  # a query weighs 4, a list of all open orders 80
FEE_TOLERANCE = Decimal("0.004")  # assumed fees may be off by the whole fee; twice that


@dataclass(frozen=True, slots=True)
class Comparison:
    """Result of one comparison. ``differences`` is by asset: venue less ours; ``assets`` are all
    that were compared, ``differing`` those whose difference matters."""

    complete: bool  # False: something moved meanwhile or could not be asked; nothing is concluded
    differences: dict[str, Decimal]
    external_orders: tuple[OrderReport, ...] = ()
    problem: str = ""
    balances: Mapping[str, Balance] = field(default_factory=dict)  # of the assets we trade
    assets: tuple[AssetComparison, ...] = ()
    differing: tuple[AssetComparison, ...] = ()

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
        take_funding: Callable[[Iterable[FundingPayment]], None],
        instruments: Mapping[str, Instrument],
        dust_value: float,
    ) -> None:
        self._client = client
        self._desk = desk
        self._positions = positions
        self._account = account
        self._take_funding = take_funding
        self._instruments = instruments
        self._dust_value = Decimal(str(dust_value))
        self._based: set[str] = set()

    async def compare(self) -> Comparison:
        """Bring our orders up to date, then compare balances. Never raises ExchangeError."""
        try:
            external, followed = await self._follow_orders()
            await self._desk.look_again_at_ended()
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
        self._take_funding(snapshot.funding)
        assets = self._examine(snapshot)
        differing = tuple(one for one in assets if self._matters(one))
        if not differing:
            # A fill that we have not heard of would pass for a loss of what it cost.
            self._account.take(snapshot)
            self._desk.balance_taken()
        return Comparison(
            True,
            {one.asset: one.difference for one in differing},
            external,
            balances=self._ours(snapshot),
            assets=assets,
            differing=differing,
        )

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

    def _examine(self, snapshot: AccountSnapshot) -> tuple[AssetComparison, ...]:
        """Every asset we trade in, as we have it and as the venue does."""
        return (
            self._examine_cash(snapshot),
            *(self._examine_base(pair, snapshot) for pair in self._instruments.values()),
        )

    def _examine_cash(self, snapshot: AccountSnapshot) -> AssetComparison:
        total = _total(snapshot, self._account.quote_asset)
        return AssetComparison(
            asset=self._account.quote_asset,
            ours=self._account.cash if self._account.known else total,
            external=ZERO,
            dust=ZERO,
            venue=total,
            tolerance=self._desk.uncertain_notional * FEE_TOLERANCE,
            price=Decimal(1),
        )

    def _examine_base(self, instrument: Instrument, snapshot: AccountSnapshot) -> AssetComparison:
        base = instrument.base_asset
        held = self._positions.get(instrument.symbol)
        ours = held.quantity if held else ZERO
        total = _total(snapshot, base)
        tolerance = instrument.step_size
        if held is not None:
            tolerance += held.uncertain_quantity * FEE_TOLERANCE
            if not held.uncertain_quantity and total < self._positions.sellable(held):
                tolerance = ZERO  # less than a lot step is enough for its stop to be refused
        if base not in self._based:
            self._based.add(base)
            self._account.external[base] = max(total - ours, ZERO)
            self._positions.forget_dust(base)
        return AssetComparison(
            asset=base,
            ours=ours,
            external=self._account.external[base],
            dust=self._positions.dust(base),
            venue=total,
            tolerance=tolerance,
            price=self._account.value_of(base),
        )

    def _matters(self, one: AssetComparison) -> bool:
        if abs(one.difference) <= one.tolerance:
            return False
        is_cash = one.asset == self._account.quote_asset
        if one.difference < 0 and one.ours > 0 and not is_cash:
            return True  # the whole position could not be sold any more
        return one.value is None or one.value > self._dust_value


def _total(snapshot: AccountSnapshot, asset: str) -> Decimal:
    balance = snapshot.balances.get(asset)
    return balance.total if balance is not None else ZERO
