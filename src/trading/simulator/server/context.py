"""What the server's handlers share."""

from __future__ import annotations

from dataclasses import dataclass, field

from aiohttp import web

from trading.simulator.exchange import SimulatedExchange
from trading.simulator.server.config import ExchangeServerConfig
from trading.simulator.server.connection import ConnectionRegistry
from trading.simulator.server.desk import OrderDesk
from trading.simulator.server.rate_limits import RateLimiter
from trading.simulator.server.signatures import KeyRing
from trading.simulator.server.streams import MarketStreams
from trading.simulator.server.user_events import UserEventHub
from trading.simulator.tape_shock import TapeShock


@dataclass(slots=True)
class Faults:
    """Misbehaviour on demand, for tests of those who use the venue."""

    lost_order_answers: int = 0  # so many of the next orders execute and are never answered
    refused_orders: int = 0  # so many of the next orders get a 503 before they are looked at


@dataclass(slots=True)
class ServerContext:
    exchange: SimulatedExchange
    config: ExchangeServerConfig
    keys: KeyRing
    limiter: RateLimiter
    desk: OrderDesk
    streams: MarketStreams
    users: UserEventHub
    connections: ConnectionRegistry
    shock: TapeShock
    faults: Faults = field(default_factory=Faults)


CONTEXT = web.AppKey("context", ServerContext)
