"""The in-process venue: the embedded exchange behind the venue protocols, in virtual time."""

from __future__ import annotations

from decimal import Decimal

import pytest

from trading.clock import VirtualClock
from trading.errors import OrderNotFoundError, OrderRejectedError, UnknownOutcomeError
from trading.exchange.in_process import InProcessVenue
from trading.model.market import Instrument, Tick
from trading.model.order import (
    OrderPurpose,
    OrderReport,
    OrderRequest,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from trading.simulator.config import SimulatorConfig
from trading.simulator.exchange import SimulatedExchange

START_MS = 1_600_000_000_000
BTC = Instrument(
    symbol="BTCUSDT",
    base_asset="BTC",
    quote_asset="USDT",
    tick_size=Decimal("0.01"),
    step_size=Decimal("0.00001"),
    min_quantity=Decimal("0.00001"),
    max_quantity=Decimal("9000"),
    min_notional=Decimal("5"),
)


class Listener:
    def __init__(self) -> None:
        self.calls: list[object] = []

    def on_tick(self, tick: Tick) -> None:
        self.calls.append(tick)

    def on_feed_connected(self) -> None:
        self.calls.append("connected")

    def on_feed_lost(self, reason: str) -> None:
        self.calls.append(reason)


def make_venue() -> tuple[InProcessVenue, VirtualClock]:
    clock = VirtualClock(START_MS)
    exchange = SimulatedExchange(SimulatorConfig(), (BTC,), clock)
    venue = InProcessVenue(exchange, clock)
    push(venue, clock, 10_000.0)
    return venue, clock


def push(venue: InProcessVenue, clock: VirtualClock, price: float) -> None:
    clock.advance_to(clock.now_ms() + 1000)
    venue.push_tick(Tick("BTCUSDT", price, 1.0, clock.now_ms()))


def limit_buy(price: str, client_order_id: str = "sg-1") -> OrderRequest:
    return OrderRequest(
        client_order_id=client_order_id,
        symbol="BTCUSDT",
        side=Side.BUY,
        type=OrderType.LIMIT,
        quantity=Decimal("0.01"),
        limit_price=Decimal(price),
        time_in_force=TimeInForce.GTC,
        purpose=OrderPurpose.ENTRY,
    )


def no_wire() -> None:
    """An order that nobody fences."""


async def test_a_resting_order_fills_when_a_pushed_tick_trades_through_it() -> None:
    venue, clock = make_venue()
    reports: list[OrderReport] = []
    venue.user_stream.attach(reports.append)

    placed = await venue.client.submit_order(limit_buy("9900"), no_wire)
    assert placed.status is OrderStatus.NEW
    push(venue, clock, 9890.0)

    assert [report.status for report in reports] == [OrderStatus.NEW, OrderStatus.FILLED]
    assert reports[0].fills == ()
    assert [fill.quantity for fill in reports[1].fills] == [Decimal("0.01")]
    assert (await venue.client.query_order("BTCUSDT", "sg-1")).status is OrderStatus.FILLED


async def test_reports_arrive_before_the_tick_that_caused_them_reaches_the_listener() -> None:
    venue, clock = make_venue()
    listener = Listener()
    venue.feed.attach(("BTCUSDT",), listener)
    venue.user_stream.attach(lambda report: listener.calls.append(report.status))
    await venue.client.submit_order(limit_buy("9900"), no_wire)

    push(venue, clock, 9890.0)

    assert listener.calls[0] == "connected"
    assert listener.calls[1:3] == [OrderStatus.NEW, OrderStatus.FILLED]
    assert isinstance(listener.calls[3], Tick)


async def test_a_callback_may_call_the_venue_back_and_reports_keep_their_order() -> None:
    venue, _ = make_venue()
    seen: list[OrderStatus] = []

    def cancel_at_once(report: OrderReport) -> None:
        seen.append(report.status)
        if report.status is OrderStatus.NEW:
            venue.exchange.cancel("replay", "BTCUSDT", client_order_id="sg-1")
            venue.client.deliver_reports()

    venue.user_stream.attach(cancel_at_once)
    await venue.client.submit_order(limit_buy("9900"), no_wire)

    assert seen == [OrderStatus.NEW, OrderStatus.CANCELED]


async def test_an_order_fenced_on_the_wire_never_reaches_the_exchange() -> None:
    venue, _ = make_venue()

    def fence() -> None:
        raise OrderRejectedError("fenced")

    with pytest.raises(OrderRejectedError, match="fenced"):
        await venue.client.submit_order(limit_buy("9900"), fence)
    assert await venue.client.open_orders() == ()


async def test_refusals_are_errors_of_ours_and_a_duplicate_id_is_no_rejection() -> None:
    venue, _ = make_venue()
    with pytest.raises(OrderRejectedError, match="PERCENT_PRICE"):
        await venue.client.submit_order(limit_buy("100"), no_wire)
    with pytest.raises(OrderNotFoundError):
        await venue.client.query_order("BTCUSDT", "sg-1")
    await venue.client.submit_order(limit_buy("9900"), no_wire)
    with pytest.raises(UnknownOutcomeError):
        await venue.client.submit_order(limit_buy("9900"), no_wire)
    await venue.client.cancel_order("BTCUSDT", "sg-1")
    with pytest.raises(OrderNotFoundError):
        await venue.client.cancel_order("BTCUSDT", "sg-1")


async def test_the_same_pushes_give_the_same_reports() -> None:
    async def run() -> list[str]:
        venue, clock = make_venue()
        reports: list[OrderReport] = []
        venue.user_stream.attach(reports.append)
        for step in range(5):
            await venue.client.submit_order(limit_buy("9900", f"sg-{step}"), no_wire)
            push(venue, clock, 9895.0 + step)
        return [report.model_dump_json() for report in reports]

    assert await run() == await run()
