"""What the clients of spot and of futures share: connection, clock, patience, errors."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from trading.clock import Clock
from trading.errors import AuthenticationError, ClockSkewError, ConfigurationError, ExchangeError
from trading.exchange.binance.client import VenueClient
from trading.exchange.binance.patience import Patience
from trading.exchange.binance.restrictions import KeyRestrictions, read_restrictions
from trading.exchange.binance.translate import translate
from trading.exchange.config import ExchangeConfig
from trading.exchange.credentials import ApiCredentials

log = logging.getLogger(__name__)

T = TypeVar("T")


class RestAccess:
    """REST of one market of Binance, through python-binance.

    Without credentials only public data can be asked for. Methods must be called on the loop that
    called ``connect``. Calls are paced below the venue's limits (``RequestBudget``). A refusal for
    too many calls is heeded all the same: until the time that the venue named, every call raises
    RateLimitedError at once and sends nothing.
    """

    def __init__(
        self, config: ExchangeConfig, credentials: ApiCredentials | None, clock: Clock
    ) -> None:
        self._config = config
        self._credentials = credentials
        self._clock = clock
        self._client: VenueClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._patience = Patience()
        self._resync_at_once = asyncio.Event()
        self._resync_task: asyncio.Task[None] | None = None

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
        self._loop = asyncio.get_running_loop()
        self._client = self._make_client()
        try:
            await self.resync_time()
            if self._credentials is not None:
                await self._check_account()
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

    async def resync_time(self) -> int:
        """Measure the clock offset again and return it (ms)."""
        return await self._read(self._open_client.resync_time)

    async def api_restrictions(self) -> KeyRestrictions:
        """What the key may do, so that one that can withdraw is refused."""
        client = self._open_client
        return await self._read(lambda: read_restrictions(client, self._config.venue))

    def _make_client(self) -> VenueClient:
        return VenueClient(self._config, self._credentials)

    async def _check_account(self) -> None:
        """Raises AuthenticationError or ConfigurationError for an account not to be used."""
        restrictions = await self.api_restrictions()
        if restrictions.can_withdraw:
            raise AuthenticationError(
                "the API key may withdraw funds; use one that may only read and trade"
            )

    @property
    def _open_client(self) -> VenueClient:
        if self._client is None:
            raise ConfigurationError("the venue is used before connect() or after close()")
        return self._client

    async def _send(
        self,
        post: Callable[[Callable[[], None]], Awaitable[T]],
        on_wire: Callable[[], None],
        *,
        increases_risk: bool,
    ) -> T:
        """Send one order once; ``post`` is given what to call before the bytes leave.

        Raises what ``ExchangeClient.submit_order`` raises.
        """
        sent = False

        def mark_sent() -> None:
            nonlocal sent
            on_wire()
            sent = True

        self._patience.require()
        self._open_client.budget.take_order(increases_risk=increases_risk)
        try:
            return await post(mark_sent)
        except Exception as error:
            translated = translate(error, is_order=True, sent=sent)
            self._patience.heed(translated)
            if isinstance(translated, ClockSkewError):
                self._resync_at_once.set()
            raise translated from error

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

    async def _read_snapshot(self, read: Callable[[], Awaitable[Any]]) -> Any:
        """Like ``_read``, from any event loop."""
        if self._loop is None or self._loop is asyncio.get_running_loop():
            return await self._read(read)
        asked = asyncio.run_coroutine_threadsafe(self._read(read), self._loop)
        return await asyncio.wrap_future(asked)

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
