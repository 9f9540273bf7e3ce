"""A venue out of service, as its gateway shows it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from trading.simulator.server.context import CONTEXT
from trading.simulator.server.faults import FaultKind
from trading.simulator.server.rest_faults import html_answer

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def out_of_service(request: web.Request, handler: Handler) -> web.StreamResponse:
    """503 for every request and handshake while maintenance lasts; /control goes on."""
    under_maintenance = request.app[CONTEXT].faults.lasts(FaultKind.MAINTENANCE)
    if under_maintenance and not request.path.startswith("/control"):
        return html_answer(FaultKind.UNAVAILABLE)
    return await handler(request)
