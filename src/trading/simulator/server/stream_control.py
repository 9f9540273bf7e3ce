"""Control messages of market sockets: subscribe, unsubscribe, list, properties."""

from __future__ import annotations

from typing import Any

import orjson

from trading.simulator.server.connection import Connection
from trading.simulator.server.stream_board import StreamBoard

MAX_STREAMS = 1024
METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
LONGEST_ID = 36


def answer_control(board: StreamBoard, connection: Connection, data: bytes) -> dict[str, Any]:
    """What the venue says to one message."""
    try:
        message = orjson.loads(data)
    except orjson.JSONDecodeError:
        return {"code": 3, "msg": "Invalid JSON: expected value at line 1 column 1"}
    if not isinstance(message, dict) or not isinstance(message.get("method"), str):
        return {"code": 2, "msg": "Invalid request: missing field `method`"}
    method, params, request_id = message["method"], message.get("params"), message.get("id")
    if not _is_request_id(request_id):
        return {"code": 2, "msg": "Invalid request: request ID must be an unsigned integer"}
    if method not in METHODS:
        known = ", ".join(f"`{name}`" for name in METHODS)
        text = f"Invalid request: unknown variant `{method}`, expected one of {known}"
        return {"code": 2, "msg": text, "id": request_id}
    if method == "LIST_SUBSCRIPTIONS":
        return {"result": sorted(connection.streams), "id": request_id}
    if not isinstance(params, list):
        return {"code": 2, "msg": "Invalid request: missing field `params`", "id": request_id}
    if method in ("SUBSCRIBE", "UNSUBSCRIBE"):
        if not all(isinstance(name, str) for name in params):
            return {"code": 2, "msg": "Invalid request: invalid stream", "id": request_id}
        if method == "SUBSCRIBE" and len(connection.streams | set(params)) > MAX_STREAMS:
            return {"code": 2, "msg": "Invalid request: too many streams", "id": request_id}
        for name in params:
            if method == "SUBSCRIBE":
                board.subscribe(connection, name)
            else:
                board.unsubscribe(connection, name)
        return {"result": None, "id": request_id}
    return _property(connection, method, params, request_id)


def _is_request_id(value: object) -> bool:
    """An integer, a short string, or nothing."""
    if isinstance(value, str):
        return len(value) <= LONGEST_ID
    return value is None or (isinstance(value, int) and not isinstance(value, bool))


def _property(
    connection: Connection, method: str, params: list[Any], request_id: object
) -> dict[str, Any]:
    if params and not isinstance(params[0], str):
        message = "Invalid request: property name must be a string"
        return {"code": 2, "msg": message, "id": request_id}
    if not params or params[0] != "combined":
        return {"code": 0, "msg": "Unknown property", "id": request_id}
    if method == "GET_PROPERTY":
        return {"result": connection.combined, "id": request_id}
    if len(params) != 2 or not isinstance(params[1], bool):
        return {"code": 1, "msg": "Invalid value type: expected Boolean", "id": request_id}
    connection.combined = params[1]
    return {"result": None, "id": request_id}
