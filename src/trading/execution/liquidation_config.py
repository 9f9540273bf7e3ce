"""Settings of an operator's liquidation."""

from __future__ import annotations

from pydantic import Field

from trading.model.base import ConfigModel


class LiquidationConfig(ConfigModel):
    """How `emergency liquidate` sells. Times are of the wall."""

    slice_depth_pct: float = Field(
        default=0.5,
        gt=0,
        le=20,
        description="One order sells no more than the bids within this distance of the best one "
        "hold, in %.",
    )
    slice_pause_ms: int = Field(
        default=300,
        ge=0,
        le=60_000,
        description="Pause between two orders of a position, for the book to fill up again.",
    )
    patience_s: float = Field(
        default=30.0,
        ge=0,
        le=3_600,
        description="After this long what is left is sold at market in one order, whatever the "
        "book holds.",
    )
    give_up_after_s: float = Field(
        default=120.0,
        gt=0,
        le=7_200,
        description="After this long it ends with what it could not sell named; their stops rest "
        "on the exchange. It may be asked for again.",
    )
