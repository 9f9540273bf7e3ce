"""What is on no list of futures requests, in the venue's words."""

from __future__ import annotations

from aiohttp import web

from trading.simulator.server.rest import plain_json
from trading.simulator.server.rest_faults import html_page

CODE = -5000
RETIRED = {
    "/fapi/v1/account": "/fapi/v2/account",
    "/fapi/v1/balance": "/fapi/v2/balance",
    "/fapi/v1/positionRisk": "/fapi/v2/positionRisk",
}


def unknown_request(request: web.Request) -> web.Response:
    """JSON below /fapi, a gateway's page elsewhere."""
    if not request.path.startswith("/fapi/"):
        return html_page(404, "Not Found")
    successor = RETIRED.get(request.path)
    if request.method == "GET" and successor is not None:
        message = f"GET {request.path} is retired, please use GET {successor}"
    else:
        message = f"Path {request.path}, Method {request.method} is invalid"
    return plain_json({"code": CODE, "msg": message}, status=404)
