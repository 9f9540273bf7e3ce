"""Spot's REST routes."""

from __future__ import annotations

from functools import partial

from aiohttp import web

from trading.simulator.server.rest import MarketRest, ip_of
from trading.simulator.server.spot.context import SpotContext
from trading.simulator.server.spot.endpoints import ACCOUNT, PUBLIC, TRADE
from trading.simulator.server.wire import Json

ROOT = "/api/v3"
REMOVED = ("userDataStream",)

SpotRest = MarketRest[SpotContext]


def spot_rest(context: SpotContext) -> SpotRest:
    return MarketRest(context, ROOT, has_time_units=True)


def add_rest_routes(app: web.Application, rest: SpotRest) -> None:
    rest.add_routes(app, PUBLIC, (*ACCOUNT, *TRADE))
    for path in REMOVED:
        app.router.add_route("*", f"{ROOT}/{path}", _gone)
    app.router.add_get("/sapi/v1/account/apiRestrictions", partial(_rights, rest))


async def _rights(rest: SpotRest, request: web.Request) -> web.Response:
    params, payload = await rest.read(request)
    rest.context.limiter.charge(ip_of(request), 1)
    key = rest.verify(request, params, payload)
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
    return rest.json(request, rights)


async def _gone(_request: web.Request) -> web.Response:
    """The listen keys of old."""
    return web.Response(status=410, text="<html><body>410 Gone</body></html>")
