"""/public, /market, /private and the old unrouted paths: sockets and their control messages."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from urllib.parse import unquote

import orjson
from aiohttp import web

from trading.simulator.server.connection import Connection
from trading.simulator.server.stream_control import MAX_STREAMS, answer_control
from trading.simulator.server.usdm.context import USDM, UsdmContext
from trading.simulator.server.usdm.stream_names import Route


def add_stream_routes(app: web.Application) -> None:
    # A path without a route hears what is public, and nothing else.
    for prefix, route in (("", Route.PUBLIC), *((f"/{route}", route) for route in Route)):
        serve = _private if route is Route.PRIVATE else partial(_market, route)
        app.router.add_get(f"{prefix}/ws", serve)
        app.router.add_get(f"{prefix}/ws/{{streams:.+}}", serve)
        app.router.add_get(f"{prefix}/stream", serve)


async def _market(route: Route, request: web.Request) -> web.WebSocketResponse:
    context = request.app[USDM]

    def on_open(connection: Connection) -> None:
        connection.combined = request.path.endswith("/stream")
        context.streams.open(connection, route)
        for name in _names(request)[:MAX_STREAMS]:
            context.streams.subscribe(connection, name)

    async def on_message(connection: Connection, data: bytes) -> None:
        connection.send(answer_control(context.streams, connection, data))

    return await context.connections.serve(
        request, "market", on_message, on_open, context.streams.forget
    )


async def _private(request: web.Request) -> web.WebSocketResponse:
    context = request.app[USDM]
    wanted = _wanted(request.query)

    def on_open(connection: Connection) -> None:
        connection.combined = request.path.endswith("/stream")
        for listen_key in (request.query.get("listenKey", ""), *_names(request)):
            _listen(context, connection, listen_key, wanted)

    async def on_message(connection: Connection, data: bytes) -> None:
        connection.send(_answer(context, connection, data, wanted))

    return await context.connections.serve(request, "user", on_message, on_open, context.hub.forget)


def _answer(
    context: UsdmContext, connection: Connection, data: bytes, wanted: frozenset[str] | None
) -> object:
    """Listen keys are subscribed to like streams."""
    reply = answer_control(context.key_board, connection, data)
    if reply.get("result", 0) is None:
        message = orjson.loads(data)
        for listen_key in message.get("params") or ():
            if message["method"] == "SUBSCRIBE":
                _listen(context, connection, str(listen_key), wanted)
            elif message["method"] == "UNSUBSCRIBE":
                context.hub.forget(connection)
    return reply


def _listen(
    context: UsdmContext, connection: Connection, listen_key: str, wanted: frozenset[str] | None
) -> None:
    """An unknown key is accepted and hears nothing."""
    account_id = context.listen_keys.account_of(listen_key)
    if account_id is not None:
        context.hub.listen(connection, account_id, listen_key, wanted)


def _names(request: web.Request) -> list[str]:
    path = request.match_info.get("streams") or request.query.get("streams", "")
    return [name for name in unquote(path).split("/") if name]


def _wanted(query: Mapping[str, str]) -> frozenset[str] | None:
    """Kinds of events asked for in the URL; None for all."""
    events = query.get("events", "")
    return frozenset(events.split("/")) if events else None
