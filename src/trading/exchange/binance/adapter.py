"""``BinanceClient``: the ``ExchangeClient`` of Binance, and of all that speaks its protocol."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import quote

from trading.errors import ExchangeError
from trading.exchange.binance import convert
from trading.exchange.binance.local_book import BookSnapshot
from trading.exchange.binance.rest_access import RestAccess
from trading.exchange.intervals import interval_ms
from trading.model.market import Bar, Book, Instrument
from trading.model.order import AccountSnapshot, OrderReport, OrderRequest

log = logging.getLogger(__name__)

INVALID_SYMBOL = -1121


class BinanceClient(RestAccess):
    """Orders, account and reference data of spot."""

    @property
    def venue(self) -> str:
        return self._config.venue

    def fail_over(self) -> str | None:
        """Turn to the venue's next REST host and name it; None where there is no other."""
        return self._client.next_host() if self._client is not None else None

    async def server_time_ms(self) -> int:
        answer = await self._read(self._open_client.get_server_time)
        return int(answer["serverTime"])

    async def instruments(self, symbols: tuple[str, ...]) -> dict[str, Instrument]:
        try:
            return await self._read(partial(self._exchange_info, symbols))
        except ExchangeError as error:
            if error.code != INVALID_SYMBOL:
                raise
        # One unlisted pair fails the whole question: ask again for those that have a book.
        books = await self._read(self._open_client.get_orderbook_tickers)
        names = {row["symbol"] for row in books}
        listed = tuple(symbol for symbol in symbols if symbol in names)
        return await self._read(partial(self._exchange_info, listed)) if listed else {}

    async def account(self) -> AccountSnapshot:
        async def read() -> AccountSnapshot:
            return convert.account(await self._open_client.get_account(omitZeroBalances="true"))

        return await self._read(read)

    async def submit_order(self, request: OrderRequest, on_wire: Callable[[], None]) -> OrderReport:
        client = self._open_client

        async def post(mark_sent: Callable[[], None]) -> OrderReport:
            answer = await client.post_order(convert.order_params(request), mark_sent)
            return convert.report_from_order(answer)

        return await self._send(post, on_wire, increases_risk=request.purpose.increases_risk)

    async def query_order(self, symbol: str, client_order_id: str) -> OrderReport:
        async def read() -> OrderReport:
            data = await self._open_client.get_order(
                symbol=symbol, origClientOrderId=client_order_id
            )
            return convert.report_from_order(data, await self._trades_of(data))

        return await self._read(read)

    async def cancel_order(self, symbol: str, client_order_id: str) -> OrderReport:
        data = await self._read(
            lambda: self._open_client.cancel_order(symbol=symbol, origClientOrderId=client_order_id)
        )
        trades = []
        try:
            trades = await self._read(lambda: self._trades_of(data))
        except ExchangeError as error:
            # The cancel itself is done and its totals are known; only the fees are missing.
            log.warning("cancelled %s, but its fills are unreadable: %s", client_order_id, error)
        return convert.report_from_order(data, trades)

    async def open_orders(self, symbol: str | None = None) -> tuple[OrderReport, ...]:
        async def read() -> tuple[OrderReport, ...]:
            rows = await self._open_client.get_open_orders(symbol=symbol)
            return tuple(convert.report_from_order(row) for row in rows)

        return await self._read(read)

    async def bars(
        self, symbol: str, interval: str, *, start_ms: int | None = None, limit: int = 500
    ) -> tuple[Bar, ...]:
        interval_ms(interval)

        async def read() -> tuple[Bar, ...]:
            rows = await self._open_client.get_klines(
                symbol=symbol, interval=interval, startTime=start_ms, limit=limit
            )
            return tuple(convert.bar(symbol, interval, row) for row in rows)

        return await self._read(read)

    async def order_book(self, symbol: str, depth: int = 20) -> Book:
        async def read() -> Book:
            data = await self._open_client.get_order_book(symbol=symbol, limit=depth)
            return convert.book(symbol, data, self._clock.now_ms())

        return await self._read(read)

    async def book_snapshot(self, symbol: str, depth: int) -> BookSnapshot:
        """A depth snapshot that a local book can begin with. From any event loop."""

        async def read() -> BookSnapshot:
            data = await self._open_client.get_order_book(symbol=symbol, limit=depth)
            return convert.book_snapshot(data)

        found: BookSnapshot = await self._read_snapshot(read)
        return found

    async def _exchange_info(self, symbols: tuple[str, ...]) -> dict[str, Instrument]:
        names = quote(json.dumps(symbols, separators=(",", ":")))
        client = self._open_client
        info = await client._get("exchangeInfo", data={"symbols": names})
        client.budget.learn(info["rateLimits"])
        listed = (convert.instrument(row) for row in info["symbols"])
        return {entry.symbol: entry for entry in listed}

    async def _trades_of(self, order: Any) -> list[Any]:
        if convert.is_unfilled(order):
            return []
        trades: list[Any] = await self._open_client.get_my_trades(
            symbol=order["symbol"], orderId=order["orderId"]
        )
        return trades
