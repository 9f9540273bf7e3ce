"""Settings of the embedded exchange's USD-M futures."""

from __future__ import annotations

from decimal import Decimal

from pydantic import Field

from trading.model.base import ConfigModel
from trading.simulator.book_config import BookShapeConfig


class FuturesConfig(ConfigModel):
    """Perpetual contracts on every pair of the spot market that is quoted in a stablecoin."""

    enabled: bool = Field(
        default=True, description="Serve USD-M futures beside spot, on a port of their own."
    )
    initial_balances: dict[str, Decimal] = Field(
        default={"USDT": Decimal("10000")},
        description="What a new futures wallet holds: asset to amount.",
    )
    maker_fee_rate: Decimal = Field(
        default=Decimal("0.0002"),
        ge=0,
        lt=1,
        description="Fee of a resting order's fill, as a share of its value.",
    )
    taker_fee_rate: Decimal = Field(
        default=Decimal("0.0005"),
        ge=0,
        lt=1,
        description="Fee of an order that takes liquidity, as a share of its value.",
    )
    liquidation_fee_rate: Decimal = Field(
        default=Decimal("0.0125"),
        ge=0,
        lt=1,
        description="What a liquidation pays to the insurance fund, as a share of its value.",
    )
    default_leverage: int = Field(
        default=20, ge=1, le=125, description="Leverage of a contract until its account changes it."
    )
    margin_call_share: Decimal = Field(
        default=Decimal("0.8"),
        gt=0,
        lt=1,
        description="MARGIN_CALL is sent when maintenance margin reaches this share of the margin.",
    )
    funding_interval_hours: int = Field(
        default=8, ge=1, le=24, description="Hours between two settlements of funding."
    )
    overreaction: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="Share of the last minutes' spot move that the contracts add to it: a discount"
        " in falls, a premium in rises.",
    )
    volume_factor: float = Field(
        default=3.0, gt=0, le=100, description="Futures volume as a multiple of spot volume."
    )
    open_interest_days: float = Field(
        default=3.0,
        gt=0,
        le=100,
        description="Open interest of the crowd, in days of spot volume; its leveraged share is"
        " liquidated when prices run against it.",
    )
    seed: int = Field(default=1, ge=0, description="Seed of the basis' noise.")
    book: BookShapeConfig = Field(
        default=BookShapeConfig(
            spread_bps=Decimal("1"), level_spacing_bps=Decimal("1"), level_notional=Decimal(50_000)
        ),
        description="The synthetic book around the last price of a contract.",
    )
