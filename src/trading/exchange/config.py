"""Settings of the way to a venue: which, how, and with which patience."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from trading.errors import ConfigurationError
from trading.exchange.venues import (
    DEFAULT_ENDPOINTS,
    FUTURES_TRADING_STREAMS,
    VENUE_HOSTS,
    VenueEndpoints,
    VenueName,
    is_loopback,
)
from trading.model.base import ConfigModel


class RetryConfig(ConfigModel):
    """How reads that fail are repeated. Orders are sent once, whatever becomes of them."""

    attempts: int = Field(
        default=5, ge=1, le=20, description="How often a read is tried at most, the first included."
    )
    timeout_s: float = Field(
        default=8.0, gt=0, le=120, description="No repetition begins later than this, in seconds."
    )
    first_wait_s: float = Field(
        default=0.1,
        gt=0,
        le=10,
        description="Pause before the first repetition, in seconds; it doubles, and up to as much "
        "is added by chance.",
    )
    max_wait_s: float = Field(
        default=2.0, gt=0, le=60, description="Longest pause between repetitions, in seconds."
    )
    failures_in_a_row: int = Field(
        default=8,
        ge=2,
        le=1_000,
        description="So many failures in a row, and the venue's REST interface counts as down: no "
        "entries, and no calls but one now and then, until one succeeds.",
    )
    pause_s: float = Field(
        default=1.0,
        gt=0,
        le=60,
        description="Pause before the first such call, in seconds; it doubles up to max_pause_s.",
    )
    max_pause_s: float = Field(
        default=5.0, gt=0, le=600, description="Longest pause before such a call, in seconds."
    )

    @model_validator(mode="after")
    def _pauses_grow(self) -> RetryConfig:
        if self.max_wait_s < self.first_wait_s or self.max_pause_s < self.pause_s:
            raise ValueError("max_wait_s and max_pause_s must not be below the first ones")
        return self


class ReconnectConfig(ConfigModel):
    """How streams are watched and brought back. Retries never end."""

    stale_after_ms: int = Field(
        default=5_000,
        ge=500,
        le=600_000,
        description="Silence on the market stream after which its socket is replaced (ms). Well"
        " below crash_detection.stale_after_ms, a silent socket is replaced before it is a halt.",
    )
    first_delay_ms: int = Field(
        default=100, ge=1, le=60_000, description="Pause before the first reconnection (ms)."
    )
    max_delay_ms: int = Field(
        default=5_000,
        ge=1,
        le=600_000,
        description="Longest pause between reconnections; the pause doubles up to it (ms).",
    )
    ping_interval_s: float = Field(
        default=10.0,
        gt=0,
        le=60,
        description="Ping sent this often on every socket; no pong in that time: replaced (s).",
    )
    connect_timeout_s: float = Field(
        default=10.0, gt=0, le=60, description="Longest wait for a socket's handshake (s)."
    )

    @model_validator(mode="after")
    def _delays_grow(self) -> ReconnectConfig:
        if self.max_delay_ms < self.first_delay_ms:
            raise ValueError(
                f"max_delay_ms={self.max_delay_ms} must be at least first_delay_ms="
                f"{self.first_delay_ms}"
            )
        return self


class FuturesConfig(ConfigModel):
    """Trading of USD-M perpetuals in place of spot pairs: long only, in one-way mode."""

    enabled: bool = Field(
        default=False,
        description="Send orders to the USD-M perpetuals of the pairs instead of spot.",
    )
    leverage: int = Field(
        default=1,
        ge=1,
        le=20,
        description="Leverage set for every traded contract; what may be risked is limited in"
        " section risk, whatever the leverage.",
    )
    margin_type: Literal["ISOLATED", "CROSSED"] = Field(
        default="ISOLATED", description="Margin type set for every traded contract."
    )


class ExchangeConfig(ConfigModel):
    """Which venue is traded, how, and with which patience."""

    venue: VenueName = Field(
        default="sim",
        description="sim: embedded exchange; testnet: Binance testnet; demo: Binance demo mode, its"
        " market with play money; binance: real money.",
    )
    dry_run: bool = Field(
        default=False,
        description="Live data, paper fills: no signed request leaves, no key is needed.",
    )
    i_understand_this_trades_real_money: bool = Field(
        default=False,
        description="Must be true before venue binance sends a real order.",
    )
    futures: FuturesConfig = Field(
        default_factory=FuturesConfig, description="Trading of USD-M perpetuals; off by default."
    )
    futures_signals: bool = Field(
        default=True,
        description="Hear liquidations, funding and futures prices for the crash rules, where"
        " there is an address for them (endpoints.futures_stream_url).",
    )
    recv_window_ms: int = Field(
        default=1000,
        ge=100,
        le=60_000,
        description="The venue refuses our request when it arrives later than this (ms).",
    )
    request_timeout_s: float = Field(
        default=5.0,
        gt=0,
        le=60,
        description="Wait for an answer; for an order, silence then means an unknown outcome (s).",
    )
    time_resync_interval_s: float = Field(
        default=300.0,
        ge=1,
        le=86_400,
        description="How often the offset between our clock and the venue's is measured (s).",
    )
    endpoints: VenueEndpoints = Field(
        default_factory=VenueEndpoints,
        description="Other addresses than the venue's own; only its own hosts and loopback pass.",
    )
    retry: RetryConfig = Field(
        default_factory=RetryConfig, description="Repeating reads that fail."
    )
    reconnect: ReconnectConfig = Field(
        default_factory=ReconnectConfig, description="Watchdog and back-off of the streams."
    )

    @model_validator(mode="after")
    def _endpoints_belong_to_the_venue(self) -> ExchangeConfig:
        for url in self.endpoints.urls:
            host = urlsplit(url).hostname or ""
            if not (is_loopback(host) or host in VENUE_HOSTS[self.venue]):
                allowed = ", ".join(("loopback", *sorted(VENUE_HOSTS[self.venue])))
                raise ValueError(f"{url} is no host of venue {self.venue}; allowed: {allowed}")
            if urlsplit(url).scheme in ("http", "ws") and not is_loopback(host):
                raise ValueError(f"{url} would send keys in clear text: use https or wss")
        return self

    @model_validator(mode="after")
    def _paper_is_spot(self) -> ExchangeConfig:
        if self.dry_run and self.futures.enabled:
            raise ValueError("there is no paper trading of futures: set dry_run or futures.enabled")
        return self

    @property
    def account_name(self) -> str:
        """What the account's rows are called in the store: one venue may have several."""
        if self.dry_run:
            return f"{self.venue}-paper"
        return f"{self.venue}-futures" if self.futures.enabled else self.venue

    @property
    def venue_label(self) -> str:
        """The venue, for people: a dry run must be told from a run that trades."""
        return f"{self.venue} (dry run: paper fills)" if self.dry_run else self.venue

    def resolved_endpoints(self) -> VenueEndpoints:
        """The addresses to use, the venue's own filled in.

        Raises:
            ConfigurationError: venue sim, whose addresses are only known once it runs, has none.
        """
        defaults = DEFAULT_ENDPOINTS[self.venue]
        endpoints = VenueEndpoints(
            rest_url=self.endpoints.rest_url or defaults.rest_url,
            stream_url=self.endpoints.stream_url or defaults.stream_url,
            ws_api_url=self.endpoints.ws_api_url or defaults.ws_api_url,
            futures_rest_url=self.endpoints.futures_rest_url or defaults.futures_rest_url,
            futures_stream_url=self._futures_stream_url(),
            # A host of one's own is not left for the venue's.
            fallback_rest_urls=self.endpoints.fallback_rest_urls
            or (() if self.endpoints.rest_url else defaults.fallback_rest_urls),
        )
        if not (endpoints.rest_url and endpoints.stream_url and endpoints.ws_api_url):
            raise ConfigurationError(
                f"exchange.endpoints: venue {self.venue} needs rest_url, stream_url and ws_api_url"
            )
        if self.futures.enabled and not (
            endpoints.futures_rest_url and endpoints.futures_stream_url
        ):
            raise ConfigurationError(
                f"exchange.endpoints: venue {self.venue} needs futures_rest_url and"
                " futures_stream_url where exchange.futures.enabled is true"
            )
        return endpoints

    def _futures_stream_url(self) -> str:
        own = DEFAULT_ENDPOINTS[self.venue].futures_stream_url
        if self.futures.enabled:
            own = own or FUTURES_TRADING_STREAMS.get(self.venue, "")
        return self.endpoints.futures_stream_url or own

    @property
    def hears_futures(self) -> bool:
        """Whether futures streams are wanted and have an address."""
        own = DEFAULT_ENDPOINTS[self.venue].futures_stream_url
        return self.futures_signals and bool(self.endpoints.futures_stream_url or own)
