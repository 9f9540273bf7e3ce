"""Requests over one WebSocket, as every market answers them."""

from __future__ import annotations

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Generic

import orjson

from trading.simulator.orders import ExchangeRejection
from trading.simulator.server.connection import Connection
from trading.simulator.server.endpoints import ContextT, KeyEndpoint, PublicEndpoint
from trading.simulator.server.params import Params
from trading.simulator.server.signatures import ApiKey, ws_payload
from trading.simulator.server.wire import Json, in_microseconds
from trading.simulator.server.wire_errors import WireError, mandatory

CONNECT_WEIGHT = 2
SESSION_WEIGHT = 2
UNKNOWN_ERROR = WireError(
    -1000, "An unknown error occurred while processing the request.", status=500
)
log = logging.getLogger(__name__)
AfterAnswer = Callable[[], None]
SessionMethod = Callable[[dict[str, object], Params], Any]


class WsMethods(Generic[ContextT]):
    """Endpoints by the method that stands for them."""

    def __init__(
        self,
        public: Iterable[PublicEndpoint[ContextT]],
        keyed: Iterable[KeyEndpoint[ContextT]],
    ) -> None:
        self.public = {each.ws_method: each for each in public if each.ws_method}
        self.keyed = {each.ws_method: each for each in keyed if each.ws_method}


