"""``BinanceClient``: the ``ExchangeClient`` of Binance, and of all that speaks its protocol."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote

from trading.clock import Clock
from trading.errors import (
    AuthenticationError,
    ClockSkewError,
    ConfigurationError,
    ExchangeError,
)
from trading.exchange.binance import convert
from trading.exchange.binance.client import VenueClient
from trading.exchange.binance.patience import Patience
from trading.exchange.binance.restrictions import KeyRestrictions, read_restrictions
from trading.exchange.binance.translate import translate
from trading.exchange.config import ApiCredentials, ExchangeConfig
from trading.exchange.intervals import interval_ms
from trading.model.market import Bar, Book, Instrument
from trading.model.order import AccountSnapshot, OrderReport, OrderRequest

log = logging.getLogger(__name__)

T = TypeVar("T")
INVALID_SYMBOL = -1121


class BinanceClient:
    """Orders, account and reference data over REST, through python-binance.

    Without credentials only public data can be asked for. All methods must be called on the loop
    that called ``connect``. Calls are paced below the venue's limits (``RequestBudget``). A refusal
    for too many calls is heeded all the same: until the time that the venue named, every call
    raises RateLimitedError at once and sends nothing.
    """

    def __init__(
        self, config: ExchangeConfig, credentials: ApiCredentials | None, clock: Clock
    ) -> None:
        self._config = config
        self._credentials = credentials
        self._clock = clock
        self._client: VenueClient | None = None
        self._patience = Patience()
        self._resync_at_once = asyncio.Event()
        self._resync_task: asyncio.Task[None] | None = None

    @property
    def venue(self) -> str:
        return self._config.venue

    @property
    def clock_offset_ms(self) -> int:
        """The venue's wall clock minus ours, as last measured; requests are signed with it."""
        return int(self._open_client.timestamp_offset)

    async def connect(self) -> None:
        """Reach the venue, measure its clock, check the key.

        Raises:
            AuthenticationError: the key is refused, or it may withdraw.
            ConfigurationError: an endpoint is not one of the venue's hosts.
        """
        self._client = VenueClient(self._config, self._credentials)
        try:
            await self.resync_time()
            if self._credentials is not None:
                restrictions = await self.api_restrictions()
                if restrictions.can_withdraw:
                    raise AuthenticationError(
                        "the API key may withdraw funds; use one that may only read and trade"
                    )
        except BaseException:
            await self.close()
            raise
        self._resync_task = asyncio.create_task(self._resync_periodically())

    async def close(self) -> None:
        if self._resync_task is not None:
            self._resync_task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._resync_task
            self._resync_task = None
        if self._client is not None:
            await self._client.session.close()
            self._client = None

    async def server_time_ms(self) -> int:
        answer = await self._read(self._open_client.get_server_time)
        return int(answer["serverTime"])

    async def resync_time(self) -> int:
        """Measure the clock offset again and return it (ms)."""
        return await self._read(self._open_client.resync_time)

    async def api_restrictions(self) -> KeyRestrictions:
        """What the key may do, so that one that can withdraw is refused."""
        client = self._open_client
        return await self._read(lambda: read_restrictions(client, self._config.venue))

    async def instruments(self, symbols: tuple[str, ...]) -> dict[str, Instrument]:
        try:
            return await self._read(partial(self._exchange_info, symbols))
        except ExchangeError as error:
            if error.code != INVALID_SYMBOL:
                raise
        # One unlisted pair fails the whole question: ask for each on its own.
        found: dict[str, Instrument] = {}
        for symbol in symbols:
            try:
                found |= await self._read(partial(self._exchange_info, (symbol,)))
            except ExchangeError as error:
                if error.code != INVALID_SYMBOL:
                    raise
        return found

    async def account(self) -> AccountSnapshot:
        async def read() -> AccountSnapshot:
            return convert.account(await self._open_client.get_account(omitZeroBalances="true"))

        return await self._read(read)

    async def submit_order(self, request: OrderRequest, on_wire: Callable[[], None]) -> OrderReport:
        sent = False

        def mark_sent() -> None:
            nonlocal sent
            on_wire()
            sent = True

        client = self._open_client
        self._patience.require()
        client.budget.take_order(increases_risk=request.purpose.increases_risk)
        try:
            return convert.report_from_order(
                await client.post_order(convert.order_params(request), mark_sent)
            )
        except Exception as error:
            translated = translate(error, is_order=True, sent=sent)
            self._patience.heed(translated)
            if isinstance(translated, ClockSkewError):
                self._resync_at_once.set()
            raise translated from error

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

    @property
    def _open_client(self) -> VenueClient:
        if self._client is None:
            raise ConfigurationError("the venue is used before connect() or after close()")
        return self._client

    async def _read(self, call: Callable[[], Awaitable[T]]) -> T:
        """Run a read (or a cancel, which may be repeated); refused for its time, once more."""
        try:
            return await self._translated(call)
        except ClockSkewError:
            await self._translated(self._open_client.resync_time)
            return await self._translated(call)

    async def _translated(self, call: Callable[[], Awaitable[T]]) -> T:
        self._patience.require()
        try:
            return await call()
        except Exception as error:
            translated = translate(error)
            self._patience.heed(translated)
            raise translated from error

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

    async def _resync_periodically(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._config.time_resync_interval_s):
                    await self._resync_at_once.wait()
            self._resync_at_once.clear()
            try:
                await self.resync_time()
            except ExchangeError as error:
                log.warning("the venue's clock could not be read: %s", error)
