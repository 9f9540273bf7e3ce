"""Spot's REST routes."""

from __future__ import annotations

from aiohttp import web

from trading.simulator.server.params import LooseParams
from trading.simulator.server.rest import MarketRest
from trading.simulator.server.rest_faults import html_page
from trading.simulator.server.spot import wallet
from trading.simulator.server.spot.context import SpotContext
from trading.simulator.server.spot.endpoints import ACCOUNT, PUBLIC, TRADE

ROOT = "/api/v3"
REMOVED = ("userDataStream",)

SpotRest = MarketRest[SpotContext]


def spot_rest(context: SpotContext) -> SpotRest:
    return MarketRest(context, ROOT, has_time_units=True)


def add_rest_routes(app: web.Application, rest: SpotRest) -> None:
    rest.add_routes(app, PUBLIC, (*ACCOUNT, *TRADE))
    for path in REMOVED:
        app.router.add_route("*", f"{ROOT}/{path}", _gone)
    wallet_rest = MarketRest(rest.context, wallet.ROOT, params=LooseParams)
    wallet_rest.add_routes(app, wallet.PUBLIC, wallet.KEYED)


async def _gone(_request: web.Request) -> web.Response:
    """The listen keys of old."""
    return html_page(410, "Gone")
