"""``RecoveringClient``: an ``ExchangeClient`` whose reads get over failures that pass.

Reads and cancels are repeated with exponential back-off and jitter, orders never. A venue that
keeps failing is left alone for growing pauses, but for cancels and queries of orders; and another
of its hosts is tried where there is one.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

import stamina

from trading.errors import ExchangeConnectionError
from trading.exchange.config import RetryConfig
from trading.exchange.error_kinds import is_retryable
from trading.exchange.protocols import ExchangeClient
from trading.exchange.recovery import RecoveryLog
from trading.exchange.start_patience import StartPatience
from trading.model.market import Bar, Book, Instrument
from trading.model.order import AccountSnapshot, OrderReport, OrderRequest

logger = logging.getLogger(__name__)

stamina.instrumentation.set_on_retry_hooks([])  # failures are noted here, and logged once

T = TypeVar("T")
READS, ORDERS = "exchange reads", "exchange orders"


class RecoveringClient:
    """``inner`` is the venue's own client. ``fail_over`` turns to the next host of the venue and
    names it; None where there is none. With a ``patience``, reads wait for the venue's limits
    until that ends; without, its refusals are raised at once."""

    def __init__(
        self,
        client: ExchangeClient,
        config: RetryConfig,
        log: RecoveryLog,
        fail_over: Callable[[], str | None],
        patience: StartPatience | None = None,
    ) -> None:
        self._patience = patience
        self.inner = self._client = client
        self._config = config
        self._fail_over = fail_over
        self.recovery = log

    @property
    def venue(self) -> str:
        return self._client.venue

    async def connect(self) -> None:
        await self._patiently(self._client.connect)

    async def close(self) -> None:
        await self._client.close()

    async def server_time_ms(self) -> int:
        return await self._read(self._client.server_time_ms)

    async def instruments(self, symbols: tuple[str, ...]) -> dict[str, Instrument]:
        return await self._read(lambda: self._client.instruments(symbols))

    async def account(self) -> AccountSnapshot:
        return await self._read(self._client.account)

    async def submit_order(self, request: OrderRequest, on_wire: Callable[[], None]) -> OrderReport:
        """Send one order once, as ``ExchangeClient`` says; a failure is only noted."""
        try:
            report = await self._client.submit_order(request, on_wire)
        except Exception as error:
            self.recovery.failed(ORDERS, error)
            raise
        self.recovery.succeeded(ORDERS)
        return report

    async def query_order(self, symbol: str, client_order_id: str) -> OrderReport:
        return await self._read(
            lambda: self._client.query_order(symbol, client_order_id), essential=True
        )

    async def cancel_order(self, symbol: str, client_order_id: str) -> OrderReport:
        return await self._read(
            lambda: self._client.cancel_order(symbol, client_order_id), essential=True
        )

    async def open_orders(self, symbol: str | None = None) -> tuple[OrderReport, ...]:
        return await self._read(lambda: self._client.open_orders(symbol))

    async def bars(
        self, symbol: str, interval: str, *, start_ms: int | None = None, limit: int = 500
    ) -> tuple[Bar, ...]:
        return await self._read(
            lambda: self._client.bars(symbol, interval, start_ms=start_ms, limit=limit)
        )

    async def order_book(self, symbol: str, depth: int = 20) -> Book:
        return await self._read(lambda: self._client.order_book(symbol, depth))

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        return await (call() if self._patience is None else self._patience.through(call))

    async def _read(self, call: Callable[[], Awaitable[T]], *, essential: bool = False) -> T:
        return await self._patiently(lambda: self._repeated(call, essential=essential))

    async def _repeated(self, call: Callable[[], Awaitable[T]], *, essential: bool) -> T:
        """``call`` until it succeeds, fails for good, or patience is over.

        An ``essential`` one is made even while the venue keeps failing.
        """
        breaker = self.recovery.breaker(READS)
        if breaker.wait_s > 0 and not essential:
            raise ExchangeConnectionError(
                f"the venue keeps failing; it is tried again in {breaker.wait_s:.1f} s"
            )
        breaker.begin_try()
        failures = 0
        config = self._config
        try:
            async for attempt in stamina.retry_context(
                on=is_retryable,
                attempts=config.attempts,
                timeout=config.timeout_s,
                wait_initial=config.first_wait_s,
                wait_max=config.max_wait_s,
                wait_jitter=config.first_wait_s,
            ):
                with attempt:
                    try:
                        result = await call()
                    except Exception as error:
                        failures += 1
                        self.recovery.failed(READS, error)
                        self._turn_away(failures, error)
                        raise
        except Exception as error:
            self.recovery.gave_up(READS, error)
            raise
        self.recovery.succeeded(READS, after_failures=failures)
        return result

    def _turn_away(self, failures: int, error: Exception) -> None:
        """A host that failed twice for one call: another one may answer."""
        if failures != 2 or not is_retryable(error):
            return
        other = self._fail_over()
        if other is not None:
            logger.warning("turning to %s: %s", other, error)
