"""Settings of the market half of the core: symbols, spike detection, crash detection."""

from __future__ import annotations

from pydantic import Field, model_validator

from trading.market.crash_config import BreadthConfig as BreadthConfig
from trading.market.crash_config import CrashDetectionConfig as CrashDetectionConfig
from trading.market.crash_config import LeaderFallConfig as LeaderFallConfig
from trading.market.crash_config import MarketIndexConfig as MarketIndexConfig
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
    stablecoins: tuple[SymbolName, ...] = Field(
        default=("USDCUSDT", "FDUSDUSDT", "DAIUSDT"),
        description="Pairs of other dollars against quote_asset, watched for a lost peg only; those"
        " that the venue does not list are left out.",
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
        both = sorted(set(self.symbols) & set(self.stablecoins))
        if both:
            raise ValueError(f"stablecoins and symbols share {', '.join(both)}; only watch a peg")
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

    @property
    def by_window(self) -> tuple[float, float, float]:
        """The moves in the order of the windows, shortest first."""
        return self.one_minute_pct, self.five_minutes_pct, self.fifteen_minutes_pct


def _pair_thresholds() -> dict[str, SpikeThresholds]:
    return {
        "BTCUSDT": SpikeThresholds(
            one_minute_pct=1.0, five_minutes_pct=1.5, fifteen_minutes_pct=2.5
        ),
        "ETHUSDT": SpikeThresholds(
            one_minute_pct=1.3, five_minutes_pct=2.0, fifteen_minutes_pct=3.3
        ),
    }


class DivergenceConfig(ConfigModel):
    """Perpetual and spot of one coin apart from each other."""

    pct: float = Field(
        default=2.0, gt=0, le=50, description="Distance of the futures price from spot, in %."
    )
    hold_s: float = Field(
        default=10.0,
        ge=0,
        le=600,
        description="It must last this long, in seconds of market time: one late price is none.",
    )
    max_age_ms: int = Field(
        default=5_000,
        ge=100,
        le=60_000,
        description="Prices that lie farther apart in time than this are not compared, in ms.",
    )


class BookImbalanceConfig(ConfigModel):
    """One side of the order book far heavier than the other."""

    ratio: float = Field(
        default=3.0, gt=1, le=100, description="Heavier side over the lighter one, by notional."
    )
    levels: int = Field(
        default=10, ge=1, le=20, description="Best levels of each side that are counted."
    )
    min_notional_usd: float = Field(
        default=1_000_000.0, gt=0, description="Notional that the heavier side must hold, in USD."
    )
    hold_s: float = Field(
        default=5.0,
        ge=0,
        le=600,
        description="It must last this long, in seconds of market time: spoofed orders vanish.",
    )
    max_gap_ms: int = Field(
        default=3_000,
        ge=100,
        le=60_000,
        description="A longer pause between two views of the book starts the hold anew, in ms.",
    )


class LiquidationCascadeConfig(ConfigModel):
    """Forced orders of one asset within five minutes."""

    usd_5m: float = Field(
        default=50_000_000.0,
        gt=0,
        description="Liquidated notional of one asset within five minutes, in USD. Binance"
        " publishes at most one liquidation a second per contract, so the true sum is higher.",
    )


class NewsCatalystConfig(ConfigModel):
    """A headline and a move together."""

    move_pct: float = Field(
        default=5.0, gt=0, le=100, description="Move from the low or high of the span, in %."
    )
    within_s: int = Field(
        default=120,
        ge=10,
        le=300,
        description="Length of the move, and of its distance from the headline, in seconds.",
    )


class SeverityConfig(ConfigModel):
    """Where the classes minor, moderate, major and extreme begin, in multiples of the limit."""

    moderate: float = Field(default=1.5, gt=1, le=1000, description="Moderate from here on.")
    major: float = Field(default=2.5, gt=1, le=1000, description="Major from here on.")
    extreme: float = Field(default=4.0, gt=1, le=1000, description="Extreme from here on.")

    @model_validator(mode="after")
    def _rise(self) -> SeverityConfig:
        if not self.moderate < self.major < self.extreme:
            raise ValueError("moderate, major and extreme must rise in this order")
        return self


class CoMovementConfig(ConfigModel):
    """When a spike counts as the pair's own and when as the market's."""

    beta_minutes: int = Field(
        default=120,
        ge=15,
        le=240,
        description="Minutes before the move from which the pair's usual part in BTC's moves"
        " is taken.",
    )
    isolated_from: Fraction = Field(
        default=0.65,
        description="Isolated when BTC's move leaves at least this share unexplained.",
    )
    market_below: Fraction = Field(
        default=0.35, description="The market's move when it leaves less than this unexplained."
    )

    @model_validator(mode="after")
    def _in_order(self) -> CoMovementConfig:
        if self.market_below > self.isolated_from:
            raise ValueError("market_below must not exceed isolated_from")
        return self


class SpikeDetectionConfig(ConfigModel):
    """When a move of one pair is reported as a spike."""

    enabled: bool = Field(default=True, description="Detect spikes at all.")
    check_circuit_breaker: bool = Field(
        default=True,
        description="Record spikes that come while the breaker halts trading as skipped. When"
        " false they are queued; the crews are still refused by the gate.",
    )
    types: tuple[SpikeType, ...] = Field(
        default=tuple(SpikeType),
        description="Kinds of spike that are reported: price, volume, divergence, imbalance,"
        " liquidation, news.",
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
        default=14.0,
        ge=0,
        le=50,
        description="A price spike must also stand out from the pair's own returns by this many"
        " standard deviations (not asked while the pair has too little history).",
    )
    price_min_volume_multiple: float = Field(
        default=3.0,
        ge=0,
        le=1000,
        description="A price spike must come on this many times the pair's usual volume (not asked"
        " while the pair has too little history).",
    )
    min_notional_usd: float = Field(
        default=70_000.0,
        ge=0,
        description="Notional that a price or volume spike's window must have traded, in the quote"
        " asset: a price nobody traded at is no price.",
    )
    volume_multiple: float = Field(
        default=5.0,
        gt=1,
        le=1000,
        description="A volume spike trades this many times the pair's usual volume.",
    )
    volume_sigma: float = Field(
        default=5.0,
        gt=0,
        le=1000,
        description="A volume spike's minute lies this many standard deviations above the mean of"
        " the pair's minutes of the last 24 h.",
    )
    volume_min_move_share: Fraction = Field(
        default=0.8,
        description="A volume spike must move the price by this share of the pair's price"
        " threshold, which also gives its direction.",
    )
    divergence: DivergenceConfig = Field(
        default_factory=DivergenceConfig, description="Futures and spot price apart."
    )
    imbalance: BookImbalanceConfig = Field(
        default_factory=BookImbalanceConfig, description="A lopsided order book."
    )
    liquidation: LiquidationCascadeConfig = Field(
        default_factory=LiquidationCascadeConfig, description="A cascade of forced orders."
    )
    news: NewsCatalystConfig = Field(
        default_factory=NewsCatalystConfig, description="A headline with a move."
    )
    severity: SeverityConfig = Field(
        default_factory=SeverityConfig, description="Classes of severity."
    )
    co_movement: CoMovementConfig = Field(
        default_factory=CoMovementConfig, description="The pair's own move or the market's."
    )
    min_confidence: Fraction = Field(
        default=0.6, description="Spikes below this confidence (0 to 1) are not reported."
    )
    cooldown_s: int = Field(
        default=300,
        ge=0,
        le=86_400,
        description="After a spike, the same pair and direction stays quiet for this long, in"
        " seconds of market time, whatever else is seen: one move is one spike.",
    )

    def thresholds_of(self, symbol: str) -> SpikeThresholds:
        """The price thresholds that hold for ``symbol``."""
        return self.pair_thresholds.get(symbol, self.default_thresholds)
