"""What the handlers of every market share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from trading.simulator.server.config import ExchangeServerConfig
from trading.simulator.server.connection import ConnectionRegistry
from trading.simulator.server.faults import Faults
from trading.simulator.server.rate_limits import RateLimiter
from trading.simulator.server.signatures import KeyRing


class AccountEvents(Protocol):
    """User data on its way to the sockets that listen to an account."""

    def sends_before_answer(self) -> bool:
        """Whether the events of the order now being handled go out before its answer."""

    def hold(self, account_id: str) -> Callable[[], None]:
        """Keep the account's events back until the returned function is called."""

    async def flush(self, account_id: str) -> None:
        """Wait until the events sent so far are on the wire."""


@dataclass(slots=True)
class ServerContext:
    """The part of a market's context that signatures, limits and faults need."""

    config: ExchangeServerConfig
    latency_ms: int
    keys: KeyRing
    limiter: RateLimiter
    connections: ConnectionRegistry
    faults: Faults
    users: AccountEvents
    no_funds: tuple[int, str]  # code and message of the refusal


CONTEXT = web.AppKey("context", ServerContext)
