"""/control/*: what tests may ask of the server beyond Binance's protocol. Off by default."""

from __future__ import annotations

import orjson
from aiohttp import web
from pydantic import Field, TypeAdapter, ValidationError

from trading.clock import ScaledClock
from trading.model.base import ValueModel
from trading.simulator.server.faults import Fault
from trading.simulator.server.spot.context import SPOT

FAULTS = TypeAdapter(list[Fault])


class ShockRequest(ValueModel):
    """Move one symbol, or "all", by ``pct`` per cent within ``duration_s`` of market time."""

    symbol: str = "all"
    pct: float = Field(gt=-100, le=1000, allow_inf_nan=False)
    duration_s: float = Field(default=0, ge=0, allow_inf_nan=False)
    volume_factor: float = Field(default=1, gt=0, le=1000, allow_inf_nan=False)


class SpeedRequest(ValueModel):
    """How fast the market runs from now on: 0 pauses it."""

    speed: float = Field(ge=0, le=1000, allow_inf_nan=False)


def add_control_routes(app: web.Application) -> None:
    app.router.add_post("/control/shock", _shock)
    app.router.add_get("/control/received", _received)
    app.router.add_post("/control/drop", _drop)
    app.router.add_post("/control/faults", _plan_faults)
    app.router.add_post("/control/speed", _change_speed)


async def _shock(request: web.Request) -> web.Response:
    context = request.app[SPOT]
    try:
        shock = ShockRequest.model_validate_json(await request.read())
    except ValidationError as error:
        return web.json_response({"error": str(error)}, status=400)
    symbol = None if shock.symbol == "all" else shock.symbol
    if symbol is not None and symbol not in context.exchange.instruments:
        return web.json_response({"error": f"{symbol} is not listed"}, status=400)
    now_ms = context.exchange.clock.now_ms()
    context.shock.add(symbol, shock.pct, now_ms, shock.duration_s, shock.volume_factor)
    return web.json_response({"at_ms": now_ms})


async def _received(request: web.Request) -> web.Response:
    """Every order post so far: wall and monotonic time of arrival, parameters, accepted or not."""
    received = list(request.app[SPOT].desk.received)
    return web.Response(body=orjson.dumps(received), content_type="application/json")


async def _drop(request: web.Request) -> web.Response:
    """Cut WebSockets: ?kind=market, ?kind=user, or all."""
    kind = request.query.get("kind")
    return web.json_response({"dropped": request.app[SPOT].connections.drop(kind)})


async def _plan_faults(request: web.Request) -> web.Response:
    """Have the listed faults happen: at once, or with the next order request that fits."""
    faults = request.app[SPOT].faults
    try:
        faults.plan(*FAULTS.validate_json(await request.read()))
    except ValidationError as error:
        return web.json_response({"error": str(error)}, status=400)
    return web.json_response({"applied": len(faults.applied)})


async def _change_speed(request: web.Request) -> web.Response:
    """Pause the market, let it go on, faster or slower; orders are answered all the time."""
    clock = request.app[SPOT].exchange.clock
    try:
        wanted = SpeedRequest.model_validate_json(await request.read())
    except ValidationError as error:
        return web.json_response({"error": str(error)}, status=400)
    if not isinstance(clock, ScaledClock):
        return web.json_response({"error": "this market runs by the wall clock"}, status=409)
    clock.change_speed(wanted.speed)
    return web.json_response({"speed": wanted.speed, "market_ms": clock.now_ms()})
