"""How much a client may ask of a market: weights, orders, connections, and what follows excess."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from trading.model.base import ConfigModel


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
