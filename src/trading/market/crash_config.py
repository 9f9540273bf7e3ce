"""Settings of crash detection: hard limits, how they are confirmed, and what bad data is."""

from __future__ import annotations

from pydantic import Field, model_validator

from trading.model.base import ConfigModel, Fraction


class LeaderFallConfig(ConfigModel):
    """Hard limits on the fall of BTC or ETH below its rolling high. Defaults are BTC's."""

    fall_5m_pct: float = Field(
        default=10.0, gt=0, lt=100, description="Fall within five minutes that trips, in %."
    )
    fall_1h_pct: float = Field(
        default=15.0, gt=0, lt=100, description="Fall within one hour that trips, in %."
    )
    fall_4h_pct: float = Field(
        default=20.0, gt=0, lt=100, description="Fall within four hours that trips, in %."
    )


class BreadthConfig(ConfigModel):
    """Trips when many pairs fall together, whatever BTC and ETH do."""

    fall_pct: float = Field(
        default=15.0,
        gt=0,
        lt=100,
        description="A pair counts as falling when it is this far below its one-hour high, in %.",
    )
    share: float = Field(
        default=0.5, gt=0, le=1, description="Share of the tracked pairs that must be falling."
    )
    min_pairs: int = Field(
        default=8,
        ge=2,
        le=1000,
        description="With fewer pairs tracked than this the rule says nothing.",
    )


class MarketIndexConfig(ConfigModel):
    """A weighted index of the tracked pairs, the stand-in for total market capitalisation.

    The limits come from the search that docs/detection.md shows.
    """

    fall_1h_pct: float = Field(
        default=12.0, gt=0, lt=100, description="Fall within one hour that trips, in %."
    )
    fall_4h_pct: float = Field(
        default=15.0, gt=0, lt=100, description="Fall within four hours that trips, in %."
    )
    btc_weight: Fraction = Field(default=0.5, description="Weight of BTC in the index.")
    eth_weight: Fraction = Field(
        default=0.2, description="Weight of ETH; the other pairs share the rest equally."
    )
    max_other_weight: float = Field(
        default=0.05,
        gt=0,
        le=1,
        description="No other pair weighs more than this, however few there are: the fall of one"
        " coin is not the market's.",
    )

    @model_validator(mode="after")
    def _weights_leave_a_rest(self) -> MarketIndexConfig:
        if self.btc_weight + self.eth_weight > 1:
            raise ValueError("btc_weight + eth_weight must not exceed 1")
        return self


class LiquidationTotalConfig(ConfigModel):
    """Forced orders of all futures together, as the venue's stream shows them.

    The stream shows at most one order a second of each contract, so its sum is a lower bound.
    """

    usd_1h: float = Field(
        default=500e6, gt=0, description="Liquidations within one hour that trip, in USD."
    )
    ready_share: Fraction = Field(
        default=0.5,
        description="Share of the last hour that the stream must have been heard for its sum to"
        " count as known.",
    )


class FundingConfig(ConfigModel):
    """Funding of perpetual futures, as the greatest of BTC's, ETH's and the median contract's."""

    rate_8h_pct: float = Field(
        default=1.0, gt=0, description="Rate for eight hours, of either sign, that trips, in %."
    )
    min_contracts: int = Field(
        default=8,
        ge=1,
        le=1000,
        description="With fewer contracts than this their median is left out.",
    )
    stale_after_s: int = Field(
        default=60, ge=1, le=3600, description="A rate older than this is not known, in seconds."
    )


class PegConfig(ConfigModel):
    """Stablecoins against the quote asset; market.stablecoins names the pairs."""

    deviation_pct: float = Field(
        default=3.0, gt=0, lt=100, description="Distance from 1.0, either way, that trips, in %."
    )
    hold_s: int = Field(
        default=30,
        ge=0,
        le=3600,
        description="It counts as the least of the last so many seconds: a wick is no lost peg.",
    )
    min_trades: int = Field(
        default=3, ge=1, le=100, description="And of at least so many trades within them."
    )
    stale_after_s: int = Field(
        default=600, ge=1, le=86_400, description="Without a trade for longer, not known (s)."
    )


class FuturesGapConfig(ConfigModel):
    """Spot and futures prices of BTC and ETH against each other."""

    gap_pct: float = Field(
        default=5.0,
        gt=0,
        lt=100,
        description="Distance between spot and mark price that trips, in %: one of them is wrong,"
        " or the market is torn.",
    )
    hold_s: int = Field(
        default=10, ge=0, le=3600, description="It counts as the least of the last so many seconds."
    )
    stale_after_s: int = Field(
        default=15,
        ge=1,
        le=3600,
        description="A futures price older than this says nothing, in seconds.",
    )


