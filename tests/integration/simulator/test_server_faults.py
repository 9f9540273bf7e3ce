"""Every fault on the wire, as the real client sees it, and what it leaves at the venue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from venue_server import (
    ServedExchange,
    connect,
    eventually,
    limit_buy,
    running,
    served_exchange,
    unfenced,
)

from trading.clock import SystemClock
from trading.errors import (
    ClockSkewError,
    ExchangeError,
    OrderNotFoundError,
    OrderRejectedError,
    RateLimitedError,
    UnknownOutcomeError,
)
from trading.exchange.binance.adapter import BinanceClient
from trading.exchange.binance.user_stream import BinanceUserStream
from trading.model.order import OrderReport
from trading.simulator.server.config import ExchangeServerConfig
from trading.simulator.server.faults import Fault, FaultKind, Faults

TIMEOUT_S = 0.3  # where an answer never comes
PATIENCE_S = 20.0  # where one does: a busy machine is not a fault
SILENT = (FaultKind.REQUEST_LOST, FaultKind.ANSWER_LOST, FaultKind.ANSWER_LATE, FaultKind.DENIED)
AMBIGUOUS = [
    FaultKind.UNEXPECTED_RESPONSE,
    FaultKind.BACKEND_TIMEOUT,
    FaultKind.OVERLOADED,
    FaultKind.BAD_GATEWAY,
    FaultKind.UNAVAILABLE,
    FaultKind.GATEWAY_TIMEOUT,
]
OUTCOMES: list[tuple[Fault, type[ExchangeError], bool]] = [
    (Fault(kind=FaultKind.REQUEST_LOST), UnknownOutcomeError, False),
    (Fault(kind=FaultKind.RESET_SENDING), UnknownOutcomeError, False),
    (Fault(kind=FaultKind.CLOCK), ClockSkewError, False),
    (Fault(kind=FaultKind.RATE_LIMITED), RateLimitedError, False),
    (Fault(kind=FaultKind.BANNED), RateLimitedError, False),
    (Fault(kind=FaultKind.INSUFFICIENT_BALANCE), OrderRejectedError, False),
    (Fault(kind=FaultKind.ANSWER_LOST), UnknownOutcomeError, True),
    (Fault(kind=FaultKind.ANSWER_LATE), UnknownOutcomeError, True),
    (Fault(kind=FaultKind.RESET_READING), UnknownOutcomeError, True),
    (Fault(kind=FaultKind.ANSWER_CUT), UnknownOutcomeError, True),
    (Fault(kind=FaultKind.DENIED), UnknownOutcomeError, True),
    *[
        (Fault(kind=k, accepted=a), UnknownOutcomeError, a)
        for k in AMBIGUOUS
        for a in (True, False)
    ],
]


@asynccontextmanager
async def faulty_venue(
    *, recv_window_ms: int = 10_000, timeout_s: float = PATIENCE_S
) -> AsyncIterator[tuple[ServedExchange, BinanceClient]]:
    async with served_exchange(ExchangeServerConfig(control=True)) as served:
        config = served.config(request_timeout_s=timeout_s, recv_window_ms=recv_window_ms)
        client = BinanceClient(config, served.credentials, SystemClock())
        await connect(client)
        try:
            yield served, client
        finally:
            await client.close()


def orders_at(served: ServedExchange) -> int:
    return len(served.exchange.all_orders(served.server.keys[0].account_id, "BTCUSDT"))


@pytest.mark.parametrize(
    ("fault", "error", "accepted"),
    [pytest.param(*case, id=f"{case[0].kind}-{case[2]}") for case in OUTCOMES],
)
async def test_a_fault_looks_on_the_wire_as_it_is_named(
    fault: Fault, error: type[ExchangeError], accepted: bool
) -> None:
    silent = fault.kind in SILENT
    async with faulty_venue(timeout_s=TIMEOUT_S if silent else PATIENCE_S) as (served, client):
        served.server.faults.plan(fault)
        with pytest.raises(error):
            await client.submit_order(limit_buy("sg-1"), unfenced)
        await eventually(lambda: served.server.faults.applied == [fault])
        await eventually(lambda: orders_at(served) == int(accepted))


async def test_a_request_that_arrives_after_its_window_is_refused() -> None:
    venue = faulty_venue(recv_window_ms=200, timeout_s=TIMEOUT_S)
    async with venue as (served, client):
        served.server.faults.plan(Fault(kind=FaultKind.REQUEST_LATE, duration_ms=400))
        with pytest.raises(UnknownOutcomeError):
            await client.submit_order(limit_buy("sg-1"), unfenced)
        await asyncio.sleep(0.3)
        assert orders_at(served) == 0


async def test_a_denied_order_is_found_once_the_denial_is_over() -> None:
    async with faulty_venue(timeout_s=1.0) as (served, client):
        faults = served.server.faults
        faults.plan(Fault(kind=FaultKind.DENIED, duration_ms=3_600_000))
        with pytest.raises(UnknownOutcomeError):
            await client.submit_order(limit_buy("sg-1"), unfenced)
        with pytest.raises(OrderNotFoundError):
            await client.query_order("BTCUSDT", "sg-1")
        assert await client.open_orders() == ()
        faults.deny("sg-1", duration_ms=10)
        await asyncio.sleep(0.02)
        assert (await client.query_order("BTCUSDT", "sg-1")).client_order_id == "sg-1"


async def test_a_fault_of_cancels_leaves_orders_alone() -> None:
    async with faulty_venue() as (served, client):
        served.server.faults.plan(Fault(kind=FaultKind.RESET_READING, method="DELETE"))
        await client.submit_order(limit_buy("sg-1"), unfenced)
        with pytest.raises(ExchangeError):
            await client.cancel_order("BTCUSDT", "sg-1")
        assert await client.open_orders() == ()


@pytest.mark.parametrize("kind", [k for k in FaultKind if k.startswith("events_")])
async def test_user_events_come_twice_late_or_not_at_all(kind: FaultKind) -> None:
    number = {FaultKind.EVENTS_SILENT: 2, FaultKind.EVENTS_REPEATED: 6}.get(kind, 3)
    heard: list[OrderReport] = []
    gaps: list[str] = []
    async with faulty_venue() as (served, client):
        config = served.config()
        stream = BinanceUserStream(config, served.credentials)
        async with running(stream.run(heard.append, gaps.append)):
            await eventually(lambda: gaps)
            served.server.faults.plan(Fault(kind=kind, duration_ms=1_000))
            await client.submit_order(limit_buy("sg-1", price="10000", quantity="0.5"), unfenced)
            # Behind the queue: first a part at its price, then the rest below it.
            served.tick(10_000.0, 0.2)
            served.tick(9_999.0)
            await eventually(lambda: len(heard) >= number)
            await asyncio.sleep(0.1)  # for what must not come
        statuses = [report.status.value for report in heard]
        usual = ["NEW", "PARTIALLY_FILLED", "FILLED"]
        if kind is FaultKind.EVENTS_SILENT:
            assert statuses == usual[:2]
        elif kind is FaultKind.EVENTS_REPEATED:
            assert sorted(statuses) == sorted(usual * 2)
        else:
            assert sorted(statuses) == sorted(usual)


async def test_faults_can_be_planned_through_the_control_route() -> None:
    async with (
        faulty_venue() as (served, client),
        aiohttp.ClientSession(served.server.rest_url) as http,
    ):
        async with http.post("/control/faults", json=[{"kind": "clock"}]) as answer:
            assert answer.status == 200
        async with http.post("/control/faults", json=[{"kind": "nonsense"}]) as answer:
            assert answer.status == 400
        with pytest.raises(ClockSkewError):
            await client.submit_order(limit_buy("sg-1"), unfenced)


def test_the_same_seed_draws_the_same_faults() -> None:
    def drawn(seed: int) -> list[Fault | None]:
        faults = Faults()
        faults.at_random(0.5, [fault for fault, _, _ in OUTCOMES], seed)
        return [faults.take("POST") for _ in range(100)]

    assert drawn(7) == drawn(7) != drawn(8)
    assert 30 < sum(fault is not None for fault in drawn(7)) < 70


async def test_nobody_is_hurt_once_the_bad_day_is_over() -> None:
    async with faulty_venue() as (served, client):
        served.server.faults.at_random(1.0, [Fault(kind=FaultKind.RESET_READING)], seed=1)
        with pytest.raises(UnknownOutcomeError):
            await client.submit_order(limit_buy("sg-1"), unfenced)
        served.server.faults.end()
        await client.submit_order(limit_buy("sg-2"), unfenced)
