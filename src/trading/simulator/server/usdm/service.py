"""Assembles the futures half of the server around an exchange."""

from __future__ import annotations

import asyncio
import contextlib

from aiohttp import WSCloseCode, web

from trading.simulator.config import UserEventOrder
from trading.simulator.futures.exchange import FuturesExchange
from trading.simulator.futures.margin import NO_MARGIN
from trading.simulator.server.config import ExchangeServerConfig
from trading.simulator.server.connection import ConnectionRegistry, SocketHabits
from trading.simulator.server.context import CONTEXT
from trading.simulator.server.faults import Faults
from trading.simulator.server.maintenance import out_of_service
from trading.simulator.server.params import LooseParams
from trading.simulator.server.rate_limits import RateLimiter
from trading.simulator.server.rest import MarketRest
from trading.simulator.server.signatures import KeyRing
from trading.simulator.server.usdm.account_desk import AccountDesk
from trading.simulator.server.usdm.algo_desk import AlgoDesk
from trading.simulator.server.usdm.context import USDM, UsdmContext
from trading.simulator.server.usdm.countdown import Countdowns
from trading.simulator.server.usdm.endpoints import KEYED, PUBLIC
from trading.simulator.server.usdm.history_desk import HistoryDesk
from trading.simulator.server.usdm.listen_keys import ListenKeys
from trading.simulator.server.usdm.market_wire import MarketWire
from trading.simulator.server.usdm.order_desk import OrderDesk
from trading.simulator.server.usdm.stream_routes import add_stream_routes
from trading.simulator.server.usdm.streams import FuturesStreams
from trading.simulator.server.usdm.unknown import unknown_request
from trading.simulator.server.usdm.user_events import UserEventHub
from trading.simulator.server.usdm.ws_api import add_ws_api_routes

HOUSEKEEPING_S = 0.5
CLIENT_MESSAGES_PER_S = 10
SHUTDOWN_TIMEOUT_S = 1.0


def futures_app(
    exchange: FuturesExchange,
    config: ExchangeServerConfig,
    keys: KeyRing,
    faults: Faults,
    event_order: UserEventOrder,
    latency_ms: int,
) -> web.Application:
    """The application to be served on the futures' own port."""
    limits = config.futures_rate_limits
    limiter = RateLimiter(limits)
    wire = MarketWire(exchange)
    hub = UserEventHub(exchange, event_order, config.seed, faults)
    context = UsdmContext(
        config=config,
        latency_ms=latency_ms,
        keys=keys,
        limiter=limiter,
        connections=ConnectionRegistry(
            config.connection_life_s,
            SocketHabits(
                config.futures_ping_interval_s,
                config.futures_pong_timeout_s,
                CLIENT_MESSAGES_PER_S,
            ),
            limiter,
            faults,
        ),
        faults=faults,
        users=hub,
        no_funds=NO_MARGIN,
        exchange=exchange,
        wire=wire,
        orders=OrderDesk(exchange, limiter, faults, Countdowns(exchange)),
        algos=AlgoDesk(exchange, limiter, faults),
        account=AccountDesk(exchange, faults, limits),
        history=HistoryDesk(exchange),
        listen_keys=ListenKeys(hub.key_expired, config.listen_key_life_s),
        streams=FuturesStreams(exchange, wire),
        hub=hub,
    )
    rest = MarketRest(context, "", params=LooseParams, unknown=unknown_request)
    app = web.Application(middlewares=[out_of_service, rest.middleware("/fapi")])
    app[CONTEXT] = context
    app[USDM] = context
    rest.add_routes(app, PUBLIC, KEYED)
    add_stream_routes(app)
    add_ws_api_routes(app)
    return app


class FuturesService:
    """The futures half while it is served."""

    def __init__(self, app: web.Application) -> None:
        self.context = app[USDM]
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT_S)

    async def start(self, host: str, port: int) -> str:
        """Listen; returns host and port. Port 0: a free one."""
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        return f"{host}:{self._runner.addresses[0][1]}"

    async def keep_house(self) -> None:
        """End what time ends: listen keys, and orders that are good till a date."""
        context = self.context
        while True:
            await asyncio.sleep(HOUSEKEEPING_S)
            context.listen_keys.expire()
            context.exchange.expire(context.faults.wall_ms())

    async def stop(self) -> None:
        """Close every socket, free the port."""
        for connection in self.context.connections.open():
            connection.close(WSCloseCode.GOING_AWAY)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(connection.closed(), SHUTDOWN_TIMEOUT_S)
        await self._runner.cleanup()
