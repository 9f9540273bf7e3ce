"""A venue whose readers lag behind its matching engine, and where orders may arrive late."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trading.clock import Clock
from trading.errors import UnknownOutcomeError
from trading.model.order import AccountSnapshot, OrderReport, OrderRequest


class SlowVenue:
    """Wraps the in-process client.

    ``lag`` freezes what account and orders show for a while, as a read replica does; cancels reach
    the engine all the same. ``delay_orders_ms`` makes an order arrive so long after its sender has
    given up.
    """

    def __init__(self, client: Any, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._frozen_until_ms = 0
        self._account: AccountSnapshot | None = None
        self._orders: tuple[OrderReport, ...] = ()
        self._late: list[tuple[int, OrderRequest]] = []
        self.delay_orders_ms = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def lag(self, for_ms: int) -> None:
        """Show the present for so long."""
        self._account = await self._client.account()
        self._orders = await self._client.open_orders()
        self._frozen_until_ms = self._clock.now_ms() + for_ms

    async def account(self) -> AccountSnapshot:
        if self._lags and self._account is not None:
            return self._account
        snapshot: AccountSnapshot = await self._client.account()
        return snapshot

    async def open_orders(self, symbol: str | None = None) -> tuple[OrderReport, ...]:
        if self._lags:
            return tuple(o for o in self._orders if symbol in (None, o.symbol))
        orders: tuple[OrderReport, ...] = await self._client.open_orders(symbol)
        return orders

    async def query_order(self, symbol: str, client_order_id: str) -> OrderReport:
        for order in self._orders if self._lags else ():
            if order.client_order_id == client_order_id:
                return order
        report: OrderReport = await self._client.query_order(symbol, client_order_id)
        return report

    async def submit_order(self, request: OrderRequest, on_wire: Callable[[], None]) -> OrderReport:
        if self.delay_orders_ms:
            on_wire()
            self._late.append((self._clock.now_ms() + self.delay_orders_ms, request))
            raise UnknownOutcomeError("timed out")
        report: OrderReport = await self._client.submit_order(request, on_wire)
        return report

    async def deliver_late_orders(self) -> None:
        """Orders whose delay is over reach the engine."""
        now_ms = self._clock.now_ms()
        due = [request for at_ms, request in self._late if at_ms <= now_ms]
        self._late = [(at_ms, request) for at_ms, request in self._late if at_ms > now_ms]
        for request in due:
            await self._client.submit_order(request, lambda: None)

    @property
    def _lags(self) -> bool:
        return self._clock.now_ms() < self._frozen_until_ms
