"""The futures WebSocket API, /ws-fapi/v1."""

from __future__ import annotations

from typing import ClassVar

from aiohttp import web

from trading.simulator.server.connection import Connection
from trading.simulator.server.params import LooseParams, Params
from trading.simulator.server.usdm import exchange_info
from trading.simulator.server.usdm.context import USDM, UsdmContext
from trading.simulator.server.usdm.endpoints import KEYED, PUBLIC
from trading.simulator.server.wire import Json
from trading.simulator.server.ws_session import CONNECT_WEIGHT, WsMethods, WsSession

METHODS = WsMethods(PUBLIC, KEYED)


class UsdmSession(WsSession[UsdmContext]):
    params: ClassVar[type[Params]] = LooseParams

    def _limits(self) -> list[Json]:
        return exchange_info.rate_limits(self._context.config.futures_rate_limits)


def add_ws_api_routes(app: web.Application) -> None:
    app.router.add_get("/ws-fapi/v1", _serve)


async def _serve(request: web.Request) -> web.WebSocketResponse:
    context = request.app[USDM]
    ip = request.remote or "unknown"
    context.limiter.charge(ip, CONNECT_WEIGHT)
    sessions: dict[Connection, UsdmSession] = {}

    def on_open(connection: Connection) -> None:
        shows_limits = request.query.get("returnRateLimits") != "false"
        sessions[connection] = UsdmSession(
            context, connection, ip, METHODS, shows_limits=shows_limits
        )

    async def on_message(connection: Connection, data: bytes) -> None:
        await sessions[connection].answer(data)

    def on_closed(connection: Connection) -> None:
        sessions.pop(connection, None)

    return await context.connections.serve(request, "api", on_message, on_open, on_closed)
