"""REST as every market does it: weights, signatures, faults, errors and headers around handlers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic

import orjson
from aiohttp import web
from aiohttp.typedefs import Middleware

from trading.simulator.orders import ExchangeRejection
from trading.simulator.server.context import ServerContext
from trading.simulator.server.endpoints import ContextT, KeyEndpoint, PublicEndpoint
from trading.simulator.server.params import Params
from trading.simulator.server.rest_faults import html_page, misbehave
from trading.simulator.server.signatures import ApiKey, parse_request, rest_payload
from trading.simulator.server.wire import in_microseconds
from trading.simulator.server.wire_errors import WireError

log = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
UNWEIGHED = web.RequestKey("unweighed", bool)
TIME_UNITS = {
    "MICROSECOND": True,
    "microsecond": True,
    "MILLISECOND": False,
    "millisecond": False,
}


@dataclass(frozen=True, slots=True)
class _Done:
    """An executed request: its answer, and what lets the user events go."""

    response: web.Response
    account_id: str
    release: Callable[[], None]


class MarketRest(Generic[ContextT]):
    """The requests of one market under one root."""

    def __init__(
        self,
        context: ContextT,
        root: str,
        *,
        has_time_units: bool = False,
        params: type[Params] = Params,
        unknown: Callable[[web.Request], web.Response] | None = None,
    ) -> None:
        """``has_time_units``: answers may be asked for in microseconds.

        ``unknown`` answers what is on no list: a path, or a method of a path. By default that is
        the page of a gateway.
        """
        self.context = context
        self._params = params
        self._root = root
        self._has_time_units = has_time_units
        self._unknown = unknown or _unknown_page

    def add_routes(
        self,
        app: web.Application,
        public: Iterable[PublicEndpoint[ContextT]],
        keyed: Iterable[KeyEndpoint[ContextT]],
    ) -> None:
        for open_endpoint in public:
            app.router.add_get(
                f"{self._root}/{open_endpoint.path}", partial(self._public, open_endpoint)
            )
        for endpoint in keyed:
            answer = partial(self._trading if endpoint.is_trade else self._signed, endpoint)
            app.router.add_route(endpoint.http_method, f"{self._root}/{endpoint.path}", answer)

    async def _public(
        self, endpoint: PublicEndpoint[ContextT], request: web.Request
    ) -> web.Response:
        params, _payload = await self.read(request)
        if endpoint.pool:
            request[UNWEIGHED] = True
            self.context.limiter.charge_pool(ip_of(request), endpoint.pool)
        else:
            self.context.limiter.charge(ip_of(request), endpoint.weight(params))
        answer = endpoint.answer(self.context, params)
        params.check_all_read()
        return self.json(request, answer)

    async def _signed(self, endpoint: KeyEndpoint[ContextT], request: web.Request) -> web.Response:
        params, payload = await self.read(request)
        self.context.limiter.charge(ip_of(request), endpoint.weight(params))
        if endpoint.is_signed:
            key = self.verify(request, params, payload)
        else:
            key = self.context.keys.find(request.headers.get("X-MBX-APIKEY"))
        answer = endpoint.handler(self.context)(key, params)
        params.check_all_read()
        return self.json(request, answer)

    async def _trading(
        self, endpoint: KeyEndpoint[ContextT], request: web.Request
    ) -> web.StreamResponse:
        """Orders and cancels: their own weight when they succeed and when they fail."""
        fault = self.context.faults.take(request.method)
        if fault is None or fault.spares_the_request:
            return await self._answer(request, await self._execute(endpoint, request))

        async def accept() -> web.Response:
            done = await self._execute(endpoint, request)
            done.release()
            await self.context.users.flush(done.account_id)
            return done.response

        return await misbehave(fault, request, accept)

    async def _execute(self, endpoint: KeyEndpoint[ContextT], request: web.Request) -> _Done:
        context = self.context
        params, payload = await self.read(request)
        context.limiter.charge(ip_of(request), endpoint.good_weight)
        try:
            key = self.verify(request, params, payload)
            if context.latency_ms:
                await asyncio.sleep(context.latency_ms / 1000)
                context.keys.check_time(params.as_dict())
            release = context.users.hold(key.account_id)
            try:
                response = self.json(request, endpoint.handler(context)(key, params))
            except BaseException:
                release()
                raise
        except (WireError, ExchangeRejection):
            context.limiter.charge(ip_of(request), endpoint.weight(params) - endpoint.good_weight)
            raise
        response.headers.update(context.limiter.order_headers(key.account_id))
        return _Done(response, key.account_id, release)

    async def _answer(self, request: web.Request, done: _Done) -> web.StreamResponse:
        """The answer, its user events before or after it."""
        users = self.context.users
        if users.sends_before_answer():
            done.release()
            await users.flush(done.account_id)
            return done.response
        add_weight_headers(self.context, request, done.response)
        try:
            await done.response.prepare(request)
            await done.response.write_eof()
        finally:
            done.release()
        return done.response

    async def read(self, request: web.Request) -> tuple[Params, str]:
        """The parameters, and the raw payload that is signed."""
        _path, _separator, query = request.raw_path.partition("?")
        body = (await request.read()).decode("utf-8", "replace")
        return self._params(parse_request(query, body)), rest_payload(query, body)

    def verify(self, request: web.Request, params: Params, payload: str) -> ApiKey:
        """Who signed the request. Raises WireError."""
        return self.context.keys.verify(
            request.headers.get("X-MBX-APIKEY"), params.as_dict(), payload
        )

    def json(self, request: web.Request, body: Any) -> web.Response:
        """``body`` as an answer, its times in the unit that the request asks for."""
        return plain_json(in_microseconds(body) if self.wants_microseconds(request) else body)

    def wants_microseconds(self, request: web.Request) -> bool:
        """Raises WireError -1194."""
        if not self._has_time_units:
            return False
        unit = request.headers.get("X-MBX-TIME-UNIT", "MILLISECOND")
        if unit not in TIME_UNITS:
            raise WireError(
                -1194,
                "Invalid value for time unit; expected either MICROSECOND or MILLISECOND.",
            )
        return TIME_UNITS[unit]

    def middleware(self, *weighed: str) -> Middleware:
        """Refusals as Binance's JSON; used weight in the headers of answers below ``weighed``."""

        @web.middleware
        async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
            response: web.StreamResponse
            try:
                if request.path.startswith(self._root):
                    self.wants_microseconds(request)
                response = await handler(request)
            except (WireError, ExchangeRejection) as error:
                refusal = WireError.of(error) if isinstance(error, ExchangeRejection) else error
                response = plain_json(refusal.body(), status=refusal.status)
                if refusal.retry_after_s is not None:
                    response.headers["Retry-After"] = str(refusal.retry_after_s)
            except (web.HTTPNotFound, web.HTTPMethodNotAllowed):
                response = self._unknown(request)
            except web.HTTPException:
                raise
            except ConnectionError:
                return web.Response()  # the client has gone; aiohttp notices when it writes
            except Exception:
                log.exception(
                    "unexpected error while answering %s %s", request.method, request.path
                )
                unknown = WireError(
                    -1000, "An unknown error occurred while processing the request.", status=500
                )
                response = plain_json(unknown.body(), status=500)
            is_weighed = request.path.startswith(weighed) and UNWEIGHED not in request
            if is_weighed and not response.prepared:
                add_weight_headers(self.context, request, response)
            return response

        return answer_errors


def _unknown_page(_request: web.Request) -> web.Response:
    return html_page(404, "Not Found")


def ip_of(request: web.Request) -> str:
    return request.remote or "unknown"


def add_weight_headers(
    context: ServerContext, request: web.Request, response: web.StreamResponse
) -> None:
    used = str(context.limiter.used_weight(ip_of(request)))
    response.headers["X-MBX-USED-WEIGHT"] = used
    response.headers["X-MBX-USED-WEIGHT-1M"] = used


def plain_json(body: Any, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")
