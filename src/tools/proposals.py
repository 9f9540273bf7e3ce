"""From a run and an agent's numbers to a ``TradeProposal``; epoch and times come from the run."""

from __future__ import annotations

from decimal import Decimal

from pydantic import Field

from tools.base import ToolArguments
from tools.run_context import RunContext, current_run
from trading.api.client import TradingClient
from trading.errors import DecisionRejectedError
from trading.model.decision import TradeProposal
from trading.model.spike import Spike, SpikeDirection


class TradeArguments(ToolArguments):
    """What an agent may choose about a trade. Everything else is not its to choose."""

    symbol: str = Field(pattern=r"^[A-Z0-9]{3,20}$", description="The pair that spiked.")
    notional: float = Field(
        gt=0, le=1e9, description="Most to spend, in the quote asset; the core may shrink it."
    )
    stop_loss_pct: float = Field(gt=0, lt=50, description="Stop distance below the entry, in %.")
    take_profit_pct: float = Field(gt=0, lt=500, description="Target above the entry, in %.")
    confidence: float = Field(ge=0, le=1, description="How sure, 0 to 1.")
    reasoning: str = Field(min_length=5, max_length=1500, description="Why, with the numbers.")


def require_spike_run(symbol: str) -> tuple[RunContext, Spike]:
    """The current run and its spike, when ``symbol`` may be entered in it.

    Raises:
        DecisionRejectedError: no run, another pair, or a falling spike (spot: long only).
    """
    run = current_run()
    if run is None or run.spike is None:
        raise DecisionRejectedError("no_run", "trades are proposed inside a spike run only")
    if symbol != run.spike.symbol:
        raise DecisionRejectedError(
            "other_symbol", f"this run is about {run.spike.symbol}, not {symbol}"
        )
    if run.spike.direction is not SpikeDirection.UP:
        raise DecisionRejectedError("direction", "spot is long only: a falling spike is not bought")
    return run, run.spike


def require_price_near_alert(client: TradingClient, run: RunContext) -> None:
    """Raises DecisionRejectedError when the price left the alert's by more than the run allows."""
    spike, limit_pct = run.spike, run.max_price_move_pct
    if spike is None or limit_pct is None:
        return
    last = client.symbol_stats(spike.symbol).last_price
    moved_pct = (last / spike.price_to - 1) * 100
    if not abs(moved_pct) <= limit_pct:
        raise DecisionRejectedError(
            "stale",
            f"the price moved {moved_pct:+.2f} % since the alert, {limit_pct:g} % allowed",
        )


def build_proposal(
    run: RunContext, spike: Spike, trade: TradeArguments, now_ms: int, notional: Decimal
) -> TradeProposal:
    """Raises DecisionRejectedError when the run's deadline has passed."""
    if now_ms >= run.deadline_ms:
        raise DecisionRejectedError("deadline", f"the run ended {now_ms - run.deadline_ms} ms ago")
    return TradeProposal(
        spike_id=spike.id,
        symbol=spike.symbol,
        notional=notional,
        stop_loss_pct=trade.stop_loss_pct,
        take_profit_pct=trade.take_profit_pct,
        confidence=trade.confidence,
        epoch=run.epoch,
        decided_at_ms=now_ms,
        deadline_ms=min(run.deadline_ms, now_ms + run.proposal_ttl_ms),
        reasoning=trade.reasoning,
    )
