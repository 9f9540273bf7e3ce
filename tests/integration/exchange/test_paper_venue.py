"""A dry run: live data, paper fills, and no signed request on the wire."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal

from venue_server import (
    RecordingProxy,
    ServedExchange,
    TickLog,
    eventually,
    limit_buy,
    market_buy,
    running,
    served_exchange,
    unfenced,
)

from trading.clock import SystemClock
from trading.exchange.factory import create_venue
from trading.exchange.protocols import Venue
from trading.model.market import Book
from trading.model.order import OrderReport, OrderStatus

SECRETS_ON_THE_WIRE = (b"signature=", b"x-mbx-apikey", b"/ws-api", b"post ", b"delete ", b"/sapi")


@asynccontextmanager
async def venue_behind_a_recorder(
    dry_run: bool,
) -> AsyncIterator[tuple[ServedExchange, Venue, RecordingProxy]]:
    async with served_exchange() as served:
        proxy = RecordingProxy(served.server.port)
        await proxy.start()
        config = served.config(
            rest_url=f"http://127.0.0.1:{proxy.port}",
            stream_url=f"ws://127.0.0.1:{proxy.port}",
            dry_run=dry_run,
        )
        venue = create_venue(config, served.credentials, SystemClock())
        await venue.client.connect()
        try:
            yield served, venue, proxy
        finally:
            await venue.client.close()
            await proxy.stop()


async def trade(served: ServedExchange, venue: Venue) -> list[OrderReport]:
    """Place, fill, query and cancel through every face of ``venue``; returns the reports."""
    heard, reports, gaps = TickLog(), list[OrderReport](), list[str]()
    client = venue.client
    async with (
        running(venue.feed.run(("BTCUSDT",), heard)),
        running(venue.user_stream.run(reports.append, gaps.append)),
    ):
        await eventually(lambda: heard.connections and gaps)
        await client.instruments(("BTCUSDT",))
        served.tick(10_000.0)
        await eventually(lambda: heard.ticks)
        await client.submit_order(limit_buy("sg-1"), unfenced)
        await client.submit_order(limit_buy("sg-2", "9800"), unfenced)
        served.tick(9_890.0)
        await eventually(lambda: OrderStatus.FILLED in [report.status for report in reports])
        assert (await client.query_order("BTCUSDT", "sg-1")).status is OrderStatus.FILLED
        await client.cancel_order("BTCUSDT", "sg-2")
        await client.account()
        await client.open_orders()
        await client.bars("BTCUSDT", "1m")
        await client.order_book("BTCUSDT")
        await client.server_time_ms()
    return reports


async def test_a_dry_run_trades_on_paper_and_sends_no_signed_request() -> None:
    async with venue_behind_a_recorder(dry_run=True) as (served, venue, proxy):
        reports = await trade(served, venue)
        account = await venue.client.account()

        assert account.balances["BTC"].total == Decimal("0.01") * Decimal("0.999")
        assert [report.fills[0].price for report in reports if report.fills] == [Decimal(9900)]
        assert served.server.received_orders == []
        sent = bytes(proxy.sent).lower()
        assert b"get /api/v3/exchangeinfo" in sent
        assert not [mark for mark in SECRETS_ON_THE_WIRE if mark in sent]


async def test_a_paper_account_is_never_stored_under_the_real_ones_name() -> None:
    async with (
        venue_behind_a_recorder(dry_run=True) as (_, paper, _),
        venue_behind_a_recorder(dry_run=False) as (_, real, _),
    ):
        assert paper.client.venue == f"{real.client.venue}-paper"


async def test_the_recorder_would_see_the_signed_requests_of_a_run_that_is_not_dry() -> None:
    """The broken variant of the test above: the same trading without ``dry_run``."""
    async with venue_behind_a_recorder(dry_run=False) as (served, venue, proxy):
        await trade(served, venue)
        sent = bytes(proxy.sent).lower()
        assert all(mark in sent for mark in SECRETS_ON_THE_WIRE)
        assert len(served.server.received_orders) == 2


async def test_paper_reports_reach_the_loop_that_runs_the_user_stream() -> None:
    """The feed and the orders live on different threads in the core process."""
    async with venue_behind_a_recorder(dry_run=True) as (served, venue, _):
        await venue.client.instruments(("BTCUSDT",))
        threads: list[int] = []
        gaps: list[str] = []
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        stream = asyncio.run_coroutine_threadsafe(
            venue.user_stream.run(lambda _: threads.append(threading.get_ident()), gaps.append),
            loop,
        )
        heard = TickLog()
        async with running(venue.feed.run(("BTCUSDT",), heard)):
            await eventually(lambda: heard.connections and gaps)
            await venue.client.submit_order(limit_buy("sg-1"), unfenced)
            served.tick(9_890.0)
            await eventually(lambda: len(threads) == 2)
        stream.cancel()
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=30)
        loop.close()
        assert set(threads) == {thread.ident}


async def test_the_paper_market_is_open_before_the_first_live_tick() -> None:
    async with venue_behind_a_recorder(dry_run=True) as (_, venue, _):
        await venue.client.instruments(("BTCUSDT",))
        report = await venue.client.submit_order(limit_buy("sg-1"), unfenced)
        assert report.status is OrderStatus.NEW


@asynccontextmanager
async def paper_market(
    served: ServedExchange, venue: Venue
) -> AsyncIterator[Callable[[], Awaitable[Book]]]:
    """The dry run's feed runs; yields what asks the venue itself for its book."""
    heard = TickLog()
    await venue.client.instruments(("BTCUSDT",))
    async with running(venue.feed.run(("BTCUSDT",), heard)):
        books = venue.feed._books
        await eventually(lambda: books.top("BTCUSDT", 1))
        yield lambda: venue.client.order_book("BTCUSDT", 100)


