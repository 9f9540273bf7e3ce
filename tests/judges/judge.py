"""The official client as a process: one JSON request a line on stdin, one JSON verdict a line back.

It runs apart from the tests because it needs packages that the application cannot have beside it.
A verdict holds the raw answer, every complaint of the client's strict models, the documented fields
that the answer lacks and the fields that it has and the documents do not.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from typing import Any

from binance_common.configuration import (
    ConfigurationRestAPI,
    ConfigurationWebSocketAPI,
    ConfigurationWebSocketStreams,
)
from pydantic import BaseModel

WAIT_S = 30.0
SUBSCRIBED_S = 0.3  # the client does not say when a stream is subscribed
ABOUT_MODELS = ("did not match the declared types", "Failed to parse", "Unknown user data event")


class Complaints(logging.Handler):
    """What the client logs when an answer does not fit its model."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if any(words in text for words in ABOUT_MODELS):
            self.texts.append(text)


def compare(value: Any, path: str, missing: set[str], unknown: set[str]) -> None:
    """Walk a parsed answer; note documented fields that are not set, and undocumented ones."""
    if isinstance(value, list):
        for each in value:
            compare(each, path, missing, unknown)
    if not isinstance(value, BaseModel):
        return
    if "actual_instance" in type(value).model_fields:
        compare(value.actual_instance, path, missing, unknown)
        return
    for name, field in type(value).model_fields.items():
        if name == "additional_properties":
            continue
        alias = field.alias or name
        # The client's from_dict sets what was not sent to None.
        if name not in value.model_fields_set or getattr(value, name) is None:
            missing.add(f"{path}{alias}")
        else:
            compare(getattr(value, name), f"{path}{alias}.", missing, unknown)
    extra = getattr(value, "additional_properties", None) or {}
    unknown.update(f"{path}{name}" for name in extra)


def plain(value: Any) -> Any:
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, BaseModel):
        if "actual_instance" in type(value).model_fields:
            return plain(value.actual_instance)
        return value.to_dict() if hasattr(value, "to_dict") else value.model_dump(by_alias=True)
    return value


def make_client(market: str, **configuration: Any) -> Any:
    """Spot's client or that of USD-M futures; only one of them is installed beside the judge."""
    if market == "spot":
        from binance_sdk_spot.spot import Spot

        return Spot(**configuration)
    from binance_sdk_derivatives_trading_usds_futures import (
        derivatives_trading_usds_futures as futures,
    )

    return futures.DerivativesTradingUsdsFutures(**configuration)


