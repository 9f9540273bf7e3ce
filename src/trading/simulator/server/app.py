"""Assembles the server around an exchange, and runs it on a port."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSCloseCode, web

from trading.simulator.exchange import SimulatedExchange
from trading.simulator.server.config import AccountConfig, ExchangeServerConfig
from trading.simulator.server.connection import ConnectionRegistry
from trading.simulator.server.context import CONTEXT, ServerContext
from trading.simulator.server.control import add_control_routes
from trading.simulator.server.faults import Faults
from trading.simulator.server.rate_limits import RateLimiter
from trading.simulator.server.signatures import ApiKey, KeyRing
from trading.simulator.server.spot.account_desk import AccountDesk
from trading.simulator.server.spot.desk import OrderDesk
from trading.simulator.server.spot.list_desk import ListDesk
from trading.simulator.server.spot.replace_desk import ReplaceDesk
from trading.simulator.server.spot.rest import add_rest_routes, answer_errors
from trading.simulator.server.spot.stream_routes import add_stream_routes
from trading.simulator.server.spot.streams import MarketStreams
from trading.simulator.server.spot.user_events import UserEventHub
from trading.simulator.server.spot.ws_api import add_ws_api_routes
from trading.simulator.server.wire import Json
from trading.simulator.tape_shock import TapeShock

SHUTDOWN_TIMEOUT_S = 1.0


@dataclass(slots=True)
class RunningServer:
    """A server that listens. ``stop`` it; or use it as an async context manager."""

    host: str
    port: int
    keys: tuple[ApiKey, ...]
    context: ServerContext
    _runner: web.AppRunner
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
        return self.context.connections.drop(kind)

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
        now_ms = time.time_ns() // 1_000_000
        notice = {"e": "serverShutdown", "E": now_ms}
        for connection in self.context.connections.open("user"):
            connection.send({"event": notice})
        for connection in self.context.connections.open("market"):
            wrapped = {"stream": "!serverShutdown", "data": notice}
            connection.send(wrapped if connection.combined else notice)
        connections = self.context.connections.open()
        await asyncio.gather(*(connection.flush() for connection in connections))
        for connection in connections:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(
                    connection.socket.close(code=WSCloseCode.GOING_AWAY), SHUTDOWN_TIMEOUT_S
                )
        await self._runner.cleanup()

    async def __aenter__(self) -> RunningServer:
        return self

    async def __aexit__(self, *_exc_info: object) -> None:
        await self.stop()


async def start_server(
    exchange: SimulatedExchange,
    host: str = "127.0.0.1",
    port: int = 0,
    config: ExchangeServerConfig | None = None,
) -> RunningServer:
    """Serve ``exchange``; its accounts are opened from ``config.accounts``. Port 0: a free one."""
    config = config or ExchangeServerConfig()
    keys = tuple(_open_account(exchange, account) for account in config.accounts)
    limiter = RateLimiter(config.rate_limits)
    streams = MarketStreams(exchange)
    faults = Faults()
    desk = OrderDesk(exchange, limiter, faults)
    context = ServerContext(
        exchange=exchange,
        config=config,
        keys=KeyRing(keys),
        limiter=limiter,
        desk=desk,
        replace=ReplaceDesk(desk),
        lists=ListDesk(desk),
        account=AccountDesk(desk, faults, config.rate_limits),
        streams=streams,
        users=UserEventHub(exchange, exchange.config.user_event_order, config.seed, faults),
        connections=ConnectionRegistry(config, limiter),
        shock=TapeShock(),
        faults=faults,
    )
    app = web.Application(middlewares=[answer_errors])
    app[CONTEXT] = context
    add_rest_routes(app)
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
