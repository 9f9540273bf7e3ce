"""python-binance's sockets, each used for one connection only.

The library's own reconnection loses subscriptions, gives up after four attempts and can leave a
socket that looks alive. So a socket here ends with its first connection and says so; a supervisor
replaces client and socket. Messages go straight to a callback, so there is no queue to overflow.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from binance.exceptions import BinanceWebsocketUnableToConnect
from binance.ws.constants import WSListenerState
from binance.ws.websocket_api import WebsocketAPI

from trading.errors import SpikeguardError
from trading.exchange.binance.allow_list import HostAllowList
from trading.exchange.binance.client import VenueClient
from trading.exchange.config import ExchangeConfig

log = logging.getLogger(__name__)
# Every outage is reported once, by the supervisor; the library would log each attempt as an error.
logging.getLogger("binance.ws").setLevel(logging.CRITICAL)

MAX_FRAME_BYTES = 16 * 1024 * 1024  # the library's 1 MiB is too small for some answers


class _SingleUse:
    """Mixin for the library's sockets: the first failure ends them, ``ended`` tells why."""

    ended: asyncio.Future[str]
    _allow_list: HostAllowList
    _finished: asyncio.Event
    _handle_read_loop: Any
    _url: str
    ws: Any
    ws_state: Any

    def _prepare(self, allow_list: HostAllowList) -> None:
        self.ended = asyncio.get_running_loop().create_future()
        self._allow_list = allow_list
        self._finished = asyncio.Event()

    async def _before_connect(self) -> None:
        self._allow_list.check_url(self._url)

    async def _propagate_error(self, error_msg: dict[str, Any]) -> None:
        self._end(f"{error_msg.get('type')}: {error_msg.get('m')}")

    async def _run_reconnect(self) -> None:
        raise BinanceWebsocketUnableToConnect("a socket is used for one connection only")

    async def _read_loop(self) -> None:
        try:
            await super()._read_loop()  # type: ignore[misc]  # of the class mixed into
        finally:
            self._end("the read loop ended")
            self._finished.set()

    def _end(self, reason: str) -> None:
        if not self.ended.done():
            self.ended.set_result(reason)

    def _deliver(self, callback: Callable[[Any], None], message: Any) -> None:
        """Call ``callback``; what it raises ends the socket."""
        try:
            callback(message)
        except Exception as error:
            if not isinstance(error, SpikeguardError):
                log.exception("a message could not be handled")
            self._end(f"{type(error).__name__}: {error}")

    async def shut_down(self) -> None:
        """Close the connection and wait for the read loop's end.

        The library's ``close`` waits for the read loop before it closes the connection, which
        takes up to 10 s; closing the connection first ends the loop at once.
        """
        self.ws_state = WSListenerState.EXITING
        if self.ws is not None:
            await self.ws.close()
        if self._handle_read_loop:
            await self._finished.wait()
        self.ws = None


class ApiSocket(_SingleUse, WebsocketAPI):  # type: ignore[misc]  # the library has no types
    """One connection to the WebSocket API; events go to ``on_event``, answers to their callers."""

    def __init__(
        self, on_event: Callable[[Any], None], client: VenueClient, config: ExchangeConfig
    ) -> None:
        super().__init__(url=client.WS_API_URL)
        self._prepare(client.allow_list)
        self._ws_kwargs = socket_options(client, config)
        self._on_event = on_event

    def _handle_message(self, frame: Any) -> None:
        message = self.json_loads(frame)
        if "event" in message:  # serverShutdown comes without a subscriptionId
            self._deliver(self._on_event, message["event"])
            return
        answer = self._responses.get(message.get("id"))
        if answer is not None and not answer.done():
            super()._handle_message(frame)


def socket_options(client: VenueClient, config: ExchangeConfig) -> dict[str, Any]:
    """Options of ``websockets.connect`` for every socket of the venue."""
    return {
        "create_connection": client.allow_list.websocket_factory(),
        "ping_interval": config.reconnect.ping_interval_s,
        "ping_timeout": config.reconnect.ping_interval_s,
        "open_timeout": config.reconnect.connect_timeout_s,
        "max_size": MAX_FRAME_BYTES,
        "compression": None,  # costs more CPU than the bandwidth it saves is worth here
        "proxy": None,  # a proxy would stand between us and the allow-list
    }
