"""How a fault looks on the wire of an order request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from trading.simulator.server.context import CONTEXT
from trading.simulator.server.faults import Fault, FaultKind
from trading.simulator.server.signatures import parse_request
from trading.simulator.server.wire_errors import WireError

POLL_S = 0.02
UNKNOWN_STATE = {
    FaultKind.UNEXPECTED_RESPONSE: (
        500,
        -1006,
        "An unexpected response was received from the message bus. Execution status unknown.",
    ),
    FaultKind.BACKEND_TIMEOUT: (
        504,
        -1007,
        "Timeout waiting for response from backend server. Send status unknown; execution status"
        " unknown.",
    ),
    FaultKind.OVERLOADED: (
        503,
        -1008,
        "Server is currently overloaded with other requests. Please try again in a few minutes.",
    ),
}
HTML = {
    FaultKind.BAD_GATEWAY: (502, "Bad Gateway"),
    FaultKind.UNAVAILABLE: (503, "Service Temporarily Unavailable"),
    FaultKind.GATEWAY_TIMEOUT: (504, "Gateway Time-out"),
}
OUTSIDE_WINDOW = (-1021, "Timestamp for this request is outside of the recvWindow.")

Accept = Callable[[], Awaitable[web.Response]]


async def misbehave(fault: Fault, request: web.Request, accept: Accept) -> web.StreamResponse:
    """Treat ``request`` as ``fault`` says.

    ``accept`` executes it, sends its user events and gives the answer that it would get.
    """
    kind = fault.kind
    if kind is FaultKind.RESET_SENDING:
        return _cut(request)
    if kind is FaultKind.REQUEST_LOST:
        return await _say_nothing(request)
    if kind is FaultKind.CLOCK:
        raise WireError(*OUTSIDE_WINDOW)
    if kind is FaultKind.INSUFFICIENT_BALANCE:
        raise WireError(*request.app[CONTEXT].no_funds)
    if kind in (FaultKind.RATE_LIMITED, FaultKind.BANNED):
        _refuse_all(fault, request)
    if kind is FaultKind.REQUEST_LATE:
        await asyncio.sleep(fault.duration_ms / 1000)
    if kind in UNKNOWN_STATE or kind in HTML:
        if fault.accepted:
            await accept()
        return _does_not_say(kind)
    if kind is FaultKind.DENIED:
        params = parse_request(request.query_string, (await request.read()).decode())
        order_id = params.get("newClientOrderId", "")
        request.app[CONTEXT].faults.deny(order_id, fault.duration_ms)
    response = await accept()
    if kind is FaultKind.RESET_READING:
        return _cut(request)
    if kind is FaultKind.ANSWER_CUT:
        return await _half(request, response)
    if kind is FaultKind.ANSWER_LATE:
        await asyncio.sleep(fault.duration_ms / 1000)
    elif kind in (FaultKind.ANSWER_LOST, FaultKind.DENIED):
        return await _say_nothing(request)
    return response


def _cut(request: web.Request) -> web.Response:
    """Reset the connection; nobody receives the answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _say_nothing(request: web.Request) -> web.Response:
    """Keep the connection, and keep silent until the client gives up."""
    while request.transport is not None and not request.transport.is_closing():  # noqa: ASYNC110 - aiohttp tells a handler in no other way that its client has gone
        await asyncio.sleep(POLL_S)
    return web.Response()


async def _half(request: web.Request, response: web.Response) -> web.StreamResponse:
    body = response.body if isinstance(response.body, bytes) else b""
    partial = web.StreamResponse(headers={"Content-Length": str(len(body))})
    await partial.prepare(request)
    await partial.write(body[: len(body) // 2])
    _cut(request)
    return partial


def _refuse_all(fault: Fault, request: web.Request) -> None:
    limiter, ip = request.app[CONTEXT].limiter, request.remote or "unknown"
    limiter.refuse(ip, fault.duration_ms / 1000, banned=fault.kind is FaultKind.BANNED)
    limiter.charge(ip, 0)


def _does_not_say(kind: FaultKind) -> web.Response:
    if kind in UNKNOWN_STATE:
        status, code, message = UNKNOWN_STATE[kind]
        raise WireError(code, message, status=status)
    return html_answer(kind)


def html_answer(kind: FaultKind) -> web.Response:
    """A gateway's own page, for one of the kinds in ``HTML``."""
    return html_page(*HTML[kind])


def html_page(status: int, title: str) -> web.Response:
    """An error as a gateway answers it, before any application has seen the request."""
    page = (
        f"<html>\r\n<head><title>{status} {title}</title></head>\r\n<body>\r\n"
        f"<center><h1>{status} {title}</h1></center>\r\n</body>\r\n</html>\r\n"
    )
    return web.Response(status=status, text=page, content_type="text/html")
