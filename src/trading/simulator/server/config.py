"""Configuration of the exchange server process, read as one line of JSON on its stdin."""

from __future__ import annotations

from decimal import Decimal

from pydantic import Field, SecretStr

from trading.model.base import ConfigModel
from trading.simulator.config import SimulatorConfig
from trading.simulator.market_config import MarketGeneratorConfig
from trading.simulator.server.fault_config import FaultScheduleConfig
from trading.simulator.server.limit_config import RateLimitConfig, UsdmRateLimitConfig


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
    futures_balances: dict[str, Decimal] | None = Field(
        default=None, description="The futures wallet; none: that of the simulator section."
    )
    can_withdraw: bool = Field(
        default=False, description="Whether the key reports the right to withdraw."
    )


class ExchangeServerConfig(ConfigModel):
    """All that the exchange server process needs to know."""

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=0, ge=0, le=65535, description="Port; 0 takes a free one.")
    speed: float = Field(
        default=1.0, ge=0, le=1000, description="Market seconds per wall second; 0 is a pause."
    )
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
    faults: FaultScheduleConfig | None = Field(
        default=None, description="What goes wrong, and when; none: nothing."
    )
    accounts: tuple[AccountConfig, ...] = Field(
        default=(AccountConfig(),), min_length=1, description="Accounts and their API keys."
    )
    rate_limits: RateLimitConfig = Field(
        default_factory=RateLimitConfig, description="Request limits."
    )
    futures_port: int = Field(
        default=0, ge=0, le=65535, description="Port of USD-M futures; 0 takes a free one."
    )
    futures_ping_interval_s: float = Field(
        default=180, gt=0, description="Futures' WebSockets are pinged every so many seconds."
    )
    futures_pong_timeout_s: float = Field(
        default=600, gt=0, description="One without a pong for so long is closed."
    )
    listen_key_life_s: float = Field(
        default=3600, gt=0, description="A listen key that is not kept alive ends after so long."
    )
    futures_rate_limits: UsdmRateLimitConfig = Field(
        default_factory=UsdmRateLimitConfig, description="Request limits of USD-M futures."
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
