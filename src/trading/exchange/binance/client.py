"""python-binance's ``AsyncClient``, pointed at one venue and at nothing else."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from binance import AsyncClient
from yarl import URL

from trading.clock import SystemClock
from trading.errors import ConfigurationError
from trading.exchange.binance.allow_list import AllowListConnector, HostAllowList
from trading.exchange.binance.request_budget import RequestBudget
from trading.exchange.binance.request_weights import is_essential, weight_of
from trading.exchange.config import ExchangeConfig
from trading.exchange.credentials import ApiCredentials
from trading.exchange.venues import VenueEndpoints

# Path of each of python-binance's URL attributes below the venue's REST host.
REST_PATHS = {
    "API": "/api",
    "MARGIN_API": "/sapi",
    "WEBSITE": "",
    "FUTURES_COIN": "/dapi",
    "FUTURES_COIN_DATA": "/futures/data",
    "OPTIONS": "/eapi",
    "PAPI": "/papi",
}
FUTURES_PATHS = {"FUTURES": "/fapi", "FUTURES_DATA": "/futures/data"}  # below the futures' host


def url_overrides(endpoints: VenueEndpoints) -> dict[str, str]:
    """A value within ``endpoints`` for every URL attribute of python-binance's client.

    Raises:
        ConfigurationError: the installed python-binance has a URL attribute that we do not know.
    """
    ws_host = urlsplit(endpoints.ws_api_url)
    urls = {family: endpoints.rest_url + path for family, path in REST_PATHS.items()}
    futures_url = endpoints.futures_rest_url or endpoints.rest_url
    urls |= {family: futures_url + path for family, path in FUTURES_PATHS.items()}
    urls["WS_API"] = endpoints.ws_api_url
    urls["WS_FUTURES"] = f"{ws_host.scheme}://{ws_host.netloc}/ws-fapi/v1"
    overrides = {}
    for name in dir(AsyncClient):
        if not name.endswith("_URL"):
            continue
        family = name.removesuffix("_URL").removesuffix("_TESTNET").removesuffix("_DEMO")
        if family not in urls:
            raise ConfigurationError(f"python-binance has an address we do not override: {name}")
        overrides[name] = urls[family]
    return overrides


class VenueClient(AsyncClient):  # type: ignore[misc]  # the library has no types
    """An ``AsyncClient`` on one venue's endpoints, with our receive window and our time-out.

    Must be created on the event loop that uses it. Construction opens no connection.
    """

    def __init__(self, config: ExchangeConfig, credentials: ApiCredentials | None) -> None:
        endpoints = config.resolved_endpoints()
        self.allow_list = HostAllowList(endpoints)
        self.budget = RequestBudget(patience_s=config.request_timeout_s)
        self.REQUEST_TIMEOUT = config.request_timeout_s
        self.REQUEST_RECVWINDOW = config.recv_window_ms  # the library's own would be 10 s
        self._endpoints = endpoints
        self._hosts = deque((endpoints.rest_url, *endpoints.fallback_rest_urls))
        self._use_host()
        super().__init__(
            credentials.key.get_secret_value() if credentials else None,
            credentials.secret.get_secret_value() if credentials else None,
        )

    def next_host(self) -> str | None:
        """Turn to the venue's next REST host and name it; None where there is no other."""
        if len(self._hosts) < 2:
            return None
        self._hosts.rotate(-1)
        self._use_host()
        return self._hosts[0]

    def _use_host(self) -> None:
        endpoints = self._endpoints.model_copy(update={"rest_url": self._hosts[0]})
        for name, url in url_overrides(endpoints).items():
            setattr(self, name, url)

    def _init_session(self) -> aiohttp.ClientSession:
        # The library's default session has no guard; cookies would only carry state we do not want.
        return aiohttp.ClientSession(
            headers=self._get_headers(),
            connector=AllowListConnector(self.allow_list),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def _request(self, method: str, uri: str, signed: bool, *args: Any, **kwargs: Any) -> Any:
        # Before the library signs, so that a request that had to wait is not too old.
        weight = weight_of(method, uri, kwargs.get("data") or {})
        await self.budget.take(weight, essential=is_essential(uri))
        return await super()._request(method, uri, signed, *args, **kwargs)

    async def _handle_response(self, response: aiohttp.ClientResponse) -> Any:
        self.budget.heed(response.headers)
        return await super()._handle_response(response)

    async def resync_time(self) -> int:
        """Measure the venue's clock against ours and sign with the difference from now on.

        Returns the offset in milliseconds, positive when the venue is ahead. The venue's clock is
        wall time, also where market time runs faster.
        """
        clock = SystemClock()
        before_ms = clock.now_ms()
        answer = await self._ask_time()
        middle_ms = (before_ms + clock.now_ms()) // 2
        self.timestamp_offset = int(answer["serverTime"]) - middle_ms
        self.budget.offset_ms = self.timestamp_offset
        return self.timestamp_offset

    async def _ask_time(self) -> Any:
        return await self.get_server_time()

    async def post_order(
        self, params: dict[str, Any], on_wire: Callable[[], None], uri: str = ""
    ) -> Any:
        """POST an order once, to /api/v3/order if no ``uri`` is given, signed by the library;
        ``on_wire`` right before the write.

        Redirects are not followed, so the order cannot be posted a second time.
        """
        arguments = self._get_request_kwargs("post", True, data=params)
        body = OrderPayload(urlencode(arguments["data"]).encode(), on_wire)
        try:
            async with self.session.post(
                URL(uri or self._create_api_uri("order", True), encoded=True),
                data=body,
                headers={"Content-Type": "application/x-www-form-urlencoded"},
                timeout=aiohttp.ClientTimeout(total=self.REQUEST_TIMEOUT),
                allow_redirects=False,
            ) as response:
                return await self._handle_response(response)
        except aiohttp.ClientError:
            if body.fence is not None:
                raise body.fence from None
            raise


class FuturesVenueClient(VenueClient):
    """The same for USD-M futures, whose clock is asked for their time."""

    async def _ask_time(self) -> Any:
        return await self.futures_time()

    async def post_futures_order(
        self, params: dict[str, Any], on_wire: Callable[[], None], *, is_conditional: bool
    ) -> Any:
        """POST /fapi/v1/order, or algoOrder for a conditional one, as ``post_order`` does."""
        path = "algoOrder" if is_conditional else "order"
        return await self.post_order(params, on_wire, self._create_futures_api_uri(path))


class OrderPayload(aiohttp.BytesPayload):
    """A request body that asks ``on_wire`` immediately before its bytes go to the socket.

    aiohttp holds the headers back until the body's first bytes and writes both at once, so
    nothing has left when ``on_wire`` raises. What it raised is kept in ``fence``, because aiohttp
    wraps it.
    """

    def __init__(self, value: bytes, on_wire: Callable[[], None]) -> None:
        super().__init__(value, content_type="application/x-www-form-urlencoded")
        self.fence: Exception | None = None
        self._on_wire = on_wire

    async def write(self, writer: AbstractStreamWriter) -> None:
        await self.write_with_length(writer, None)

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        if writer.transport is None or writer.transport.is_closing():
            raise aiohttp.ClientConnectionResetError("connection lost before the order was sent")
        try:
            self._on_wire()
        except Exception as error:
            self.fence = error
            raise
        await super().write_with_length(writer, content_length)
