"""Settings of a synthetic book."""

from __future__ import annotations

from decimal import Decimal

from pydantic import Field

from trading.model.base import ConfigModel


class BookShapeConfig(ConfigModel):
    """The synthetic book that surrounds the last traded price."""

    levels: int = Field(default=20, ge=1, le=1000, description="Price levels on each side.")
    spread_bps: Decimal = Field(
        default=Decimal("2"),
        ge=0,
        le=1000,
        description="Distance of best bid to best ask, in basis points; at least two ticks.",
    )
    level_spacing_bps: Decimal = Field(
        default=Decimal("2"),
        ge=0,
        le=1000,
        description="Distance between neighbouring levels, in basis points; at least one tick.",
    )
    level_notional: Decimal = Field(
        default=Decimal("25000"),
        gt=0,
        description="Value resting on the best level of each side, in the quote asset.",
    )
    depth_decay: Decimal = Field(
        default=Decimal("0.9"),
        gt=0,
        le=2,
        description="Each further level holds this multiple of the value of the one before.",
    )
