"""What spot's handlers share."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from trading.simulator.exchange import SimulatedExchange
from trading.simulator.server.context import ServerContext
from trading.simulator.server.spot.account_desk import AccountDesk
from trading.simulator.server.spot.desk import OrderDesk
from trading.simulator.server.spot.list_desk import ListDesk
from trading.simulator.server.spot.replace_desk import ReplaceDesk
from trading.simulator.server.spot.streams import MarketStreams
from trading.simulator.server.spot.user_events import UserEventHub
from trading.simulator.tape_shock import TapeShock


@dataclass(slots=True)
class SpotContext(ServerContext):
    """Spot's desks and streams."""

    exchange: SimulatedExchange
    desk: OrderDesk
    replace: ReplaceDesk
    lists: ListDesk
    account: AccountDesk
    streams: MarketStreams
    hub: UserEventHub
    shock: TapeShock


SPOT = web.AppKey("spot", SpotContext)
