"""What the server's handlers share."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from trading.simulator.exchange import SimulatedExchange
from trading.simulator.server.config import ExchangeServerConfig
from trading.simulator.server.connection import ConnectionRegistry
from trading.simulator.server.faults import Faults
from trading.simulator.server.rate_limits import RateLimiter
from trading.simulator.server.signatures import KeyRing
from trading.simulator.server.spot.account_desk import AccountDesk
from trading.simulator.server.spot.desk import OrderDesk
from trading.simulator.server.spot.list_desk import ListDesk
from trading.simulator.server.spot.replace_desk import ReplaceDesk
from trading.simulator.server.spot.streams import MarketStreams
from trading.simulator.server.spot.user_events import UserEventHub
from trading.simulator.tape_shock import TapeShock


@dataclass(slots=True)
class ServerContext:
    exchange: SimulatedExchange
    config: ExchangeServerConfig
    keys: KeyRing
    limiter: RateLimiter
    desk: OrderDesk
    replace: ReplaceDesk
    lists: ListDesk
    account: AccountDesk
    streams: MarketStreams
    users: UserEventHub
    connections: ConnectionRegistry
    shock: TapeShock
    faults: Faults


CONTEXT = web.AppKey("context", ServerContext)
