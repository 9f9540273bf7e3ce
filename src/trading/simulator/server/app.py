"""Assembles the server around an exchange, and runs it on a port."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSCloseCode, web

from trading.simulator.accounts import INSUFFICIENT_BALANCE
from trading.simulator.exchange import SimulatedExchange
from trading.simulator.futures.exchange import FuturesExchange
from trading.simulator.server.config import AccountConfig, ExchangeServerConfig
from trading.simulator.server.connection import ConnectionRegistry, SocketHabits
from trading.simulator.server.context import CONTEXT
from trading.simulator.server.control import add_control_routes
from trading.simulator.server.fault_schedule import follow
from trading.simulator.server.faults import Faults
from trading.simulator.server.maintenance import out_of_service
from trading.simulator.server.rate_limits import RateLimiter
from trading.simulator.server.signatures import ApiKey, KeyRing
from trading.simulator.server.spot.account_desk import AccountDesk
from trading.simulator.server.spot.context import SPOT, SpotContext
from trading.simulator.server.spot.desk import OrderDesk
from trading.simulator.server.spot.list_desk import ListDesk
from trading.simulator.server.spot.replace_desk import ReplaceDesk
from trading.simulator.server.spot.rest import add_rest_routes, spot_rest
from trading.simulator.server.spot.stream_routes import add_stream_routes
from trading.simulator.server.spot.streams import MarketStreams
from trading.simulator.server.spot.user_events import UserEventHub
from trading.simulator.server.spot.ws_api import add_ws_api_routes
from trading.simulator.server.usdm.service import FuturesService, futures_app
from trading.simulator.server.wire import Json
from trading.simulator.tape_shock import TapeShock

SHUTDOWN_TIMEOUT_S = 1.0
CLIENT_MESSAGES_PER_S = 5


@dataclass(slots=True)
class RunningServer:
    """A server that listens. ``stop`` it; or use it as an async context manager."""

    host: str
    port: int
    keys: tuple[ApiKey, ...]
    context: SpotContext
    _runner: web.AppRunner
    futures: FuturesService | None = None
    futures_address: str = ""
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def rest_url(self) -> str:
        """Base of REST; python-binance's API_URL is this plus ``/api``."""
        return f"http://{self.host}:{self.port}"

    @property
    def ws_url(self) -> str:
        """Base of the market streams: ``/ws/<stream>`` and ``/stream`` follow."""
        return f"ws://{self.host}:{self.port}"

    @property
    def ws_api_url(self) -> str:
        return f"{self.ws_url}/ws-api/v3"

    @property
    def futures_rest_url(self) -> str:
        """Base of the futures' REST, ``/fapi`` follows; empty where none are served."""
        return f"http://{self.futures_address}" if self.futures_address else ""

    @property
    def futures_ws_url(self) -> str:
        """Base of the futures' streams: ``/public``, ``/market`` and ``/private`` follow."""
        return f"ws://{self.futures_address}" if self.futures_address else ""

    @property
    def futures_ws_api_url(self) -> str:
        return f"{self.futures_ws_url}/ws-fapi/v1" if self.futures_address else ""

    @property
    def exchange(self) -> SimulatedExchange:
        return self.context.exchange

    @property
    def faults(self) -> Faults:
        return self.context.faults

    @property
    def received_orders(self) -> list[Json]:
        """Order posts so far: times of arrival, parameters, accepted or not."""
        return list(self.context.desk.received)

    def drop_websockets(self, kind: str | None = None) -> int:
        """Cut all sockets ("market", "user" or both) without a closing handshake."""
        dropped = self.context.connections.drop(kind)
        if self.futures is not None:
            dropped += self.futures.context.connections.drop(kind)
        return dropped

    def start_task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run ``work`` until it ends or the server stops."""
        task = asyncio.create_task(work)
        self._tasks.append(task)
        return task

    async def stop(self) -> None:
        """Announce the shutdown on every socket, close them, free the port."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.context.connections.announce_shutdown()
        connections = self.context.connections.open()
        await asyncio.gather(*(connection.flush() for connection in connections))
        for connection in connections:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(
                    connection.socket.close(code=WSCloseCode.GOING_AWAY), SHUTDOWN_TIMEOUT_S
                )
        await self._runner.cleanup()
        if self.futures is not None:
            await self.futures.stop()

    async def __aenter__(self) -> RunningServer:
        return self

    async def __aexit__(self, *_exc_info: object) -> None:
        await self.stop()


async def start_server(
    exchange: SimulatedExchange,
    host: str = "127.0.0.1",
    port: int = 0,
    config: ExchangeServerConfig | None = None,
    futures: FuturesExchange | None = None,
) -> RunningServer:
    """Serve ``exchange``, and ``futures`` on a port of their own.

    Accounts are opened from ``config.accounts``, with the same key on both. Port 0: a free one.
    """
    config = config or ExchangeServerConfig()
    keys = tuple(_open_account(exchange, account) for account in config.accounts)
    limiter = RateLimiter(config.rate_limits)
    streams = MarketStreams(exchange)
    faults = Faults()
    key_ring = KeyRing(keys, faults.wall_ms)
    desk = OrderDesk(exchange, limiter, faults)
    hub = UserEventHub(exchange, exchange.config.user_event_order, config.seed, faults)
    context = SpotContext(
        config=config,
        latency_ms=exchange.config.latency_ms,
        keys=key_ring,
        limiter=limiter,
        connections=ConnectionRegistry(
            config.connection_life_s,
            SocketHabits(config.ping_interval_s, config.pong_timeout_s, CLIENT_MESSAGES_PER_S),
            limiter,
            faults,
        ),
        faults=faults,
        users=hub,
        no_funds=INSUFFICIENT_BALANCE,
        exchange=exchange,
        desk=desk,
        replace=ReplaceDesk(desk),
        lists=ListDesk(desk),
        account=AccountDesk(desk, faults, config.rate_limits),
        streams=streams,
        hub=hub,
        shock=TapeShock(),
    )
    rest = spot_rest(context)
    app = web.Application(middlewares=[out_of_service, rest.middleware("/api", "/sapi")])
    app[CONTEXT] = context
    app[SPOT] = context
    add_rest_routes(app, rest)
    add_stream_routes(app)
    add_ws_api_routes(app)
    if config.control:
        add_control_routes(app)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT_S)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    bound_port = int(runner.addresses[0][1])
    server = RunningServer(host, bound_port, keys, context, runner)
    server.start_task(streams.run())
    if futures is not None:
        for account in config.accounts:
            futures.open_account(account.account_id, account.futures_balances)
        settings = exchange.config
        service = FuturesService(
            futures_app(
                futures, config, key_ring, faults, settings.user_event_order, settings.latency_ms
            )
        )
        server.futures = service
        server.futures_address = await service.start(host, config.futures_port)
        server.start_task(service.context.streams.run())
        server.start_task(service.keep_house())
    if config.faults is not None:
        server.start_task(follow(config.faults, faults))
    return server


def _open_account(exchange: SimulatedExchange, account: AccountConfig) -> ApiKey:
    exchange.open_account(account.account_id, account.balances)
    return ApiKey(
        key=account.api_key or secrets.token_hex(32),
        secret=account.api_secret.get_secret_value() or secrets.token_hex(32),
        account_id=account.account_id,
        public_key=account.public_key,
        can_withdraw=account.can_withdraw or exchange.config.can_withdraw,
    )
