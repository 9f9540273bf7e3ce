"""REST routes: weights, signatures, errors and headers around the handlers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson
from aiohttp import web

from trading.simulator.orders import ExchangeRejection
from trading.simulator.server.context import CONTEXT, ServerContext
from trading.simulator.server.params import Params
from trading.simulator.server.rest_faults import misbehave
from trading.simulator.server.signatures import ApiKey, parse_request, rest_payload
from trading.simulator.server.spot.endpoints import (
    ACCOUNT,
    PUBLIC,
    TRADE,
    KeyEndpoint,
    PublicEndpoint,
)
from trading.simulator.server.wire import Json, in_microseconds
from trading.simulator.server.wire_errors import WireError

log = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
ROOT = "/api/v3"
TIME_UNITS = {
    "MICROSECOND": True,
    "microsecond": True,
    "MILLISECOND": False,
    "millisecond": False,
}
REMOVED = ("userDataStream",)


def add_rest_routes(app: web.Application) -> None:
    for public in PUBLIC:
        app.router.add_get(f"{ROOT}/{public.path}", partial(_public, public))
    for endpoint in ACCOUNT:
        answer = partial(_signed, endpoint)
        app.router.add_route(endpoint.http_method, f"{ROOT}/{endpoint.path}", answer)
    for endpoint in TRADE:
        trade = partial(_trading, endpoint)
        app.router.add_route(endpoint.http_method, f"{ROOT}/{endpoint.path}", trade)
    for path in REMOVED:
        app.router.add_route("*", f"{ROOT}/{path}", _gone)
    app.router.add_get("/sapi/v1/account/apiRestrictions", _rights)


async def _public(endpoint: PublicEndpoint, request: web.Request) -> web.Response:
    context = request.app[CONTEXT]
    params, _payload = await _read(request)
    context.limiter.charge(_ip(request), endpoint.weight(params))
    return _json(request, endpoint.answer(context, params))


async def _signed(endpoint: KeyEndpoint, request: web.Request) -> web.Response:
    context = request.app[CONTEXT]
    params, payload = await _read(request)
    context.limiter.charge(_ip(request), endpoint.weight(params))
    key = _verify(context, request, params, payload)
    return _json(request, endpoint.handler(context)(key, params))


async def _trading(endpoint: KeyEndpoint, request: web.Request) -> web.StreamResponse:
    """Orders and cancels: no weight when they succeed, 1 when they fail."""
    context = request.app[CONTEXT]
    fault = context.faults.take(request.method)
    if fault is None or fault.spares_the_request:
        return await _answer(request, await _execute(endpoint, request))

    async def accept() -> web.Response:
        done = await _execute(endpoint, request)
        done.release()
        await context.users.flush(done.account_id)
        return done.response

    return await misbehave(fault, request, accept)


@dataclass(frozen=True, slots=True)
class _Done:
    """An executed request: its answer, and what lets the user events go."""

    response: web.Response
    account_id: str
    release: Callable[[], None]


async def _execute(endpoint: KeyEndpoint, request: web.Request) -> _Done:
    context = request.app[CONTEXT]
    params, payload = await _read(request)
    context.limiter.charge(_ip(request), endpoint.good_weight)
    try:
        key = _verify(context, request, params, payload)
        if latency_ms := context.exchange.config.latency_ms:
            await asyncio.sleep(latency_ms / 1000)
            context.keys.check_time(params.as_dict())
        release = context.users.hold(key.account_id)
        try:
            response = _json(request, endpoint.handler(context)(key, params))
        except BaseException:
            release()
            raise
    except (WireError, ExchangeRejection):
        context.limiter.charge(_ip(request), endpoint.weight(params) - endpoint.good_weight)
        raise
    ten_seconds, day = context.limiter.order_counts(key.account_id)
    response.headers["X-MBX-ORDER-COUNT-10S"] = str(ten_seconds)
    response.headers["X-MBX-ORDER-COUNT-1D"] = str(day)
    return _Done(response, key.account_id, release)


async def _answer(request: web.Request, done: _Done) -> web.StreamResponse:
    """The answer, its user events before or after it."""
    context = request.app[CONTEXT]
    if context.users.sends_before_answer():
        done.release()
        await context.users.flush(done.account_id)
        return done.response
    _add_weight_headers(context, request, done.response)
    try:
        await done.response.prepare(request)
        await done.response.write_eof()
    finally:
        done.release()
    return done.response


async def _rights(request: web.Request) -> web.Response:
    context = request.app[CONTEXT]
    params, payload = await _read(request)
    context.limiter.charge(_ip(request), 1)
    key = _verify(context, request, params, payload)
    rights: Json = {
        "ipRestrict": False,
        "createTime": 0,
        "enableReading": True,
        "enableWithdrawals": key.can_withdraw,
        "enableInternalTransfer": False,
        "enableMargin": False,
        "enableFutures": False,
        "permitsUniversalTransfer": False,
        "enableVanillaOptions": False,
        "enableFixApiTrade": False,
        "enableFixReadOnly": False,
        "enableSpotAndMarginTrading": True,
        "enablePortfolioMarginTrading": False,
    }
    return _json(request, rights)


async def _gone(_request: web.Request) -> web.Response:
    """The listen keys of old."""
    return web.Response(status=410, text="<html><body>410 Gone</body></html>")


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refusals as Binance's JSON; used weight in the headers of every answer under /api."""
    context = request.app[CONTEXT]
    response: web.StreamResponse
    try:
        if request.path.startswith(ROOT):
            _time_unit(request)
        response = await handler(request)
    except (WireError, ExchangeRejection) as error:
        refusal = WireError.of(error) if isinstance(error, ExchangeRejection) else error
        response = _plain_json(refusal.body(), status=refusal.status)
        if refusal.retry_after_s is not None:
            response.headers["Retry-After"] = str(refusal.retry_after_s)
    except web.HTTPException:
        raise
    except ConnectionError:
        raise
    except Exception:
        log.exception("unexpected error while answering %s %s", request.method, request.path)
        unknown = WireError(
            -1000, "An unknown error occurred while processing the request.", status=500
        )
        response = _plain_json(unknown.body(), status=500)
    if request.path.startswith(("/api", "/sapi")) and not response.prepared:
        _add_weight_headers(context, request, response)
    return response


