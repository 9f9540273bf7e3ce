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
from trading.simulator.server import rest_market
from trading.simulator.server.context import CONTEXT, ServerContext
from trading.simulator.server.desk import OrderDesk
from trading.simulator.server.order_wire import Json
from trading.simulator.server.params import Params
from trading.simulator.server.rest_faults import misbehave
from trading.simulator.server.rest_market import PublicHandler, one_or_all_weight
from trading.simulator.server.signatures import ApiKey, parse_request, rest_payload
from trading.simulator.server.wire_errors import WireError

log = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Weight = Callable[[Params], int]
SignedHandler = Callable[[OrderDesk, ApiKey, Params], Any]


def _constant(weight: int) -> Weight:
    return lambda _params: weight


PUBLIC: tuple[tuple[str, Weight, PublicHandler], ...] = (
    ("ping", _constant(1), rest_market.ping),
    ("time", _constant(1), rest_market.server_time),
    ("exchangeInfo", _constant(20), rest_market.pairs_and_limits),
    ("depth", rest_market.depth_weight, rest_market.depth),
    ("klines", _constant(2), rest_market.klines),
    ("trades", _constant(25), rest_market.trades),
    ("aggTrades", _constant(4), rest_market.aggregate_trades),
    ("avgPrice", _constant(2), rest_market.average_price),
    ("ticker/price", one_or_all_weight(2, 4), rest_market.ticker_price),
    ("ticker/bookTicker", one_or_all_weight(2, 4), rest_market.book_ticker),
    ("ticker/24hr", one_or_all_weight(2, 80), rest_market.day_ticker),
)
SIGNED: tuple[tuple[str, Weight, SignedHandler], ...] = (
    ("account", _constant(20), OrderDesk.account),
    ("order", _constant(4), OrderDesk.status),
    ("openOrders", one_or_all_weight(6, 80), OrderDesk.open_orders),
    ("allOrders", _constant(20), OrderDesk.all_orders),
    ("myTrades", _constant(20), OrderDesk.my_trades),
)
TRADING: tuple[tuple[str, str, SignedHandler], ...] = (
    ("POST", "order", OrderDesk.place),
    ("DELETE", "order", OrderDesk.cancel),
    ("DELETE", "openOrders", OrderDesk.cancel_all),
)


def add_rest_routes(app: web.Application) -> None:
    for path, weight, public in PUBLIC:
        app.router.add_get(f"/api/v3/{path}", partial(_public, weight, public))
    for path, weight, signed in SIGNED:
        app.router.add_get(f"/api/v3/{path}", partial(_signed, weight, signed))
    for method, path, trading in TRADING:
        app.router.add_route(method, f"/api/v3/{path}", partial(_trading, trading))
    test = partial(OrderDesk.place, test_only=True)
    app.router.add_post("/api/v3/order/test", partial(_signed, _constant(1), test))
    app.router.add_get("/sapi/v1/account/apiRestrictions", partial(_signed, _constant(1), _rights))


async def _public(weight: Weight, handler: PublicHandler, request: web.Request) -> web.Response:
    context = request.app[CONTEXT]
    params, _payload = await _read(request)
    context.limiter.charge(_ip(request), weight(params))
    return _json(handler(context, params))


async def _signed(weight: Weight, handler: SignedHandler, request: web.Request) -> web.Response:
    context = request.app[CONTEXT]
    params, payload = await _read(request)
    context.limiter.charge(_ip(request), weight(params))
    key = _verify(context, request, params, payload)
    return _json(handler(context.desk, key, params))


async def _trading(handler: SignedHandler, request: web.Request) -> web.StreamResponse:
    """Orders and cancels: no weight when they succeed, 1 when they fail."""
    context = request.app[CONTEXT]
    fault = context.faults.take(request.method)
    if fault is None or fault.spares_the_request:
        return await _answer(request, await _execute(handler, request))

    async def accept() -> web.Response:
        done = await _execute(handler, request)
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


async def _execute(handler: SignedHandler, request: web.Request) -> _Done:
    context = request.app[CONTEXT]
    params, payload = await _read(request)
    context.limiter.charge(_ip(request), 0)
    if latency_ms := context.exchange.config.latency_ms:
        await asyncio.sleep(latency_ms / 1000)
    try:
        key = _verify(context, request, params, payload)
        release = context.users.hold(key.account_id)
        try:
            response = _json(handler(context.desk, key, params))
        except BaseException:
            release()
            raise
    except (WireError, ExchangeRejection):
        context.limiter.charge(_ip(request), 1)
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


def _rights(_desk: OrderDesk, key: ApiKey, _params: Params) -> Json:
    return {
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


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refusals as Binance's JSON; used weight in the headers of every answer under /api."""
    context = request.app[CONTEXT]
    response: web.StreamResponse
    try:
        response = await handler(request)
    except (WireError, ExchangeRejection) as error:
        refusal = WireError.of(error) if isinstance(error, ExchangeRejection) else error
        response = _json(refusal.body(), status=refusal.status)
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
        response = _json(unknown.body(), status=500)
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


def _json(body: Any, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")
