"""Limits that every entry must pass, whatever a model thinks of it."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from trading.model.base import ConfigModel, SymbolName


class RiskConfig(ConfigModel):
    """Position sizing and limits. Percentages are of equity unless said otherwise."""

    risk_per_trade_pct: float = Field(
        default=0.5,
        gt=0,
        le=10,
        description="Share of equity lost if the protective stop is hit: "
        "notional = equity × risk_per_trade_pct / stop distance.",
    )
    max_position_pct: float = Field(
        default=10.0, gt=0, le=100, description="Largest position in one symbol."
    )
    max_portfolio_exposure_pct: float = Field(
        default=60.0,
        gt=0,
        le=100,
        description="Largest sum of open positions and reservations of orders under way.",
    )
    max_concurrent_positions: int = Field(
        default=5, ge=1, le=100, description="Positions and entries under way at once."
    )
    max_daily_loss_pct: float = Field(
        default=5.0,
        gt=0,
        le=100,
        description="Loss of equity since midnight UTC that trips the breaker and latches it: "
        "only an operator resumes.",
    )
    max_orders_per_minute: int = Field(
        default=10, ge=1, le=1_000, description="Entries sent in any 60 seconds."
    )
    min_confidence: float = Field(
        default=0.6, ge=0, le=1, description="Entries below this confidence are refused."
    )
    min_stop_loss_pct: float = Field(
        default=0.3, gt=0, lt=100, description="Nearest protective stop, in % of the entry price."
    )
    max_stop_loss_pct: float = Field(
        default=10.0, gt=0, lt=100, description="Farthest protective stop, in % of the entry price."
    )
    min_take_profit_pct: float = Field(
        default=0.3, gt=0, lt=1000, description="Nearest take profit, in % of the entry price."
    )
    max_slippage_pct: float = Field(
        default=0.5,
        ge=0,
        le=10,
        description="How far above the last price an entry without a limit price may pay, and how "
        "far below it a take profit may sell, in % of the last price.",
    )
    price_collar_pct: float = Field(
        default=2.0,
        gt=0,
        le=20,
        description="A limit price farther than this from the last price is refused, in %.",
    )
    max_spike_age_ms: int = Field(
        default=120_000,
        ge=1_000,
        le=3_600_000,
        description="A proposal on a spike older than this is refused, in market time.",
    )
    max_decision_horizon_ms: int = Field(
        default=300_000,
        ge=1_000,
        le=3_600_000,
        description="A proposal may not claim a deadline farther in the future than this.",
    )
    allowed_symbols: tuple[SymbolName, ...] = Field(
        default=(), description="Only these symbols are traded; empty allows every known one."
    )
    blocked_symbols: tuple[SymbolName, ...] = Field(
        default=(), description="These symbols are never traded, even when allowed above."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.min_stop_loss_pct > self.max_stop_loss_pct:
            raise ValueError(
                f"min_stop_loss_pct={self.min_stop_loss_pct} is above "
                f"max_stop_loss_pct={self.max_stop_loss_pct}"
            )
        if both := set(self.allowed_symbols) & set(self.blocked_symbols):
            raise ValueError(f"allowed and blocked at once: {', '.join(sorted(both))}")
        return self
