"""Watches what could still happen to an account, order by order, from outside the program.

``SlowNetwork`` stands between the order path and the in-process venue: an order may get lost, be
late, or be executed without an answer. ``WorstCase`` knows everything on its way and everything at
the venue. For each pair, in base units:

* *held* is what our orders have bought less what they sold and what fees took; the coins that the
  account had before stay out of it;
* the *worst case* is what we would hold if every buy that is open or on its way were filled. It may
  rise when an entry is sent, and never otherwise;
* all sells that are open or on their way together never exceed what is held: whatever fills, no
  position turns over, and nobody's own coins are sold.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from order_path import FaultyClient, OrderPath

from trading.errors import OrderRejectedError, UnknownOutcomeError
from trading.model.order import ZERO, OrderReport, OrderRequest, Side

RECV_WINDOW_MS = 1_000
ACCOUNT = "replay"


@dataclass
class Letter:
    """An order on its way; it arrives at ``arrives_ms``, or never."""

    request: OrderRequest
    sent_ms: int
    arrives_ms: int | None


class WorstCase:
    """Collects violations. ``sample`` is called whenever anything has changed."""

    def __init__(self, path: OrderPath, own_coins: dict[str, Decimal]) -> None:
        self._path = path
        self._own = own_coins
        self.on_its_way: list[Letter] = []
        self.violations: list[str] = []
        self._worst: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
        path.exchange.add_user_listener(lambda _: self.sample())

    def sent(self, letter: Letter) -> None:
        """An order has left."""
        request = letter.request
        self.on_its_way.append(letter)
        if request.purpose.increases_risk:
            if self._path.breaker.entries_blocked:
                self.violations.append(f"an entry of {request.symbol} left while halted")
            self._worst[request.symbol] += request.quantity
        elif request.side is not Side.SELL:
            self.violations.append(f"a reduction of {request.symbol} buys")
        self.sample()

    def sample(self) -> None:
        for symbol, instrument in self._path.exchange.instruments.items():
            held = self._path.held(instrument.base_asset) - self._own[instrument.base_asset]
            # An order that is being matched rests nowhere, so the list of open ones will not do.
            orders = self._path.exchange.all_orders(ACCOUNT, symbol)
            arrived = {order.client_order_id for order in orders}
            may_fill = [
                (letter.request.side, letter.request.quantity)
                for letter in self.on_its_way
                if letter.request.symbol == symbol and letter.request.client_order_id not in arrived
            ]
            may_fill += [(o.side, o.remaining) for o in orders if not o.status.is_final]
            buys, sells = (
                sum((quantity for side, quantity in may_fill if side is wanted), ZERO)
                for wanted in (Side.BUY, Side.SELL)
            )
            if sells > held:
                self.violations.append(f"{symbol}: {sells} may be sold, {held} is held")
            if held + buys > self._worst[symbol]:
                self.violations.append(
                    f"{symbol}: worst case rose from {self._worst[symbol]} to {held + buys}"
                )
            self._worst[symbol] = held + buys


class SlowNetwork(FaultyClient):
    """The in-process client over a network that loses, delays and reorders."""

    def __init__(self, client: Any, now_ms: Callable[[], int]) -> None:
        super().__init__(client)
        self._now_ms = now_ms
        self.worst: WorstCase
        self.delay_orders = 0  # so many of the next orders arrive late, or too late

    async def submit_order(self, request: OrderRequest, on_wire: Callable[[], None]) -> OrderReport:
        await asyncio.sleep(0)
        delays = self.delay_orders > 0
        self.delay_orders -= delays
        loses = not delays and self.lose_orders > 0
        self.lose_orders -= loses
        sent_ms = self._now_ms()
        late_ms = 400 if self.delay_orders % 2 else RECV_WINDOW_MS + 1
        letter = Letter(request, sent_ms, None if loses else sent_ms + late_ms * delays)

        def left() -> None:
            on_wire()
            self.worst.sent(letter)

        if delays or loses:
            left()
            raise UnknownOutcomeError("timed out")
        await self._let_others_run()
        try:
            return await super().submit_order(request, left)
        finally:
            if letter in self.worst.on_its_way:
                self.worst.on_its_way.remove(letter)

    async def cancel_order(self, symbol: str, client_order_id: str) -> OrderReport:
        await self._let_others_run()
        report = await super().cancel_order(symbol, client_order_id)
        await self._let_others_run()
        return report

    async def query_order(self, symbol: str, client_order_id: str) -> OrderReport:
        await self._let_others_run()
        return await super().query_order(symbol, client_order_id)

    async def deliver(self) -> None:
        """Bring what is due; the venue refuses what comes after its receive window."""
        now_ms = self._now_ms()
        for letter in tuple(self.worst.on_its_way):
            if now_ms - letter.sent_ms > RECV_WINDOW_MS:
                self.worst.on_its_way.remove(letter)
            elif letter.arrives_ms is not None and now_ms >= letter.arrives_ms:
                with contextlib.suppress(OrderRejectedError):
                    await self._client.submit_order(letter.request, lambda: None)
                self.worst.on_its_way.remove(letter)
                self.worst.sample()

    @staticmethod
    async def _let_others_run() -> None:
        for _ in range(3):
            await asyncio.sleep(0)