class VolumeCollapseConfig(ConfigModel):
    """Trading in BTC and ETH that has all but ended while prices still come."""

    times_below: float = Field(
        default=10.0,
        gt=1,
        le=1000,
        description="Trips when both trade this many times less than their usual minute.",
    )
    minutes: int = Field(
        default=15, ge=5, le=60, description="Closed minutes that are compared with the usual one."
    )


class CrashDetectionConfig(ConfigModel):
    """Hard limits that trip the breaker, shares of them that warn, and what bad data is."""

    btc: LeaderFallConfig = Field(
        default_factory=LeaderFallConfig, description="Limits on the fall of BTC."
    )
    eth: LeaderFallConfig = Field(
        default_factory=lambda: LeaderFallConfig(fall_5m_pct=12.0, fall_4h_pct=25.0),
        description="Limits on the fall of ETH.",
    )
    breadth: BreadthConfig = Field(
        default_factory=BreadthConfig, description="Many pairs falling within an hour."
    )
    market_index: MarketIndexConfig = Field(
        default_factory=MarketIndexConfig, description="Fall of the whole market."
    )
    liquidations: LiquidationTotalConfig = Field(
        default_factory=LiquidationTotalConfig, description="Forced orders of all futures."
    )
    funding: FundingConfig = Field(
        default_factory=FundingConfig, description="Funding of perpetual futures."
    )
    peg: PegConfig = Field(default_factory=PegConfig, description="Stablecoins off their peg.")
    futures_gap: FuturesGapConfig = Field(
        default_factory=FuturesGapConfig, description="Spot against futures prices."
    )
    volume_collapse: VolumeCollapseConfig = Field(
        default_factory=VolumeCollapseConfig, description="Trading that has all but ended."
    )
    warning_share: float = Field(
        default=0.60,
        gt=0,
        lt=1,
        description="WARNING begins when a metric reaches this share of its hard limit.",
    )
    rearm_share: float = Field(
        default=0.80,
        gt=0,
        le=1,
        description="A breach is over, and its rule armed again, once the metric has stayed below"
        " this share of the limit for rearm_after_s.",
    )
    rearm_after_s: int = Field(
        default=300,
        ge=0,
        le=14_400,
        description="Seconds of market time for that; keeps a price that hovers at the limit from"
        " tripping over and over.",
    )
    confirmation_ticks: int = Field(
        default=2,
        ge=1,
        le=100,
        description="Trades beyond a BTC or ETH limit that confirm it, once it has held for"
        " confirmation_hold_ms.",
    )
    confirmation_hold_ms: int = Field(
        default=3_000,
        ge=0,
        le=60_000,
        description="Time from the first trade beyond a limit to one that confirms it, in ms of"
        " market time; a bounce that would arm the rule again begins it anew. A wick is shorter.",
    )
    confirming_share: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="A breach is confirmed at once when a witness has used this share of the"
        " limit over the same window: the other of BTC and ETH (of its own limit), the coin's own"
        " futures price, or the breadth.",
    )
    stale_after_ms: int = Field(
        default=10_000,
        ge=500,
        le=600_000,
        description="BTC or ETH without a trade for this long makes the market data unhealthy, in"
        " ms of market time (on top of the pause that is normal for a recorded source).",
    )
    max_tick_jump_pct: float = Field(
        default=10.0,
        gt=0,
        lt=100,
        description="A trade farther than this from the one before is held back until confirmed.",
    )
    max_tick_drift_pct_per_s: float = Field(
        default=1.0,
        ge=0,
        le=100,
        description="Widens max_tick_jump_pct for every second since the last trade.",
    )
    jump_confirmation_ticks: int = Field(
        default=2,
        ge=1,
        le=100,
        description="Further trades near the new level that prove a jump to be real.",
    )
    max_bad_ticks_per_minute: int = Field(
        default=3,
        ge=1,
        le=1000,
        description="Refuted or impossible trades of one pair within a minute that make its data"
        " insane: BTC or ETH make the whole market data unhealthy, others leave the breadth.",
    )
    max_future_ms: int = Field(
        default=10_000,
        ge=0,
        le=600_000,
        description="A trade stamped farther ahead of our clock than this is impossible, in ms.",
    )
