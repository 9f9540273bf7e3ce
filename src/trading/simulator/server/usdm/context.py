"""What the handlers of USD-M futures share."""

from __future__ import annotations

from dataclasses import dataclass, field

from aiohttp import web

from trading.simulator.futures.exchange import FuturesExchange
from trading.simulator.server.context import ServerContext
from trading.simulator.server.stream_board import StreamBoard
from trading.simulator.server.usdm.account_desk import AccountDesk
from trading.simulator.server.usdm.algo_desk import AlgoDesk
from trading.simulator.server.usdm.history_desk import HistoryDesk
from trading.simulator.server.usdm.listen_keys import ListenKeys
from trading.simulator.server.usdm.market_wire import MarketWire
from trading.simulator.server.usdm.order_desk import OrderDesk
from trading.simulator.server.usdm.streams import FuturesStreams
from trading.simulator.server.usdm.user_events import UserEventHub


@dataclass(slots=True)
class UsdmContext(ServerContext):
    """Futures' desks and streams."""

    exchange: FuturesExchange
    wire: MarketWire
    orders: OrderDesk
    algos: AlgoDesk
    account: AccountDesk
    history: HistoryDesk
    listen_keys: ListenKeys
    streams: FuturesStreams
    hub: UserEventHub
    key_board: StreamBoard = field(default_factory=StreamBoard)  # subscriptions to listen keys


USDM = web.AppKey("usdm", UsdmContext)
