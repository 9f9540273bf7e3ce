"""The WebSocket API, /ws-api/v3: signed requests and user data over one socket."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import orjson
from aiohttp import web

from trading.simulator.orders import ExchangeRejection
from trading.simulator.server import exchange_info, rest_market
from trading.simulator.server.connection import Connection
from trading.simulator.server.context import CONTEXT, ServerContext
from trading.simulator.server.desk import OrderDesk
from trading.simulator.server.params import Params
from trading.simulator.server.rest_market import PublicHandler
from trading.simulator.server.signatures import ApiKey, ws_payload
from trading.simulator.server.wire_errors import WireError, mandatory

CONNECT_WEIGHT = 2
PUBLIC: Mapping[str, tuple[int, PublicHandler]] = {
    "ping": (1, rest_market.ping),
    "time": (1, rest_market.server_time),
    "exchangeInfo": (20, rest_market.pairs_and_limits),
    "depth": (5, rest_market.depth),
    "klines": (2, rest_market.klines),
    "ticker.price": (2, rest_market.ticker_price),
    "ticker.book": (2, rest_market.book_ticker),
    "ticker.24hr": (2, rest_market.day_ticker),
}
SIGNED: Mapping[str, tuple[int, Callable[[OrderDesk, ApiKey, Params], Any]]] = {
    "order.status": (4, OrderDesk.status),
    "openOrders.status": (6, OrderDesk.open_orders),
    "allOrders": (20, OrderDesk.all_orders),
    "myTrades": (20, OrderDesk.my_trades),
    "account.status": (20, OrderDesk.account),
    "order.test": (1, partial(OrderDesk.place, test_only=True)),
}
TRADING: Mapping[str, Callable[[OrderDesk, ApiKey, Params], Any]] = {
    "order.place": OrderDesk.place,
    "order.cancel": OrderDesk.cancel,
    "openOrders.cancelAll": OrderDesk.cancel_all,
}


def add_ws_api_routes(app: web.Application) -> None:
    app.router.add_get("/ws-api/v3", _serve)


async def _serve(request: web.Request) -> web.WebSocketResponse:
    context = request.app[CONTEXT]
    ip = request.remote or "unknown"
    context.limiter.charge(ip, CONNECT_WEIGHT)

    async def on_message(connection: Connection, data: bytes) -> None:
        await Session(context, connection, ip).answer(data)

    return await context.connections.serve(
        request, "user", on_message, lambda _connection: None, context.users.forget
    )


class Session:
    """Answers the requests of one connection."""

    def __init__(self, context: ServerContext, connection: Connection, ip: str) -> None:
        self._context = context
        self._connection = connection
        self._ip = ip

    async def answer(self, data: bytes) -> None:
        request_id: object = None
        after_answer: Callable[[], None] | None = None
        raw: dict[str, object] = {}
        try:
            message = orjson.loads(data)
            if not isinstance(message, dict) or not isinstance(message.get("method"), str):
                raise mandatory("method")
            request_id = message.get("id")
            raw = dict(message.get("params") or {})
            method = str(message["method"]).removeprefix("v3/")
            result, after_answer = self._dispatch(method, raw)
            reply: dict[str, Any] = {"id": request_id, "status": 200, "result": result}
        except orjson.JSONDecodeError:
            error = WireError(-1000, "Invalid JSON: expected value at line 1 column 1")
            reply = {"id": None, "status": 400, "error": error.body()}
        except (WireError, ExchangeRejection) as failure:
            refusal = WireError.of(failure) if isinstance(failure, ExchangeRejection) else failure
            reply = {"id": request_id, "status": refusal.status, "error": refusal.body()}
        if raw.get("returnRateLimits") is not False:
            reply["rateLimits"] = self._rate_limits()
        self._connection.send(reply)
        if after_answer is not None:
            after_answer()

    def _dispatch(
        self, method: str, raw: dict[str, object]
    ) -> tuple[Any, Callable[[], None] | None]:
        context, charge = self._context, self._context.limiter.charge
        params = Params({name: _text(value) for name, value in raw.items()})
        if method in PUBLIC:
            weight, public = PUBLIC[method]
            charge(self._ip, weight)
            return public(context, params), None
        if method in SIGNED:
            weight, signed = SIGNED[method]
            charge(self._ip, weight)
            return signed(context.desk, self._verify(raw, params), params), None
        if method in TRADING:
            return self._trade(TRADING[method], raw, params)
        charge(self._ip, 2)
        if method == "userDataStream.subscribe.signature":
            key = self._verify(raw, params)
            subscription = context.users.subscribe(self._connection, key.account_id)
            return {"subscriptionId": subscription}, None
        if method == "userDataStream.unsubscribe":
            context.users.unsubscribe(self._connection, params.integer("subscriptionId"))
            return {}, None
        if method == "session.subscriptions":
            subscriptions = context.users.subscriptions(self._connection)
            return [{"subscriptionId": number} for number in subscriptions], None
        raise WireError(-1000, f"Method '{method}' is not available.")

    def _trade(
        self,
        handler: Callable[[OrderDesk, ApiKey, Params], Any],
        raw: dict[str, object],
        params: Params,
    ) -> tuple[Any, Callable[[], None] | None]:
        self._context.limiter.charge(self._ip, 0)
        key = self._verify(raw, params)
        release = self._context.users.hold(key.account_id)
        try:
            result = handler(self._context.desk, key, params)
        except BaseException:
            release()
            raise
        if self._context.users.sends_before_answer():
            release()
            return result, None
        return result, release

    def _verify(self, raw: dict[str, object], params: Params) -> ApiKey:
        return self._context.keys.verify(params.text("apiKey"), params.as_dict(), ws_payload(raw))

    def _rate_limits(self) -> list[dict[str, Any]]:
        rows = exchange_info.rate_limits(self._context.config.rate_limits)
        used = self._context.limiter.used_weight(self._ip)
        return [row | {"count": used} for row in rows if row["rateLimitType"] == "REQUEST_WEIGHT"]


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return orjson.dumps(value).decode()
    return str(value)