async def test_a_large_paper_order_pays_level_by_level_what_the_live_book_asks() -> None:
    async with (
        venue_behind_a_recorder(dry_run=True) as (served, venue, _),
        paper_market(served, venue) as live_book,
    ):
        first, second, *_ = (await live_book()).asks
        quantity = first.quantity + second.quantity / 2
        venue.client.exchange.open_account("paper", {"USDT": Decimal(1_000_000)})
        report = await venue.client.submit_order(market_buy("sg-1", str(quantity)), unfenced)
        assert report.status is OrderStatus.FILLED
        assert [(fill.price, fill.quantity) for fill in report.fills] == [
            (first.price, first.quantity),
            (second.price, second.quantity / 2),
        ]
        fees = sum(fill.fee for fill in report.fills)
        assert fees == quantity * Decimal("0.001")


async def test_a_resting_paper_order_waits_behind_all_that_rests_at_its_price() -> None:
    async with (
        venue_behind_a_recorder(dry_run=True) as (served, venue, _),
        paper_market(served, venue) as live_book,
    ):
        best, *_ = (await live_book()).bids
        order = limit_buy("sg-1", str(best.price), "0.01")
        await venue.client.submit_order(order, unfenced)
        for quantity, filled in ((float(best.quantity), Decimal(0)), (0.02, Decimal("0.01"))):
            served.tick(float(best.price), quantity)
            await eventually(lambda: venue.client.exchange.last_price("BTCUSDT") == best.price)
            await asyncio.sleep(0.05)
            report = await venue.client.query_order("BTCUSDT", "sg-1")
            assert report.filled_quantity == filled


async def test_no_paper_order_takes_from_a_book_that_is_not_known() -> None:
    async with venue_behind_a_recorder(dry_run=True) as (_, venue, _):
        await venue.client.instruments(("BTCUSDT",))
        report = await venue.client.submit_order(market_buy("sg-1"), unfenced)
        assert (report.status, report.filled_quantity) == (OrderStatus.EXPIRED, Decimal(0))
