"""Configuration of the exchange server process, read as one line of JSON on its stdin."""

from __future__ import annotations

from decimal import Decimal

from pydantic import Field, SecretStr

from trading.model.base import ConfigModel
from trading.simulator.config import SimulatorConfig
from trading.simulator.market_config import MarketGeneratorConfig


class RateLimitConfig(ConfigModel):
    """Request limits, in windows aligned to wall time as on the real venue."""

    weight_per_minute: int = Field(
        default=6000, ge=1, description="REQUEST_WEIGHT: request weight per IP and minute."
    )
    orders_per_10s: int = Field(
        default=100, ge=1, description="ORDERS: unfilled new orders per account and 10 seconds."
    )
    orders_per_day: int = Field(
        default=200_000, ge=1, description="ORDERS: unfilled new orders per account and day."
    )
    requests_per_5min: int = Field(
        default=300_000, ge=1, description="RAW_REQUESTS: requests per IP and five minutes."
    )
    connections_per_5min: int = Field(
        default=300, ge=1, description="WebSocket connections per IP and five minutes."
    )
    calls_before_ban: int = Field(
        default=20, ge=1, description="Calls in spite of 429, within one minute, before a 418 ban."
    )
    ban_s: int = Field(default=120, ge=1, description="Length of the first IP ban, in seconds.")
    max_ban_s: int = Field(
        default=259_200, ge=1, description="Longest IP ban; each ban doubles the one before."
    )


class AccountConfig(ConfigModel):
    """One account and its API key."""

    account_id: str = Field(default="main", min_length=1, description="Name of the account.")
    api_key: str = Field(default="", description="API key; empty: a random one is made.")
    api_secret: SecretStr = Field(
        default=SecretStr(""), description="Secret of the key; empty: a random one is made."
    )
    public_key: str = Field(
        default="",
        description="Ed25519 or RSA public key (PEM) that signs instead of the secret; or empty.",
    )
    balances: dict[str, Decimal] | None = Field(
        default=None, description="Initial balances; none: those of the simulator section."
    )
    can_withdraw: bool = Field(
        default=False, description="Whether the key reports the right to withdraw."
    )


class ExchangeServerConfig(ConfigModel):
    """All that the exchange server process needs to know."""

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=0, ge=0, le=65535, description="Port; 0 takes a free one.")
    speed: float = Field(default=1.0, gt=0, le=1000, description="Market seconds per wall second.")
    seed: int = Field(default=1, ge=0, description="Seed of the mixed order of user events.")
    data_dir: str | None = Field(
        default=None, description="Directory of recorded market data; none: a generated market."
    )
    window: str | None = Field(default=None, description="Name of a recorded window, for data_dir.")
    from_ms: int | None = Field(
        default=None, ge=0, description="Market time within the window at which to begin."
    )
    clock_start_ms: int | None = Field(
        default=None, ge=0, description="Market time at the start; none: the market's own start."
    )
    clock_anchor_monotonic_ns: int | None = Field(
        default=None,
        ge=0,
        description="Monotonic time at which the market starts; none: when the server is ready.",
    )
    control: bool = Field(
        default=False, description="Serve /control/* (price shocks, received orders) for tests."
    )
    accounts: tuple[AccountConfig, ...] = Field(
        default=(AccountConfig(),), min_length=1, description="Accounts and their API keys."
    )
    rate_limits: RateLimitConfig = Field(
        default_factory=RateLimitConfig, description="Request limits."
    )
    ping_interval_s: float = Field(
        default=20, gt=0, description="WebSockets are pinged every so many seconds."
    )
    pong_timeout_s: float = Field(
        default=60, gt=0, description="A WebSocket without a pong for so long is closed."
    )
    connection_life_s: int = Field(
        default=86_400, ge=1, description="WebSockets are closed after this many seconds."
    )
    simulator: SimulatorConfig = Field(
        default_factory=SimulatorConfig, description="Fees, book, filters, balances."
    )
    generator: MarketGeneratorConfig = Field(
        default_factory=MarketGeneratorConfig, description="The generated market."
    )
