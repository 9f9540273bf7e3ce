"""Reports on our own futures orders, heard under a listen key."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any

import orjson

from trading.errors import ExchangeError
from trading.exchange.binance import futures_convert
from trading.exchange.binance.client import FuturesVenueClient
from trading.exchange.binance.market_socket import MarketSocket, connect_socket
from trading.exchange.binance.supervisor import supervise_reports
from trading.exchange.binance.translate import MALFORMED, translate
from trading.exchange.config import ExchangeConfig
from trading.exchange.credentials import ApiCredentials
from trading.model.order import OrderReport

log = logging.getLogger(__name__)

ROUTE = "/private/ws"  # on another one the venue accepts the connection and sends nothing
KEEP_ALIVE_S = 1_800.0  # a key lives for an hour after its last renewal
ENDING_EVENTS = frozenset({"listenKeyExpired", "serverShutdown"})
# Client order ids of the venue's own: liquidation, deleveraging, settlement.
FORCED = ("autoclose-", "adl_autoclose", "settlement_autoclose-")


class BinanceFuturesUserStream:
    """``UserStream`` of USD-M futures on a client, a key and a socket of its own.

    ``on_gap`` is called after every connection, the first included, and when the venue itself has
    closed a position.
    """

    def __init__(
        self,
        config: ExchangeConfig,
        credentials: ApiCredentials,
        *,
        keep_alive_s: float = KEEP_ALIVE_S,
    ) -> None:
        self._config = config
        self._credentials = credentials
        self._keep_alive_s = keep_alive_s

    async def run(
        self, on_report: Callable[[OrderReport], None], on_gap: Callable[[str], None]
    ) -> None:
        async def attempt(connected: Callable[[], None]) -> str:
            return await self._stream(on_report, on_gap, connected)

        await supervise_reports("futures user stream", self._config.reconnect, attempt, on_gap)

    async def _stream(
        self,
        on_report: Callable[[OrderReport], None],
        on_gap: Callable[[str], None],
        connected: Callable[[], None],
    ) -> str:
        def on_frame(frame: memoryview | bytes) -> None:
            event = orjson.loads(frame)
            kind = event.get("e")
            if kind in ENDING_EVENTS:
                raise ExchangeError(f"the venue ended the futures user stream: {kind}")
            if kind == "ACCOUNT_UPDATE" and event.get("a", {}).get("m") == "FUNDING_FEE":
                on_gap("funding was settled")
                return
            try:
                report = _report(kind, event)
            except MALFORMED as error:
                log.error("unreadable %s %s: %r", kind, event, error)
                on_gap(f"a {kind} could not be read")
                return
            if report is None:
                return
            if report.client_order_id.startswith(FORCED):
                on_gap(f"the venue closed {report.symbol} by force: {report.client_order_id}")
            on_report(report)

        client = FuturesVenueClient(self._config, self._credentials)
        try:
            key = await client.futures_stream_get_listen_key()
            host = self._config.resolved_endpoints().futures_stream_url
            url = f"{host}{ROUTE}?listenKey={key}"
            socket = await connect_socket(url, self._config, on_frame)
            try:
                connected()
                return await self._keep_alive(client, socket, key)
            finally:
                await socket.shut_down()
        finally:
            await client.session.close()

    async def _keep_alive(self, client: FuturesVenueClient, socket: MarketSocket, key: str) -> str:
        """Renew the key until the connection ends; a key that cannot be renewed ends it."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._keep_alive_s):
                    return await asyncio.shield(socket.ended)
            try:
                await client.futures_stream_keepalive(key)
            except Exception as error:
                return f"the listen key could not be renewed: {translate(error)}"


def _report(kind: Any, event: dict[str, Any]) -> OrderReport | None:
    if kind == "ORDER_TRADE_UPDATE":
        return futures_convert.report_from_event(event["o"])
    if kind == "ALGO_UPDATE":
        return futures_convert.report_from_algo_event(event["o"], int(event["T"]))
    return None
