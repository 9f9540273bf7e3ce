"""Limits that every entry must pass, whatever a model thinks of it."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from trading.model.base import ConfigModel, SymbolName
from trading.risk.sectors import DEFAULT_SECTORS, repeated


class SizingMethod(StrEnum):
    """How much of the equity an entry may put at risk."""

    FIXED_FRACTION = "fixed_fraction"
    VOLATILITY = "volatility"
    KELLY = "kelly"


class SizingConfig(ConfigModel):
    """How large entries are, within risk_per_trade_pct and every limit."""

    method: SizingMethod = Field(
        default=SizingMethod.FIXED_FRACTION,
        description="fixed_fraction: risk_per_trade_pct as it is; volatility: less of it where the "
        "pair is wilder than target_volatility_pct; kelly: kelly_fraction of the Kelly bet on the "
        "last trades, never more than risk_per_trade_pct.",
    )
    target_volatility_pct: float = Field(
        default=0.15,
        gt=0,
        le=10,
        description="Standard deviation of one-minute returns over an hour up to which the whole "
        "risk_per_trade_pct is risked; twice as wild, half of it.",
    )
    kelly_fraction: float = Field(
        default=0.25, gt=0, le=1, description="Share of the full Kelly bet that is taken."
    )
    kelly_trades: int = Field(
        default=50, ge=10, le=1_000, description="Closed trades that the Kelly bet is taken from."
    )
    kelly_min_trades: int = Field(
        default=20,
        ge=5,
        le=1_000,
        description="With fewer closed trades than these, half of risk_per_trade_pct is risked.",
    )
    after_recovery_multiplier: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Sizes are at most this share of normal for a while after a recovery.",
    )
    after_recovery_minutes: float = Field(
        default=60.0, ge=0, le=1_440, description="How long that while is, in minutes."
    )

    @model_validator(mode="after")
    def _enough_trades_can_be_seen(self) -> Self:
        if self.kelly_min_trades > self.kelly_trades:
            raise ValueError(
                f"kelly_min_trades={self.kelly_min_trades} is above "
                f"kelly_trades={self.kelly_trades}"
            )
        return self


class RiskConfig(ConfigModel):
    """Position sizing and limits. Percentages are of equity unless said otherwise."""

    risk_per_trade_pct: float = Field(
        default=0.5,
        gt=0,
        le=10,
        description="Share of equity lost if the protective stop is hit: "
        "notional = equity × risk_per_trade_pct / stop distance.",
    )
    sizing: SizingConfig = Field(default_factory=SizingConfig, description="How large entries are.")
    max_position_pct: float = Field(
        default=10.0, gt=0, le=100, description="Largest position in one symbol."
    )
    symbol_limits_pct: dict[SymbolName, float] = Field(
        default_factory=dict,
        description="Largest position of single pairs, by pair, in place of max_position_pct where "
        "it is less, e.g. {DOGEUSDT: 2}.",
    )
    sectors: dict[str, tuple[SymbolName, ...]] = Field(
        default=DEFAULT_SECTORS,
        description="Pairs that tend to fall together, by the name of their sector; all pairs that "
        "are in none count as one sector of their own.",
    )
    max_sector_exposure_pct: float = Field(
        default=40.0,
        gt=0,
        le=100,
        description="Largest sum of open positions and reservations in one sector.",
    )
    correlation_threshold: float = Field(
        default=0.8,
        gt=0,
        le=1,
        description="Positions whose one-minute returns over correlation_minutes correlate at "
        "least so much with an entry's count as one with it, as do those that cannot be told.",
    )
    correlation_minutes: int = Field(
        default=60, ge=10, le=1_000, description="Minutes that correlations are taken from."
    )
    max_correlated_exposure_pct: float = Field(
        default=40.0,
        gt=0,
        le=100,
        description="Largest sum of an entry and the positions it correlates with.",
    )
    cash_reserve_pct: float = Field(
        default=1.0,
        ge=0,
        lt=100,
        description="Share of the equity that entries leave in the quote asset, for fees.",
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
    max_weekly_loss_pct: float = Field(
        default=10.0,
        gt=0,
        le=100,
        description="Loss of equity since Monday midnight UTC that trips the breaker and latches "
        "it.",
    )
    max_drawdown_pct: float = Field(
        default=20.0,
        gt=0,
        le=100,
        description="Loss of equity since its highest ever that trips the breaker and latches it.",
    )
    max_losing_streak: int = Field(
        default=5, ge=1, le=100, description="So many losing trades in a row make a pause."
    )
    losing_streak_pause_minutes: float = Field(
        default=60.0,
        gt=0,
        le=10_080,
        description="How long no entry is made after max_losing_streak losses in a row; the next "
        "loss makes another pause.",
    )
    max_orders_per_minute: int = Field(
        default=10, ge=1, le=1_000, description="Entries sent in any 60 seconds."
    )
    max_orders_per_hour: int = Field(
        default=60, ge=1, le=10_000, description="Entries sent in any 60 minutes."
    )
    max_symbol_entries_per_hour: int = Field(
        default=6, ge=1, le=10_000, description="Entries sent in one pair in any 60 minutes."
    )
    max_proposals_per_minute: int = Field(
        default=120,
        ge=1,
        le=10_000,
        description="Proposals in any 60 seconds, refused ones too; what comes beyond is refused "
        "unread.",
    )
    max_volatility_pct: float = Field(
        default=2.0,
        gt=0,
        le=100,
        description="An entry is refused while the standard deviation of the pair's one-minute "
        "returns over an hour is above this, in %.",
    )
    max_share_of_volume_pct: float = Field(
        default=5.0,
        gt=0,
        le=100,
        description="Largest share of an entry in what was traded of the pair in the last hour.",
    )
    max_spread_pct: float = Field(
        default=1.0,
        gt=0,
        le=20,
        description="An entry is refused while best bid and ask are farther apart than this.",
    )
    max_resolved_share: float = Field(
        default=0.8,
        gt=0,
        le=10,
        description="An entry is refused once so much of its spike's move is undone.",
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
        description="How far above the last price an entry without a limit price may pay, and one "
        "that takes from the book may pay by the book as it is; and how far below it a take profit "
        "may sell; in % of the last price.",
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
        for symbol, limit_pct in self.symbol_limits_pct.items():
            if not 0 < limit_pct <= 100:
                raise ValueError(
                    f"symbol_limits_pct of {symbol} is {limit_pct}, not within 0 to 100"
                )
        if twice := repeated(self.sectors):
            raise ValueError(f"in more than one sector: {', '.join(twice)}")
        return self