class WsSession(ABC, Generic[ContextT]):
    """Answers the requests of one connection."""

    params: ClassVar[type[Params]] = Params

    def __init__(
        self,
        context: ContextT,
        connection: Connection,
        ip: str,
        methods: WsMethods[ContextT],
        *,
        shows_limits: bool,
        microseconds: bool = False,
    ) -> None:
        self._context = context
        self._connection = connection
        self._ip = ip
        self._methods = methods
        self._shows_limits = shows_limits
        self._microseconds = microseconds
        self._connected_ms = time.time_ns() // 1_000_000
        self._key: ApiKey | None = None
        self._authorized_ms = 0
        self._trades_for: str | None = None

    async def answer(self, data: bytes) -> None:
        request_id: object = None
        after_answer: AfterAnswer | None = None
        raw: dict[str, object] = {}
        is_order = False
        try:
            message = orjson.loads(data)
            if not isinstance(message, dict) or not isinstance(message.get("method"), str):
                raise mandatory("method")
            request_id = message.get("id")
            if not isinstance(request_id, str | int | None):
                raise WireError(-1100, "Illegal characters found in parameter 'id'.")
            sent = message.get("params") or {}
            if not isinstance(sent, dict):
                raise WireError(-1100, "Illegal characters found in parameter 'params'.")
            raw = dict(sent)
            method = str(message["method"]).removeprefix("v3/")
            is_order = method.startswith(("order", "algoOrder", "openOrders.cancel"))
            result, after_answer = await self._dispatch(method, raw)
            result = in_microseconds(result) if self._microseconds else result
            reply: Json = {"id": request_id, "status": 200, "result": result}
        except orjson.JSONDecodeError:
            error = WireError(-1000, "Invalid JSON: expected value at line 1 column 1")
            reply = {"id": None, "status": 400, "error": error.body()}
        except (WireError, ExchangeRejection) as failure:
            refusal = WireError.of(failure) if isinstance(failure, ExchangeRejection) else failure
            reply = {"id": request_id, "status": refusal.status, "error": _error(refusal)}
        except Exception:
            log.exception("unexpected error while answering a WebSocket request")
            reply = {"id": request_id, "status": 500, "error": UNKNOWN_ERROR.body()}
        if raw.get("returnRateLimits", self._shows_limits) not in (False, "false"):
            reply["rateLimits"] = self._rate_limits(is_order=is_order)
        self._connection.send(reply)
        if after_answer is not None:
            after_answer()
        if reply["status"] == 418:
            self._connection.close(reason="banned")

    async def _dispatch(
        self, method: str, raw: dict[str, object]
    ) -> tuple[Any, AfterAnswer | None]:
        context, charge = self._context, self._context.limiter.charge
        sent = {name: _text(value) for name, value in raw.items() if value is not None}
        params = self.params(sent)
        public = self._methods.public.get(method)
        if public is not None:
            charge(self._ip, public.weight(params))
            result = public.answer(context, params)
            params.check_all_read()
            return result, None
        endpoint = self._methods.keyed.get(method)
        if endpoint is not None:
            if endpoint.is_trade:
                return await self._trade(endpoint, raw, params)
            charge(self._ip, endpoint.weight(params))
            if endpoint.is_signed:
                key = self._verify(raw, params)
            else:
                key = self._key or context.keys.find(params.text("apiKey"))
            result = endpoint.handler(context)(key, params)
            params.check_all_read()
            return result, None
        charge(self._ip, SESSION_WEIGHT)
        handler = self.session_methods().get(method)
        if handler is None:
            raise WireError(-1000, f"Method '{method}' is not available.")
        return handler(raw, params), None

    async def _trade(
        self, endpoint: KeyEndpoint[ContextT], raw: dict[str, object], params: Params
    ) -> tuple[Any, AfterAnswer | None]:
        context = self._context
        context.limiter.charge(self._ip, endpoint.good_weight)
        try:
            key = self._verify(raw, params)
            self._trades_for = key.account_id
            if latency_ms := context.latency_ms:
                await asyncio.sleep(latency_ms / 1000)
                context.keys.check_time(params.as_dict())
            release = context.users.hold(key.account_id)
            try:
                result = endpoint.handler(context)(key, params)
            except BaseException:
                release()
                raise
        except (WireError, ExchangeRejection):
            context.limiter.charge(self._ip, endpoint.weight(params) - endpoint.good_weight)
            raise
        if context.users.sends_before_answer():
            release()
            return result, None
        return result, release

    def _verify(self, raw: dict[str, object], params: Params) -> ApiKey:
        """The request's own signature, or the session's key with a timestamp."""
        values = params.as_dict()
        if self._key is not None and "signature" not in raw:
            if params.text("apiKey") not in (None, self._key.key):
                raise mandatory("signature")
            self._context.keys.check_time(values)
            return self._key
        return self._context.keys.verify(params.text("apiKey"), values, ws_payload(raw))

    def logon(self, raw: dict[str, object], params: Params) -> Json:
        key = self._context.keys.verify(params.text("apiKey"), params.as_dict(), ws_payload(raw))
        if not key.is_ed25519:
            raise WireError(-4056, "HMAC_SHA256 API key is not supported.")
        self._key, self._authorized_ms = key, time.time_ns() // 1_000_000
        return self.status(raw, params)

    def logout(self, raw: dict[str, object], params: Params) -> Json:
        self._key, self._authorized_ms = None, 0
        self._logged_out()
        return self.status(raw, params)

    def status(self, _raw: dict[str, object], _params: Params) -> Json:
        return {
            "apiKey": None if self._key is None else self._key.key,
            "authorizedSince": self._authorized_ms or None,
            "connectedSince": self._connected_ms,
            "returnRateLimits": self._shows_limits,
            "serverTime": time.time_ns() // 1_000_000,
            "userDataStream": self._hears_user_data(),
        }

    def _rate_limits(self, *, is_order: bool) -> list[Json]:
        limiter = self._context.limiter
        rows = self._limits()
        shown = [
            row | {"count": limiter.used_weight(self._ip)}
            for row in rows
            if row["rateLimitType"] == "REQUEST_WEIGHT"
        ]
        if is_order and self._trades_for is not None:
            counts = limiter.order_counts(self._trades_for)
            orders = [row for row in rows if row["rateLimitType"] == "ORDERS"]
            pairs = zip(orders, counts, strict=True)
            shown = [*(row | {"count": count} for row, count in pairs), *shown]
        return shown

    # What markets differ in ----------------------------------------------------------------

    def session_methods(self) -> dict[str, SessionMethod]:
        """Methods that are about the connection itself."""
        return {
            "session.logon": self.logon,
            "session.logout": self.logout,
            "session.status": self.status,
        }

    @abstractmethod
    def _limits(self) -> list[Json]:
        """The market's limits, as exchangeInfo lists them."""

    def _hears_user_data(self) -> bool:
        return False

    def _logged_out(self) -> None:
        """The session no longer stands for an account."""


def _error(refusal: WireError) -> dict[str, object]:
    body = refusal.body()
    if refusal.retry_after_s is not None:
        now_ms = time.time_ns() // 1_000_000
        body["data"] = {"serverTime": now_ms, "retryAfter": now_ms + refusal.retry_after_s * 1000}
    return body


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return orjson.dumps(value).decode()
    return str(value)
