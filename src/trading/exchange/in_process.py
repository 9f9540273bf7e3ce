"""The venue of a replay and of fast tests: the embedded exchange in the same process.

Nothing moves by itself. The driver calls ``push_tick``; orders are matched against it, reports
reach the user stream's callback and the tick reaches the feed's listener before it returns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal

from trading.clock import Clock
from trading.exchange.protocols import FeedListener
from trading.exchange.simulated import SimulatedAccountClient
from trading.model.market import Tick
from trading.model.order import OrderReport
from trading.simulator.exchange import SimulatedExchange


class PushFeed:
    """``MarketFeed`` whose ticks are pushed by a driver."""

    def __init__(self) -> None:
        self._listener: FeedListener | None = None
        self._symbols: frozenset[str] = frozenset()

    def attach(self, symbols: tuple[str, ...], listener: FeedListener) -> None:
        """Subscribe ``listener``; later ticks of ``symbols`` go to it."""
        self._symbols = frozenset(symbols)
        self._listener = listener
        listener.on_feed_connected()

    def push(self, tick: Tick) -> None:
        """Deliver one tick, at once."""
        if self._listener is not None and tick.symbol in self._symbols:
            self._listener.on_tick(tick)

    async def run(self, symbols: tuple[str, ...], listener: FeedListener) -> None:
        """Attach ``listener`` until cancelled."""
        self.attach(symbols, listener)
        try:
            await asyncio.Event().wait()
        finally:
            self._listener = None


class PushUserStream:
    """``UserStream`` that delivers in the call that caused the report; it never has a gap."""

    def __init__(self, client: SimulatedAccountClient) -> None:
        self._client = client

    def attach(self, on_report: Callable[[OrderReport], None]) -> None:
        self._client.on_report = on_report

    async def run(
        self, on_report: Callable[[OrderReport], None], on_gap: Callable[[str], None]
    ) -> None:
        """Attach ``on_report`` until cancelled."""
        self.attach(on_report)
        try:
            await asyncio.Event().wait()
        finally:
            self._client.on_report = None


class InProcessVenue:
    """``Venue`` over a ``SimulatedExchange``, in the caller's time (a VirtualClock in a replay)."""

    def __init__(
        self,
        exchange: SimulatedExchange,
        clock: Clock,
        *,
        account_id: str = "replay",
        balances: dict[str, Decimal] | None = None,
    ) -> None:
        self.exchange = exchange
        self._client = SimulatedAccountClient(
            exchange, clock, venue="replay", account_id=account_id, balances=balances
        )
        self._feed = PushFeed()
        self._user_stream = PushUserStream(self._client)

    @property
    def client(self) -> SimulatedAccountClient:
        return self._client

    @property
    def feed(self) -> PushFeed:
        return self._feed

    @property
    def user_stream(self) -> PushUserStream:
        return self._user_stream

    def push_tick(self, tick: Tick) -> None:
        """Match resting orders against ``tick``, deliver their reports, then the tick itself."""
        self.exchange.on_tick(tick)
        self._client.deliver_reports()
        self._feed.push(tick)
