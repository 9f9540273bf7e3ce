"""``ExecutionService``: everything between a proposal and the venue, as one object.

All coroutines run on one event loop (the order thread's); ``start`` opens the service's own
SQLite connection there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from trading.clock import Clock
from trading.events import EventBus
from trading.exchange.protocols import ExchangeClient
from trading.execution.config import ExecutionConfig
from trading.model.decision import ProposalResult, RiskPreview, TradeProposal
from trading.model.market import Instrument
from trading.model.order import OrderReport
from trading.model.portfolio import Portfolio
from trading.risk.risk_config import RiskConfig

if TYPE_CHECKING:
    from trading.risk.breaker_config import CircuitBreakerConfig
    from trading.risk.circuit_breaker import CircuitBreaker


class ExecutionService:
    """Owns gateway, journal, positions, sweep and reconciliation.

    ``price`` gives a symbol's last traded price or None; ``data_fresh`` says whether market data
    may be acted on. ``wait_clock`` measures waits for the venue (unknown outcomes, retries): wall
    time on a venue whose market time runs faster; the market clock by default.
    """

    def __init__(
        self,
        *,
        client: ExchangeClient,
        breaker: CircuitBreaker,
        breaker_config: CircuitBreakerConfig,
        clock: Clock,
        bus: EventBus,
        risk: RiskConfig,
        execution: ExecutionConfig,
        database: Path,
        price: Callable[[str], float | None],
        instruments: Mapping[str, Instrument],
        data_fresh: Callable[[], bool],
        quote_asset: str = "USDT",
        wait_clock: Clock | None = None,
    ) -> None: ...

    async def start(self) -> None:
        """Open the store, adopt open orders and positions, reconcile with the venue."""

    async def stop(self, *, cancel_entries: bool = True) -> None:
        """Cancel open entries (protective stops stay), finish what runs, close the store."""

    async def propose(self, proposal: TradeProposal) -> ProposalResult:
        """Submit an entry. Refusals come back as a result, not as an exception."""
        raise NotImplementedError

    async def preview(self, proposal: TradeProposal) -> RiskPreview:
        """What ``propose`` would say now, without reserving anything."""
        raise NotImplementedError

    async def close_position(self, symbol: str, reason: str) -> ProposalResult:
        """Sell the whole position at market."""
        raise NotImplementedError

    async def cancel(self, client_order_id: str, reason: str) -> OrderReport:
        """Cancel one of our entries.

        Raises:
            OrderNotFoundError: no such order of ours.
        """
        raise NotImplementedError

    async def portfolio(self) -> Portfolio:
        raise NotImplementedError

    def on_report(self, report: OrderReport) -> None:
        """A report of the user stream. On the service's loop; idempotent."""

    def on_gap(self, reason: str) -> None:
        """The user stream may have missed something: reconcile. On the service's loop."""

    async def advance(self, now_ms: int) -> None:
        """Timed duties: expiries, unknown outcomes, stops, take profits, sweep, reconciliation."""

    async def settle(self) -> None:
        """Wait until all work started by reports and trips is done."""

    @property
    def has_pending_work(self) -> bool:
        return False

    @property
    def unknown_orders(self) -> int:
        return 0

    @property
    def reconciled(self) -> bool:
        return False

    @property
    def counters(self) -> dict[str, int]:
        return {}

    @property
    def equity(self) -> Decimal | None:
        """Equity at the latest prices; None before the first account snapshot."""
        return None

    @property
    def capital_saved(self) -> Decimal | None:
        """Actual minus shadow equity of the current or latest halt; None before the first."""
        return None
