"""What a person decides while the program runs: approvals, halts, pauses."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from trading.model.base import SymbolName, ValueModel
from trading.model.decision import ProposalResult, TradeProposal


class ApprovalStatus(StrEnum):
    PENDING = "pending"
    APPROVED = "approved"
    REFUSED = "refused"
    EXPIRED = "expired"


class Approval(ValueModel):
    """An entry that waits, or waited, for a person. Sizes and prices are those it was asked with.

    ``result`` is what became of an approved one: it passes every check anew, and may fail.
    """

    id: int
    status: ApprovalStatus
    symbol: SymbolName
    quantity: Decimal
    limit_price: Decimal
    notional: Decimal  # quote asset; an approved order is never larger
    last_price: Decimal
    proposal: TradeProposal
    requested_at_ms: int
    expires_at_ms: int
    decided_at_ms: int | None = None
    reason: str = ""
    result: ProposalResult | None = None


ENTRIES = "entries"
LIQUIDATION = "liquidation"
AGENT_PREFIX = "agent:"

# They put things into words for people; every other agent is a link in the chain of an entry.
EXPLAINING_AGENTS = (
    "risk_manager",
    "compliance",
    "reconciliation",
    "error_recovery",
    "simulation",
)


class Control(ValueModel):
    """Something an operator has stopped (or started: a liquidation), and why."""

    name: str
    reason: str
    actor: str
    since_ms: int

    @property
    def agent(self) -> str | None:
        """The paused agent; None for other controls."""
        return self.name.removeprefix(AGENT_PREFIX) if self.name.startswith(AGENT_PREFIX) else None

    @property
    def stops_entries(self) -> bool:
        """Whether an agent is paused without which no entry is decided."""
        return self.agent is not None and self.agent not in EXPLAINING_AGENTS


class Controls(ValueModel):
    """Everything that is stopped now."""

    active: tuple[Control, ...] = ()

    def get(self, name: str) -> Control | None:
        return next((control for control in self.active if control.name == name), None)

    @property
    def entries_halted(self) -> bool:
        return self.get(ENTRIES) is not None

    @property
    def paused_agents(self) -> frozenset[str]:
        return frozenset(control.agent for control in self.active if control.agent is not None)

    @property
    def paused_link(self) -> Control | None:
        """The first pause of an agent without which no entry is decided."""
        return next((control for control in self.active if control.stops_entries), None)


class LiquidationStatus(StrEnum):
    RUNNING = "running"
    FLAT = "flat"  # verified: no position, no open entry, and the venue's balances agree
    NOT_FLAT = "not_flat"  # given up for now; what is left keeps its stop


class LiquidatedPosition(ValueModel):
    """What became of one position. Prices and cost in the quote asset.

    ``closed``: nothing that the venue would take an order for is left by our books.
    ``decision_price`` is the middle of the book when the liquidation came to it, ``slippage_pct``
    how far below it the average sale was, in % of it, and ``slippage_cost`` that in money.
    """

    symbol: SymbolName
    quantity: Decimal
    sold: Decimal = Decimal(0)
    closed: bool = False
    orders: int = 0
    decision_price: Decimal | None = None
    average_price: Decimal | None = None
    slippage_pct: Decimal | None = None
    slippage_cost: Decimal = Decimal(0)
    problem: str = ""


class LiquidationReport(ValueModel):
    """The current or latest liquidation."""

    status: LiquidationStatus
    reason: str
    started_at_ms: int
    ended_at_ms: int | None = None
    entries_cancelled: int = 0
    positions: tuple[LiquidatedPosition, ...] = ()
    slippage_cost: Decimal = Decimal(0)
    problems: tuple[str, ...] = ()


class CancelledOrders(ValueModel):
    """What became of the open entries. ``open`` ones could not be cancelled yet."""

    cancelled: tuple[str, ...] = ()
    filled: tuple[str, ...] = ()  # by the venue before the cancel arrived
    open: tuple[str, ...] = ()
