"""Reports on our own orders from the WebSocket API's user data stream."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from trading.errors import ExchangeError
from trading.exchange.binance import convert
from trading.exchange.binance.client import VenueClient
from trading.exchange.binance.sockets import ApiSocket
from trading.exchange.binance.supervisor import supervise_reports
from trading.exchange.binance.translate import MALFORMED
from trading.exchange.config import ExchangeConfig
from trading.exchange.credentials import ApiCredentials
from trading.model.order import OrderReport

log = logging.getLogger(__name__)

ENDING_EVENTS = frozenset({"serverShutdown", "eventStreamTerminated"})


class BinanceUserStream:
    """``UserStream`` on a client and a socket of its own.

    ``on_gap`` is called after every subscription, the first included: reports from before it are
    not repeated by the venue.
    """

    def __init__(self, config: ExchangeConfig, credentials: ApiCredentials) -> None:
        self._config = config
        self._credentials = credentials

    async def run(
        self, on_report: Callable[[OrderReport], None], on_gap: Callable[[str], None]
    ) -> None:
        async def attempt(connected: Callable[[], None]) -> str:
            return await self._stream(on_report, on_gap, connected)

        await supervise_reports("user stream", self._config.reconnect, attempt, on_gap)

    async def _stream(
        self,
        on_report: Callable[[OrderReport], None],
        on_gap: Callable[[str], None],
        connected: Callable[[], None],
    ) -> str:
        def on_event(event: dict[str, Any]) -> None:
            kind = event.get("e")
            if kind == "executionReport":
                try:
                    report = convert.report_from_event(event)
                except MALFORMED as error:
                    log.error("unreadable executionReport %s: %r", event, error)
                    on_gap("an execution report could not be read")
                    return
                on_report(report)
            elif kind in ENDING_EVENTS:
                raise ExchangeError(f"the venue ended the user stream: {kind}")

        client = VenueClient(self._config, self._credentials)
        try:
            socket = ApiSocket(on_event, client, self._config)
            client.ws_api = socket
            await client.resync_time()
            try:
                await socket.connect()
                await client._ws_api_request(
                    "userDataStream.subscribe.signature",
                    signed=True,
                    params={"id": "subscribe", "recvWindow": self._config.recv_window_ms},
                )
                connected()
                return await socket.ended
            finally:
                await socket.shut_down()
        finally:
            client.ws_api = None  # shut down above; the library's own way takes up to 10 s
            await client.close_connection()
