"""Settings of the market half of the core: symbols, spike detection, crash detection."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from trading.model.base import ConfigModel, Fraction, SymbolName
from trading.model.spike import SpikeType

DEFAULT_SYMBOLS: tuple[str, ...] = (
    "BTCUSDT",
    "ETHUSDT",
    "BNBUSDT",
    "SOLUSDT",
    "XRPUSDT",
    "ADAUSDT",
    "DOGEUSDT",
    "AVAXUSDT",
    "LINKUSDT",
    "DOTUSDT",
    "LTCUSDT",
    "TRXUSDT",
)


class MarketConfig(ConfigModel):
    """Which pairs are watched, and how much of their past is kept."""

    symbols: tuple[SymbolName, ...] = Field(
        default=DEFAULT_SYMBOLS,
        min_length=2,
        description="Pairs that are watched and may be traded; all quoted in quote_asset.",
    )
    btc_symbol: SymbolName = Field(
        default="BTCUSDT", description="The pair that stands for BTC in the crash rules."
    )
    eth_symbol: SymbolName = Field(
        default="ETHUSDT", description="The pair that stands for ETH in the crash rules."
    )
    quote_asset: str = Field(
        default="USDT",
        pattern=r"^[A-Z0-9]{2,10}$",
        description="Asset that prices, equity and limits are counted in.",
    )
    history_minutes: int = Field(
        default=300,
        ge=0,
        le=1000,
        description="One-minute bars fetched for every pair at the start, so that windows are ready"
        " at once (240 fill the longest one).",
    )
    baseline_minutes: int = Field(
        default=1440,
        ge=60,
        le=1440,
        description="Minutes of a pair's past that its usual returns and volume are taken from.",
    )

    @model_validator(mode="after")
    def _leaders_are_watched(self) -> MarketConfig:
        for leader in (self.btc_symbol, self.eth_symbol):
            if leader not in self.symbols:
                raise ValueError(f"symbols must contain {leader}, which the crash rules watch")
        if len(set(self.symbols)) != len(self.symbols):
            raise ValueError("symbols must not repeat")
        return self


class SpikeThresholds(ConfigModel):
    """Moves, in % from the window's low or high, that count as a price spike of a pair."""

    one_minute_pct: float = Field(
        default=2.0, gt=0, le=100, description="Move within one minute, in %."
    )
    five_minutes_pct: float = Field(
        default=3.0, gt=0, le=100, description="Move within five minutes, in %."
    )
    fifteen_minutes_pct: float = Field(
        default=5.0, gt=0, le=100, description="Move within fifteen minutes, in %."
    )


def _pair_thresholds() -> dict[str, SpikeThresholds]:
    return {
        "BTCUSDT": SpikeThresholds(
            one_minute_pct=1.0, five_minutes_pct=1.5, fifteen_minutes_pct=2.5
        ),
        "ETHUSDT": SpikeThresholds(
            one_minute_pct=1.3, five_minutes_pct=2.0, fifteen_minutes_pct=3.3
        ),
    }


class SpikeDetectionConfig(ConfigModel):
    """When a move of one pair is reported as a spike."""

    enabled: bool = Field(default=True, description="Detect spikes at all.")
    check_circuit_breaker: bool = Field(
        default=True,
        description="Record spikes that come while the breaker halts trading as skipped. When"
        " false they are queued; the crews are still refused by the gate.",
    )
    types: tuple[Literal[SpikeType.PRICE, SpikeType.VOLUME], ...] = Field(
        default=(SpikeType.PRICE, SpikeType.VOLUME),
        description="Kinds of spike that are reported: price, volume.",
    )
    default_thresholds: SpikeThresholds = Field(
        default_factory=SpikeThresholds,
        description="Price thresholds of pairs without thresholds of their own.",
    )
    pair_thresholds: dict[SymbolName, SpikeThresholds] = Field(
        default_factory=_pair_thresholds,
        description="Price thresholds per pair: what is a spike for BTC is noise for a small coin.",
    )
    min_z_score: float = Field(
        default=3.0,
        ge=0,
        le=50,
        description="A price spike must also stand out from the pair's own returns by this many"
        " standard deviations (not asked while the pair has too little history).",
    )
    volume_multiple: float = Field(
        default=3.0,
        gt=1,
        le=1000,
        description="A volume spike trades this many times the pair's usual volume.",
    )
    volume_min_move_share: Fraction = Field(
        default=0.5,
        description="A volume spike must move the price by this share of the pair's price"
        " threshold, which also gives its direction.",
    )
    min_confidence: Fraction = Field(
        default=0.6, description="Spikes below this confidence (0 to 1) are not reported."
    )
    cooldown_s: int = Field(
        default=300,
        ge=0,
        le=86_400,
        description="After a spike, the same pair and direction stays quiet for this long, in"
        " seconds of market time.",
    )

    def thresholds_of(self, symbol: str) -> SpikeThresholds:
        """The price thresholds that hold for ``symbol``."""
        return self.pair_thresholds.get(symbol, self.default_thresholds)


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
    """A weighted index of the tracked pairs, the stand-in for total market capitalisation."""

    fall_4h_pct: float = Field(
        default=20.0, gt=0, lt=100, description="Fall within four hours that trips, in %."
    )
    btc_weight: Fraction = Field(default=0.5, description="Weight of BTC in the index.")
    eth_weight: Fraction = Field(
        default=0.2, description="Weight of ETH; the other pairs share the rest equally."
    )

    @model_validator(mode="after")
    def _weights_leave_a_rest(self) -> MarketIndexConfig:
        if self.btc_weight + self.eth_weight > 1:
            raise ValueError("btc_weight + eth_weight must not exceed 1")
        return self


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
        default_factory=MarketIndexConfig, description="Fall of the whole market over four hours."
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
        description="Trades in a row beyond a BTC or ETH limit that confirm it (1: none needed).",
    )
    confirming_share: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="A breach of one of BTC and ETH is confirmed at once when the other has used"
        " this share of its own limit over the same window.",
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
