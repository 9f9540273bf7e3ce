"""A trader's account that drifts away from our books, and what must become of it.

The embedded exchange is changed behind our back; then the next comparisons run. Afterwards our
books are the exchange's, dust apart, or the breaker is latched: never anything else.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

from order_path import OrderPath, trader

from trading.execution.config import ExecutionConfig
from trading.model.breaker import Latch
from trading.model.market import Tick
from trading.model.order import OrderType, Side, TimeInForce
from trading.simulator.orders import NewOrder

INTERVAL_MS, RETRY_MS, APART_MS = 300_000, 2_000, 10_000
EXECUTION = ExecutionConfig(reconcile_interval_ms=INTERVAL_MS, reconcile_retry_ms=RETRY_MS)
DUST = Decimal(1)


class Drift(OrderPath):
    """Two positions of about 2,000 USDT, 10,000 at the start; no report reaches us by stream."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(exist_ok=True)
        super().__init__(
            directory,
            risk=trader(max_daily_loss_pct=100, max_weekly_loss_pct=100, max_drawdown_pct=100),
            execution=EXECUTION,
        )

    async def trade(self) -> None:
        for symbol in ("BTCUSDT", "SOLUSDT"):
            await self.service.propose(self.proposal(symbol, notional=Decimal(2_000)))
        assert len(self.service._parts.books.positions.all()) == 2

    # What others do to the account ---------------------------------------------------------

    def credit(self, asset: str, amount: object) -> None:
        """Comes in from outside; negative: goes out."""
        change = Decimal(str(amount))
        account = self.exchange._ledger.account("replay")
        if change >= 0:
            account.credit(asset, change)
            return
        if -change > account.free(asset):  # what a stop has locked goes, too
            self.exchange.cancel_all("replay", f"{asset}USDT")
        account.debit(asset, -change)

    def order(self, symbol: str, side: Side, quantity: object, **fields: Any) -> None:
        """Somebody's own order on the same account."""
        kind = fields.pop("type", OrderType.MARKET)
        self.exchange.submit(
            "replay",
            NewOrder(
                symbol=symbol, side=side, type=kind, quantity=Decimal(str(quantity)), **fields
            ),
        )

    def resting(self, symbol: str, side: Side, quantity: object, price: object) -> None:
        self.order(
            symbol,
            side,
            quantity,
            type=OrderType.LIMIT,
            limit_price=Decimal(str(price)),
            time_in_force=TimeInForce.GTC,
        )

    def all_of(self, symbol: str) -> Decimal:
        """As much of it as one order could sell."""
        instrument = self.exchange.instruments[symbol]
        return instrument.round_quantity_down(self.held(instrument.base_asset))

    def drop_stop(self, symbol: str) -> None:
        for stop in self.open_stops(symbol):
            self.exchange.cancel("replay", symbol, client_order_id=stop.client_order_id)

    def silent_tick(self, symbol: str, price: float) -> None:
        """The market moves while we hear of nothing."""
        self.quiet_stream = True
        self.prices[symbol] = price
        self.venue.push_tick(Tick(symbol, price, 500.0, self.clock.now_ms()))

    # What we do ----------------------------------------------------------------------------

    async def compare_at_most(self, passes: int = 2) -> int:
        """Comparisons until it has converged or latched; more than ``passes`` is a failure."""
        await self.advance(INTERVAL_MS)
        for number in range(1, passes + 1):
            if self.latched or self.converged:
                return number
            await self.advance(RETRY_MS)
        assert self.latched or self.converged, self.why()
        return passes

    @property
    def latched(self) -> bool:
        return self.breaker.snapshot.latch is Latch.MANUAL

    @property
    def converged(self) -> bool:
        return self.service.reconciled and not self.why()

    def why(self) -> str:
        """How our books differ from the exchange's own; empty where they do not."""
        books, wrong = self.service._parts.books, []
        for symbol, instrument in self.exchange.instruments.items():
            held = books.positions.get(symbol)
            ours = held.quantity if held is not None else Decimal(0)
            ours += books.account.external.get(instrument.base_asset, Decimal(0))
            ours += books.positions.dust(instrument.base_asset)
            theirs = self.held(instrument.base_asset)
            if abs(theirs - ours) * Decimal(str(self.prices[symbol])) > DUST:
                wrong.append(f"{symbol}: {ours} with us, {theirs} there")
            if held is not None and held.quantity > theirs + instrument.step_size:
                wrong.append(f"{symbol}: a position of {held.quantity}, {theirs} there")
        cash = self.held("USDT")
        if abs(books.account.cash - cash) > DUST:
            wrong.append(f"cash {books.account.cash} with us, {cash} there")
        return "; ".join(wrong)

    def outcomes(self) -> list[str]:
        rows = self.rows("SELECT outcome FROM reconciliation_reports ORDER BY id")
        return [row["outcome"] for row in rows]
