"""What a replay found."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import PlainSerializer

from trading.model.base import ValueModel

# Written out in JSON: "0.00000000", never "0E-8".
Money = Annotated[Decimal, PlainSerializer(lambda value: f"{value:f}", return_type=str)]


class Trip(ValueModel):
    """One trip of the breaker. ``at`` is market time, ISO 8601."""

    at: str
    reason: str
    rule: str | None
    actor: str
    epoch: int


class ReplayReport(ValueModel):
    """The outcome of a replay, with the same run without a breaker beside it.

    ``equity_end_without_breaker``: the same market, detectors, crews, gateway and limits with
    ``circuit_breaker.enabled: false``. ``capital_saved`` is the difference; negative when halting
    cost money. ``entries_after_trip_while_halted`` counts, at the exchange, entry orders that
    arrived while the breaker allowed none. ``agent_failures`` of the ``agent_decisions`` were
    made by nobody: the model did not answer, say; ``last_failure`` is why the last of them was not.
    """

    market: str
    start: str
    end: str
    symbols: int
    llm: str
    bars: int
    ticks: int
    spikes: int
    crew_runs: int
    guardian_runs: int
    agent_decisions: int
    agent_failures: int = 0
    last_failure: str = ""
    tool_calls: int
    orders_sent: int
    entries_sent: int
    fills: int
    trades_closed: int
    trips: tuple[Trip, ...]
    halted_minutes: float
    entries_after_trip_while_halted: int
    max_drawdown_pct: float
    max_drawdown_pct_without_breaker: float
    equity_start: Money
    equity_end: Money
    equity_end_without_breaker: Money
    capital_saved: Money
    trace_sha256: str
    wall_seconds: float
