"""Configuration of the exchange server process, read as one line of JSON on its stdin."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from pydantic import Field, SecretStr

from trading.model.base import ConfigModel
from trading.simulator.config import SimulatorConfig
from trading.simulator.market_config import MarketGeneratorConfig
from trading.simulator.server.faults import Fault, FaultKind


@dataclass(frozen=True, slots=True)
class OrderLimit:
    """So many new orders of one account within a window, which begins at multiples of itself."""

    number: int
    interval: Literal["SECOND", "MINUTE", "DAY"]
    most: int

    @property
    def length_s(self) -> int:
        return self.number * {"SECOND": 1, "MINUTE": 60, "DAY": 86_400}[self.interval]

    @property
    def label(self) -> str:
        return f"{self.number} {self.interval}"

    @property
    def header(self) -> str:
        """Name of the response header that tells the count."""
        return f"X-MBX-ORDER-COUNT-{self.number}{self.interval[0]}"


class RequestLimitConfig(ConfigModel, ABC):
    """Limits that every market has, in windows aligned to wall time as on the real venue."""

    weight_per_minute: int = Field(
        default=6000, ge=1, description="REQUEST_WEIGHT: request weight per IP and minute."
    )
    orders_per_10s: int = Field(
        default=100, ge=1, description="ORDERS: unfilled new orders per account and 10 seconds."
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

    @property
    @abstractmethod
    def order_limits(self) -> tuple[OrderLimit, ...]:
        """How many new orders an account may send, by window."""

    @property
    def pools(self) -> Mapping[str, int]:
        """Limits beside the weight, in calls per IP and five minutes, by name."""
        return {}

    @abstractmethod
    def too_much(self) -> str:
        """Message of -1003 past the weight limit."""

    @abstractmethod
    def banned_until(self, until_ms: int) -> str:
        """Message of -1003 during a ban."""


class RateLimitConfig(RequestLimitConfig):
    """Spot's request limits."""

    orders_per_day: int = Field(
        default=200_000, ge=1, description="ORDERS: unfilled new orders per account and day."
    )

    @property
    def order_limits(self) -> tuple[OrderLimit, ...]:
        return (
            OrderLimit(10, "SECOND", self.orders_per_10s),
            OrderLimit(1, "DAY", self.orders_per_day),
        )

    def too_much(self) -> str:
        return (
            f"Too much request weight used; current limit is {self.weight_per_minute} request"
            " weight per 1 MINUTE. Please use WebSocket Streams for live updates to avoid polling"
            " the API."
        )

    def banned_until(self, until_ms: int) -> str:
        return (
            f"Way too much request weight used; IP banned until {until_ms}."
            " Please use WebSocket Streams for live updates to avoid bans."
        )


class UsdmRateLimitConfig(RequestLimitConfig):
    """Request limits of USD-M futures, where every accepted order counts, filled or not."""

    weight_per_minute: int = Field(
        default=2400, ge=1, description="REQUEST_WEIGHT: request weight per IP and minute."
    )
    orders_per_10s: int = Field(
        default=300, ge=1, description="ORDERS: new orders per account and 10 seconds."
    )
    orders_per_minute: int = Field(
        default=1200, ge=1, description="ORDERS: new orders per account and minute."
    )
    funding_requests_per_5min: int = Field(
        default=500, ge=1, description="fundingRate and fundingInfo: calls per IP and 5 minutes."
    )
    data_requests_per_5min: int = Field(
        default=1000, ge=1, description="/futures/data/*: calls per IP and 5 minutes."
    )

    @property
    def order_limits(self) -> tuple[OrderLimit, ...]:
        return (
            OrderLimit(10, "SECOND", self.orders_per_10s),
            OrderLimit(1, "MINUTE", self.orders_per_minute),
        )

    @property
    def pools(self) -> Mapping[str, int]:
        return {"funding": self.funding_requests_per_5min, "data": self.data_requests_per_5min}

    def too_much(self) -> str:
        return (
            f"Too many requests; current limit is {self.weight_per_minute} requests per minute."
            " Please use the websocket for live updates to avoid polling the API."
        )

    def banned_until(self, until_ms: int) -> str:
        return (
            f"Way too many requests; IP banned until {until_ms}."
            " Please use the websocket for live updates to avoid bans."
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
    futures_balances: dict[str, Decimal] | None = Field(
        default=None, description="The futures wallet; none: that of the simulator section."
    )
    can_withdraw: bool = Field(
        default=False, description="Whether the key reports the right to withdraw."
    )


class TimedFault(Fault):
    """A fault, and when it comes: so many wall seconds after the server is ready."""

    at_s: float = Field(ge=0, allow_inf_nan=False, description="Wall seconds from the start on.")


class RandomFaultsConfig(ConfigModel):
    """Faults drawn with a seed: each kind comes up once before any comes up again."""

    seed: int = Field(default=1, ge=0, description="Seed of kinds, times and durations.")
    every_s: float = Field(
        default=5.0, gt=0, allow_inf_nan=False, description="Mean wall seconds between two faults."
    )
    kinds: tuple[FaultKind, ...] = Field(
        default=tuple(FaultKind), min_length=1, description="Kinds to draw from."
    )
    longest_ms: int = Field(
        default=2_000, ge=1, le=3_600_000, description="Longest duration of a fault (ms)."
    )


class FaultScheduleConfig(ConfigModel):
    """A bad day: listed faults, random ones, or both."""

    faults: tuple[TimedFault, ...] = Field(default=(), description="Faults at given times.")
    random: RandomFaultsConfig | None = Field(
        default=None, description="Faults at random times; none: only the listed ones."
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