async def _read(request: web.Request) -> tuple[Params, str]:
    """The parameters, and the raw payload that is signed."""
    _path, _separator, query = request.raw_path.partition("?")
    body = (await request.read()).decode("utf-8", "replace")
    return Params(parse_request(query, body)), rest_payload(query, body)


def _verify(context: ServerContext, request: web.Request, params: Params, payload: str) -> ApiKey:
    return context.keys.verify(request.headers.get("X-MBX-APIKEY"), params.as_dict(), payload)


def _add_weight_headers(
    context: ServerContext, request: web.Request, response: web.StreamResponse
) -> None:
    used = str(context.limiter.used_weight(_ip(request)))
    response.headers["X-MBX-USED-WEIGHT"] = used
    response.headers["X-MBX-USED-WEIGHT-1M"] = used


def _ip(request: web.Request) -> str:
    return request.remote or "unknown"


def _time_unit(request: web.Request) -> bool:
    """Whether times are wanted in microseconds. Raises WireError -1194."""
    unit = request.headers.get("X-MBX-TIME-UNIT", "MILLISECOND")
    if unit not in TIME_UNITS:
        raise WireError(
            -1194,
            "Invalid value for time unit; expected either MICROSECOND or MILLISECOND.",
        )
    return TIME_UNITS[unit]


def _json(request: web.Request, body: Any) -> web.Response:
    return _plain_json(in_microseconds(body) if _time_unit(request) else body)


def _plain_json(body: Any, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")
