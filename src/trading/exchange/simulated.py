"""One account on a ``SimulatedExchange``, seen through the venue protocols.

The in-process venue of a replay and the paper venue of a dry run both stand on this client.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal

from trading.clock import MINUTE_MS, Clock
from trading.errors import ExchangeError
from trading.exchange.error_codes import error_for_code
from trading.exchange.intervals import interval_ms
from trading.model.market import Bar, Book, Instrument
from trading.model.order import AccountSnapshot, OrderReport, OrderRequest
from trading.simulator.exchange import SimulatedExchange
from trading.simulator.orders import ExchangeRejection, NewOrder, OrderEvent, SimOrder, UserEvent

ReportCallback = Callable[[OrderReport], None]


class SimulatedAccountClient:
    """``ExchangeClient`` of one account, without any network.

    Reports reach ``on_report`` on the thread whose call caused them, after the exchange has
    finished that call and before the call returns: a callback may safely call back.
    """

    def __init__(
        self,
        exchange: SimulatedExchange,
        clock: Clock,
        *,
        venue: str,
        account_id: str,
        balances: dict[str, Decimal] | None = None,
    ) -> None:
        self.exchange = exchange
        self.on_report: ReportCallback | None = None
        self._clock = clock
        self._venue = venue
        self._account_id = account_id
        self._events: deque[OrderEvent] = deque()
        self._delivery = threading.RLock()
        self._delivering = False
        exchange.open_account(account_id, balances)
        exchange.add_user_listener(self._on_user_event)

    @property
    def venue(self) -> str:
        return self._venue

    async def connect(self) -> None:
        """Nothing to connect to."""

    async def close(self) -> None:
        """Nothing to close."""

    async def server_time_ms(self) -> int:
        return self._clock.now_ms()

    async def instruments(self, symbols: tuple[str, ...]) -> dict[str, Instrument]:
        listed = self.exchange.instruments
        return {symbol: listed[symbol] for symbol in symbols if symbol in listed}

    async def account(self) -> AccountSnapshot:
        with translated(is_order=False):
            balances = self.exchange.balances(self._account_id)
        return AccountSnapshot(balances=balances, can_trade=True, time_ms=self._clock.now_ms())

    async def submit_order(self, request: OrderRequest, on_wire: Callable[[], None]) -> OrderReport:
        on_wire()
        with translated(is_order=True):
            order = self.exchange.submit(self._account_id, NewOrder.from_request(request))
            report = order.to_report()
        self.deliver_reports()
        return report

    async def query_order(self, symbol: str, client_order_id: str) -> OrderReport:
        with translated(is_order=False):
            return self._query(symbol, client_order_id).to_report()

    async def cancel_order(self, symbol: str, client_order_id: str) -> OrderReport:
        with translated(is_order=False):
            order = self.exchange.cancel(self._account_id, symbol, client_order_id=client_order_id)
            report = order.to_report()
        self.deliver_reports()
        return report

    async def open_orders(self, symbol: str | None = None) -> tuple[OrderReport, ...]:
        with translated(is_order=False):
            orders = self.exchange.open_orders(self._account_id, symbol)
            return tuple(order.to_report() for order in orders)

    async def bars(
        self, symbol: str, interval: str, *, start_ms: int | None = None, limit: int = 500
    ) -> tuple[Bar, ...]:
        minutes = interval_ms(interval) // MINUTE_MS
        with translated(is_order=False):
            return self.exchange.bars(symbol, minutes, start_ms=start_ms, limit=limit)

    async def order_book(self, symbol: str, depth: int = 20) -> Book:
        with translated(is_order=False):
            return self.exchange.depth(symbol, depth)

    def deliver_reports(self) -> None:
        """Hand over what the exchange has reported since; nested calls leave it to the outer."""
        with self._delivery:
            if self._delivering:
                return
            self._delivering = True
            try:
                while self._events:
                    event = self._events.popleft()
                    if self.on_report is not None:
                        self.on_report(report_of(event))
            finally:
                self._delivering = False

    def _query(self, symbol: str, client_order_id: str) -> SimOrder:
        return self.exchange.query(self._account_id, symbol, client_order_id=client_order_id)

    def _on_user_event(self, event: UserEvent) -> None:
        if isinstance(event, OrderEvent) and event.account_id == self._account_id:
            self._events.append(event)


def report_of(event: OrderEvent) -> OrderReport:
    """The order as it was right after ``event``, with the one fill that the event brought."""
    report = event.order.to_report()
    execution = event.execution
    fills = (
        ()
        if execution is None
        else tuple(fill for fill in report.fills if fill.trade_id == str(execution.trade_id))
    )
    return report.model_copy(update={"fills": fills, "time_ms": event.time_ms})


@contextmanager
def translated(*, is_order: bool) -> Iterator[None]:
    """Turn the engine's refusals into the errors that every venue raises."""
    try:
        yield
    except ExchangeRejection as rejection:
        error: ExchangeError = error_for_code(rejection.code, rejection.message, is_order=is_order)
        raise error from rejection
