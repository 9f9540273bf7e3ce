"""Bodies that are too large are refused before they are read, let alone parsed or stored."""

from __future__ import annotations

from fastapi import HTTPException
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# The largest we send ourselves, an analysis with a thousand bars, is a few hundred kilobytes. The
# body is read and parsed on the loop that guards, so it must not take long.
MAX_BODY_BYTES = 2_000_000


class BodyLimit:
    """ASGI middleware; refuses with 413 by the declared length, and by what really arrives."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if not declared.isdigit() or int(declared) > MAX_BODY_BYTES:
            refusal = JSONResponse({"error": "ControlApiError", "message": _TOO_LARGE}, 413)
            await refusal(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY_BYTES:
                raise HTTPException(413, _TOO_LARGE)
            return message

        await self._app(scope, counted, send)


_TOO_LARGE = f"the request is larger than {MAX_BODY_BYTES} bytes"
