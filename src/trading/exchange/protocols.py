"""What a venue must be able to do, whatever it is.

Implementations raise only ``trading.errors`` errors. Reads may be repeated by the caller;
``submit_order`` never is, by anybody.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from trading.model.market import Bar, Book, Instrument, Tick
from trading.model.order import AccountSnapshot, OrderReport, OrderRequest


class ExchangeClient(Protocol):
    """Account, orders and reference data of one venue."""

    @property
    def venue(self) -> str: ...

    async def connect(self) -> None: ...

    async def close(self) -> None: ...

    async def server_time_ms(self) -> int: ...

    async def instruments(self, symbols: tuple[str, ...]) -> dict[str, Instrument]:
        """The named pairs. A pair the venue does not list is absent from the result."""
        ...

    async def account(self) -> AccountSnapshot: ...

    async def submit_order(self, request: OrderRequest, on_wire: Callable[[], None]) -> OrderReport:
        """Send one order once and wait for the venue's answer.

        ``on_wire`` is called, at most once, on the event loop, immediately before the request's
        bytes are handed to the socket, with no await in between: before that, a failure is
        definite (``ExchangeConnectionError``); after it, silence is an unknown outcome. It raises
        ``TradingHaltedError`` when the breaker has fenced this send: then nothing may be sent,
        and the error goes to the caller untranslated.

        Raises:
            OrderRejectedError: the venue refused it.
            ExchangeConnectionError: nothing left.
            UnknownOutcomeError: it left, and the answer was lost, late or a 5xx.
        """
        ...

    async def query_order(self, symbol: str, client_order_id: str) -> OrderReport:
        """Raises OrderNotFoundError when the venue does not know the id."""
        ...

    async def cancel_order(self, symbol: str, client_order_id: str) -> OrderReport:
        """Cancel and return the final report; OrderNotFoundError when unknown or already done."""
        ...

    async def open_orders(self, symbol: str | None = None) -> tuple[OrderReport, ...]: ...

    async def bars(
        self, symbol: str, interval: str, *, start_ms: int | None = None, limit: int = 500
    ) -> tuple[Bar, ...]:
        """Bars of ``interval`` ("1m", "1h", …), oldest first; the last may still be open."""
        ...

    async def order_book(self, symbol: str, depth: int = 20) -> Book: ...


class FeedListener(Protocol):
    """Where a market feed delivers. Called on the feed's event loop; must not block."""

    def on_tick(self, tick: Tick) -> None: ...

    def on_feed_connected(self) -> None: ...

    def on_feed_lost(self, reason: str) -> None: ...


class MarketFeed(Protocol):
    """Live trades of the subscribed symbols; reconnects by itself until closed."""

    async def run(self, symbols: tuple[str, ...], listener: FeedListener) -> None:
        """Deliver until cancelled."""
        ...


class UserStream(Protocol):
    """Reports on our own orders. ``on_gap`` means: something may have been missed, reconcile."""

    async def run(
        self, on_report: Callable[[OrderReport], None], on_gap: Callable[[str], None]
    ) -> None:
        """Deliver until cancelled."""
        ...


class Venue(Protocol):
    """A venue's three faces, sharing one configuration."""

    @property
    def client(self) -> ExchangeClient: ...

    @property
    def feed(self) -> MarketFeed: ...

    @property
    def user_stream(self) -> UserStream: ...
