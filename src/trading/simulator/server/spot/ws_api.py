"""Spot's WebSocket API, /ws-api/v3: signed requests and user data over one socket."""

from __future__ import annotations

from aiohttp import web

from trading.simulator.server.connection import Connection
from trading.simulator.server.params import Params
from trading.simulator.server.signatures import ApiKey
from trading.simulator.server.spot import exchange_info
from trading.simulator.server.spot.context import SPOT, SpotContext
from trading.simulator.server.spot.endpoints import ACCOUNT, PUBLIC, TRADE
from trading.simulator.server.wire import Json
from trading.simulator.server.wire_errors import WireError
from trading.simulator.server.ws_session import (
    CONNECT_WEIGHT,
    SessionMethod,
    WsMethods,
    WsSession,
)

METHODS = WsMethods(PUBLIC, (*ACCOUNT, *TRADE))


def add_ws_api_routes(app: web.Application) -> None:
    app.router.add_get("/ws-api/v3", _serve)


async def _serve(request: web.Request) -> web.WebSocketResponse:
    context = request.app[SPOT]
    ip = request.remote or "unknown"
    context.limiter.charge(ip, CONNECT_WEIGHT)
    sessions: dict[Connection, SpotSession] = {}

    def on_open(connection: Connection) -> None:
        sessions[connection] = SpotSession(
            context,
            connection,
            ip,
            METHODS,
            shows_limits=request.query.get("returnRateLimits") != "false",
            microseconds=request.query.get("timeUnit", "").upper() == "MICROSECOND",
        )

    async def on_message(connection: Connection, data: bytes) -> None:
        await sessions[connection].answer(data)

    return await context.connections.serve(request, "user", on_message, on_open, context.hub.forget)


class SpotSession(WsSession[SpotContext]):
    """A session may subscribe to user data of one account or several."""

    def session_methods(self) -> dict[str, SessionMethod]:
        return super().session_methods() | {
            "session.subscriptions": self.subscriptions,
            "userDataStream.subscribe": self.subscribe,
            "userDataStream.subscribe.signature": self.subscribe_signed,
            "userDataStream.unsubscribe": self.unsubscribe,
        }

    def subscribe(self, _raw: dict[str, object], _params: Params) -> Json:
        """User data of the account that logged on."""
        if self._key is None:
            raise WireError(-1002, "You are not authorized to execute this request.", status=401)
        return self._subscription(self._key)

    def subscribe_signed(self, raw: dict[str, object], params: Params) -> Json:
        return self._subscription(self._verify(raw, params))

    def unsubscribe(self, _raw: dict[str, object], params: Params) -> Json:
        self._context.hub.unsubscribe(self._connection, params.integer("subscriptionId"))
        return {}

    def subscriptions(self, _raw: dict[str, object], _params: Params) -> list[Json]:
        found = self._context.hub.subscriptions(self._connection)
        return [{"subscriptionId": number} for number in found]

    def _subscription(self, key: ApiKey) -> Json:
        number = self._context.hub.subscribe(
            self._connection, key.account_id, microseconds=self._microseconds
        )
        return {"subscriptionId": number}

    def _limits(self) -> list[Json]:
        return exchange_info.rate_limits(self._context.config.rate_limits)

    def _hears_user_data(self) -> bool:
        return bool(self._context.hub.subscriptions(self._connection))

    def _logged_out(self) -> None:
        self._context.hub.unsubscribe(self._connection)