class Judge:
    """The client, pointed at one server."""

    def __init__(self, setup: dict[str, Any], complaints: Complaints) -> None:
        secret = {"api_secret": setup.get("api_secret"), "private_key": setup.get("private_key")}
        secret = {name: value for name, value in secret.items() if value}
        self.client = make_client(
            setup["market"],
            config_rest_api=ConfigurationRestAPI(
                api_key=setup["api_key"],
                base_path=setup["rest_url"],
                timeout=10_000,
                retries=0,
                time_unit=setup.get("time_unit"),
                **secret,
            ),
            config_ws_api=ConfigurationWebSocketAPI(
                api_key=setup["api_key"], stream_url=setup["ws_api_url"], **secret
            ),
            config_ws_streams=ConfigurationWebSocketStreams(stream_url=setup["ws_url"]),
        )
        self.complaints = complaints
        self.sends_body = False
        self._ws_api: Any = None
        session = self.client.rest_api._session
        request = session.request

        def send(method: str, url: str, **options: Any) -> Any:
            if self.sends_body and method != "GET":
                options["data"] = options.pop("params")
                options["headers"] = dict(options["headers"]) | {
                    "Content-Type": "application/x-www-form-urlencoded"
                }
            return request(method, url, **options)

        session.request = send

    async def rule(self, task: dict[str, Any]) -> dict[str, Any]:
        self.complaints.texts.clear()
        self.sends_body = task["sends_body"]
        verdict: dict[str, Any] = {"missing": [], "unknown": [], "error": None, "data": None}
        try:
            data = await getattr(self, task["kind"])(task["name"], task["args"])
        except Exception as error:
            verdict["error"] = {
                "type": type(error).__name__,
                "text": str(error),
                "code": getattr(error, "status_code", None),
            }
        else:
            missing: set[str] = set()
            unknown: set[str] = set()
            compare(data, "", missing, unknown)
            verdict |= {"missing": sorted(missing), "unknown": sorted(unknown)}
            verdict["data"] = plain(data)
        verdict["complaints"] = list(self.complaints.texts)
        return verdict

    async def rest(self, name: str, args: dict[str, Any]) -> Any:
        method = getattr(self.client.rest_api, name)
        answer = await asyncio.to_thread(method, **args)
        return answer.data() if hasattr(answer, "data") else None

    async def ws_api(self, name: str, args: dict[str, Any]) -> Any:
        if self._ws_api is None:
            self._ws_api = await self.client.websocket_api.create_connection()
        answer = await asyncio.wait_for(getattr(self._ws_api, name)(**args), WAIT_S)
        data = getattr(answer, "response", answer).data()
        return getattr(data, "result", data)

    async def streams(self, _name: str, args: dict[str, Any]) -> Any:
        """Subscribe to all of ``args`` (method to arguments); the first message of each."""
        connection = await self.client.websocket_streams.create_connection()
        handles = [await getattr(connection, name)(**args[name]) for name in args]
        firsts = await asyncio.gather(*(self._first(handle) for handle in handles))
        await connection.close_connection(close_session=True)
        return list(firsts)

    async def user_data(self, _name: str, args: dict[str, Any]) -> Any:
        """Subscribe, place what ``args`` holds by REST, return the events that follow."""
        if self._ws_api is None:
            self._ws_api = await self.client.websocket_api.create_connection()
        answer = await self._ws_api.user_data_stream_subscribe_signature()
        events: asyncio.Queue[Any] = asyncio.Queue()
        answer.stream.on("message", events.put_nowait)
        for order in args["orders"]:
            await asyncio.to_thread(getattr(self.client.rest_api, order.pop("call")), **order)
        return [await asyncio.wait_for(events.get(), WAIT_S) for _ in range(args["count"])]

    async def listen_key_data(self, _name: str, args: dict[str, Any]) -> Any:
        """Futures' ``user_data``: by listen key, and calls of any kind instead of orders."""
        key = await asyncio.to_thread(self.client.rest_api.start_user_data_stream)
        connection = await self.client.websocket_streams.create_connection()
        stream = await connection.user_data(key.data().listen_key)
        events: asyncio.Queue[Any] = asyncio.Queue()
        stream.on("message", events.put_nowait)
        await asyncio.sleep(SUBSCRIBED_S)
        for call in args["calls"]:
            await asyncio.to_thread(getattr(self.client.rest_api, call.pop("call")), **call)
        heard = [await asyncio.wait_for(events.get(), WAIT_S) for _ in range(args["count"])]
        await connection.close_connection(close_session=True)
        return heard

    async def close(self) -> None:
        if self._ws_api is not None:
            await self._ws_api.close_connection(close_session=True)

    async def _first(self, handle: Any) -> Any:
        first: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        handle.on("message", lambda message: first.done() or first.set_result(message))
        return await asyncio.wait_for(first, WAIT_S)


async def main() -> None:
    loop = asyncio.get_running_loop()
    complaints = Complaints()
    logging.getLogger().addHandler(complaints)
    judge: Judge | None = None
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        task = json.loads(line)
        if task["kind"] == "setup":
            if judge is not None:
                await judge.close()
            judge = Judge(task["args"], complaints)
            continue
        assert judge is not None
        sys.stdout.write(json.dumps(await judge.rule(task), default=str) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
