"""/ws and /stream: market data sockets and their control messages."""

from __future__ import annotations

from urllib.parse import unquote

from aiohttp import web

from trading.simulator.server.connection import Connection
from trading.simulator.server.spot.context import SPOT
from trading.simulator.server.stream_control import MAX_STREAMS, answer_control


def add_stream_routes(app: web.Application) -> None:
    app.router.add_get("/ws", _raw)
    app.router.add_get("/ws/{streams:.+}", _raw)
    app.router.add_get("/stream", _combined)


async def _raw(request: web.Request) -> web.WebSocketResponse:
    return await _serve(request, request.match_info.get("streams", ""), combined=False)


async def _combined(request: web.Request) -> web.WebSocketResponse:
    return await _serve(request, _asked_for(request), combined=True)


def _asked_for(request: web.Request) -> str:
    """``streams`` of the URL. A plus is a plus there, as in the time zone of a kline stream."""
    for pair in request.rel_url.raw_query_string.split("&"):
        name, _equals, value = pair.partition("=")
        if name == "streams":
            return value
    return ""


async def _serve(request: web.Request, path: str, *, combined: bool) -> web.WebSocketResponse:
    context = request.app[SPOT]
    names = [name for name in unquote(path).split("/") if name][:MAX_STREAMS]

    def on_open(connection: Connection) -> None:
        connection.combined = combined
        connection.microseconds = request.query.get("timeUnit", "").upper() == "MICROSECOND"
        for name in names:
            context.streams.subscribe(connection, name)

    async def on_message(connection: Connection, data: bytes) -> None:
        connection.send(answer_control(context.streams, connection, data))

    return await context.connections.serve(
        request, "market", on_message, on_open, context.streams.forget
    )
