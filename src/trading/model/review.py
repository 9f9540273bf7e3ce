"""A closed trade that is looked back at, and what the look back found."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from trading.model.base import ValueModel


class TradeToReview(ValueModel):
    """A closed trade on a spike, in figures: nothing of what a model said of it.

    Percentages are of the entry price; ``spike`` holds the detector's own figures.
    """

    trade_id: int
    spike_id: str
    symbol: str
    entry_price: float
    exit_price: float
    quantity: float
    pnl: float  # quote asset, fees taken off
    pnl_pct: float
    fees: float
    exit_reason: str
    held_minutes: float = Field(ge=0)
    spike: dict[str, Any]


class TradeReview(ValueModel):
    """The end of a look back. ``analysis`` is None when nobody could give one."""

    trade_id: int
    spike_id: str
    analysis: dict[str, Any] | None
    reason: str = ""  # why there is none
