"""Orders through python-binance to the served exchange: outcomes, faults, and what is sent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest
from venue_server import (
    RecordingProxy,
    ServedExchange,
    connect,
    eventually,
    limit_buy,
    market_buy,
    served_exchange,
    unfenced,
)

from trading.clock import SystemClock
from trading.errors import (
    AuthenticationError,
    ClockSkewError,
    ExchangeConnectionError,
    OrderNotFoundError,
    OrderRejectedError,
    RateLimitedError,
    TradingHaltedError,
    UnknownOutcomeError,
)
from trading.exchange.binance.adapter import BinanceClient
from trading.exchange.config import ExchangeConfig
from trading.exchange.credentials import ApiCredentials
from trading.model.order import OrderPurpose, OrderRequest, OrderStatus, OrderType, Side
from trading.simulator.server.config import AccountConfig, ExchangeServerConfig
from trading.simulator.server.faults import Fault, FaultKind
from trading.simulator.server.limit_config import RateLimitConfig


@asynccontextmanager
async def connected(
    served: ServedExchange, config: ExchangeConfig | None = None
) -> AsyncIterator[BinanceClient]:
    client = BinanceClient(config or served.config(), served.credentials, SystemClock())
    await connect(client)
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def proxied_exchange(
    **options: object,
) -> AsyncIterator[tuple[ServedExchange, RecordingProxy, BinanceClient]]:
    """A client that reaches the exchange through a proxy."""
    async with served_exchange() as served:
        proxy = RecordingProxy(served.server.port)
        await proxy.start()
        config = served.config(rest_url=f"http://127.0.0.1:{proxy.port}", **options)
        try:
            async with connected(served, config) as client:
                yield served, proxy, client
        finally:
            await proxy.stop()


async def test_an_order_is_placed_queried_cancelled_and_then_unknown() -> None:
    async with served_exchange() as served, connected(served) as client:
        placed = await client.submit_order(limit_buy("sg-1"), unfenced)
        assert placed.status is OrderStatus.NEW
        assert placed.limit_price == Decimal(9900)
        assert await client.query_order("BTCUSDT", "sg-1") == placed
        assert await client.open_orders() == (placed,)
        assert (await client.account()).balances["USDT"].locked == Decimal(99)

        cancelled = await client.cancel_order("BTCUSDT", "sg-1")

        assert (cancelled.client_order_id, cancelled.status) == ("sg-1", OrderStatus.CANCELED)
        assert await client.open_orders("BTCUSDT") == ()
        with pytest.raises(OrderNotFoundError):
            await client.cancel_order("BTCUSDT", "sg-1")
        with pytest.raises(OrderNotFoundError):
            await client.query_order("BTCUSDT", "sg-2")


async def test_a_market_order_brings_its_fills_by_answer_and_again_by_query() -> None:
    rich = ExchangeServerConfig(accounts=(AccountConfig(balances={"USDT": Decimal(10**6)}),))
    async with served_exchange(rich) as served, connected(served) as client:
        report = await client.submit_order(market_buy("sg-1", "4"), unfenced)

        assert report.status is OrderStatus.FILLED
        assert len(report.fills) > 1
        assert sum(fill.quantity for fill in report.fills) == report.filled_quantity > 0
        assert sum(fill.notional for fill in report.fills) == report.filled_notional
        assert (await client.query_order("BTCUSDT", "sg-1")).fills == report.fills


async def test_a_cancelled_order_reports_the_fills_it_had() -> None:
    async with served_exchange() as served, connected(served) as client:
        await client.submit_order(limit_buy("sg-1", "9900", "0.9"), unfenced)
        book = served.exchange.depth("BTCUSDT", 100)
        ahead = sum(level.quantity for level in book.bids if level.price == Decimal(9900))
        served.tick(9900.0, float(ahead) + 0.05)

        cancelled = await client.cancel_order("BTCUSDT", "sg-1")

        assert cancelled.status is OrderStatus.CANCELED
        assert 0 < cancelled.filled_quantity < Decimal("0.9")
        assert sum(fill.quantity for fill in cancelled.fills) == cancelled.filled_quantity
        assert all(fill.is_maker for fill in cancelled.fills)


async def test_a_protective_stop_rests_with_its_trigger_price() -> None:
    async with served_exchange() as served, connected(served) as client:
        bought = await client.submit_order(market_buy("sg-1"), unfenced)
        quantity = Decimal("0.009")
        stop = OrderRequest(
            client_order_id="sg-stop",
            symbol="BTCUSDT",
            side=Side.SELL,
            type=OrderType.STOP_LOSS,
            quantity=quantity,
            trigger_price=Decimal(9800),
            purpose=OrderPurpose.PROTECTIVE_STOP,
        )
        placed = await client.submit_order(stop, unfenced)
        assert bought.status is OrderStatus.FILLED
        assert (placed.status, placed.trigger_price) == (OrderStatus.NEW, Decimal(9800))
        served.tick(9790.0)
        assert (await client.query_order("BTCUSDT", "sg-stop")).status is OrderStatus.FILLED


async def test_every_signed_request_carries_our_receive_window() -> None:
    async with served_exchange() as served, connected(served) as client:
        await client.submit_order(limit_buy("sg-1"), unfenced)
        assert served.server.received_orders[0]["params"]["recvWindow"] == "1000"


async def test_the_librarys_own_receive_window_would_be_ten_seconds() -> None:
    """The broken variant of the test above: without our override the window is 10 s."""
    async with served_exchange() as served, connected(served) as client:
        del client._open_client.REQUEST_RECVWINDOW
        await client.submit_order(limit_buy("sg-1"), unfenced)
        assert served.server.received_orders[0]["params"]["recvWindow"] == "10000"


async def test_amounts_leave_as_plain_decimals() -> None:
    async with served_exchange() as served, connected(served) as client:
        with pytest.raises(OrderRejectedError):
            await client.submit_order(limit_buy("sg-1", "9900", "1E-5"), unfenced)
        assert served.server.received_orders[0]["params"]["quantity"] == "0.00001"


async def test_an_answer_that_never_comes_is_an_unknown_outcome_resolved_by_query() -> None:
    async with proxied_exchange(request_timeout_s=0.3) as (served, proxy, client):
        proxy.answers = "hold"
        with pytest.raises(UnknownOutcomeError, match="Timeout"):
            await client.submit_order(limit_buy("sg-1"), unfenced)
        proxy.answers = "pass"
        assert len(served.server.received_orders) == 1
        assert (await client.query_order("BTCUSDT", "sg-1")).status is OrderStatus.NEW


async def test_a_connection_cut_after_the_order_left_is_an_unknown_outcome() -> None:
    async with proxied_exchange() as (served, proxy, client):
        proxy.answers = "cut"
        wire: list[str] = []
        with pytest.raises(UnknownOutcomeError):
            await client.submit_order(limit_buy("sg-1"), lambda: wire.append("on the wire"))
        proxy.answers = "pass"
        assert wire == ["on the wire"]
        assert len(served.server.received_orders) == 1
        assert (await client.query_order("BTCUSDT", "sg-1")).status is OrderStatus.NEW


async def test_an_order_whose_answer_the_venue_loses_is_found_by_query() -> None:
    async with served_exchange() as served, connected(served) as client:
        served.server.faults.plan(Fault(kind=FaultKind.RESET_READING))
        with pytest.raises(UnknownOutcomeError):
            await client.submit_order(limit_buy("sg-1"), unfenced)
        assert (await client.query_order("BTCUSDT", "sg-1")).status is OrderStatus.NEW


async def test_an_order_for_which_nobody_listens_did_not_leave() -> None:
    async with proxied_exchange() as (_, proxy, client):
        await proxy.stop()
        wire: list[str] = []
        with pytest.raises(ExchangeConnectionError):
            await client.submit_order(limit_buy("sg-1"), lambda: wire.append("on the wire"))
        assert wire == []


async def test_a_fenced_order_sends_no_byte_and_its_error_comes_out_untranslated() -> None:
    async with proxied_exchange() as (served, proxy, client):

        def fence() -> None:
            raise TradingHaltedError("tripped while the order was on its way")

        with pytest.raises(TradingHaltedError, match="on its way"):
            await client.submit_order(limit_buy("sg-1"), fence)
        await asyncio.sleep(0.05)
        assert b"POST" not in proxy.sent
        assert served.server.received_orders == []
        placed = await client.submit_order(limit_buy("sg-2"), unfenced)
        assert placed.status is OrderStatus.NEW
        assert b"POST" in proxy.sent


async def test_a_503_may_have_executed() -> None:
    async with served_exchange() as served, connected(served) as client:
        served.server.faults.plan(Fault(kind=FaultKind.OVERLOADED, accepted=False))
        with pytest.raises(UnknownOutcomeError):
            await client.submit_order(limit_buy("sg-1"), unfenced)


@pytest.mark.parametrize("kind", [FaultKind.RATE_LIMITED, FaultKind.BANNED])
async def test_nothing_is_sent_until_the_time_that_the_venue_named(kind: FaultKind) -> None:
    async with served_exchange() as served, connected(served) as client:
        served.server.faults.plan(Fault(kind=kind, duration_ms=500))
        started = time.monotonic()
        with pytest.raises(RateLimitedError, match="-1003"):
            await client.submit_order(limit_buy("sg-1"), unfenced)
        used = served.server.context.limiter.used_weight("127.0.0.1")
        wire: list[str] = []
        with pytest.raises(RateLimitedError, match="as the venue asked"):
            await client.submit_order(limit_buy("sg-2"), lambda: wire.append("on the wire"))
        with pytest.raises(RateLimitedError, match="as the venue asked"):
            await client.account()
        assert wire == []
        # Nothing is added; a new minute may have begun.
        assert served.server.context.limiter.used_weight("127.0.0.1") <= used
        await asyncio.sleep(1.05 - (time.monotonic() - started))
        assert (await client.submit_order(limit_buy("sg-3"), unfenced)).status is OrderStatus.NEW


async def test_an_order_refused_for_its_time_has_the_clock_measured_again() -> None:
    async with served_exchange() as served, connected(served) as client:
        client._open_client.timestamp_offset = -60_000
        with pytest.raises(ClockSkewError):
            await client.submit_order(limit_buy("sg-1"), unfenced)
        await eventually(lambda: abs(client.clock_offset_ms) < 1_000)
        assert (await client.submit_order(limit_buy("sg-2"), unfenced)).status is OrderStatus.NEW


async def test_too_many_orders_and_too_many_requests_say_how_long_to_wait() -> None:
    limits = RateLimitConfig(orders_per_10s=1, weight_per_minute=100)
    async with (
        served_exchange(ExchangeServerConfig(rate_limits=limits)) as served,
        connected(served) as client,
    ):

        async def many_orders() -> None:
            for number in range(5):  # a window may end in between
                await client.submit_order(limit_buy(f"sg-{number}"), unfenced)

        async def many_reads() -> None:
            for _ in range(15):
                await client.account()

        with pytest.raises(RateLimitedError) as orders:
            await many_orders()
        with pytest.raises(RateLimitedError) as weight:
            await many_reads()
        assert orders.value.code == -1015
        assert 0 < weight.value.retry_after_s <= 60


async def test_a_read_refused_for_its_time_is_repeated_with_a_fresh_offset() -> None:
    async with served_exchange() as served, connected(served) as client:
        client._open_client.timestamp_offset = -60_000
        assert (await client.account()).can_trade
        assert abs(client.clock_offset_ms) < 1000


async def test_an_order_refused_for_its_time_is_not_repeated() -> None:
    async with served_exchange() as served, connected(served) as client:
        client._open_client.timestamp_offset = -60_000
        with pytest.raises(ClockSkewError):
            await client.submit_order(limit_buy("sg-1"), unfenced)
        assert served.exchange.open_orders("main") == ()


async def test_a_wrong_secret_and_a_key_that_may_withdraw_stop_the_start() -> None:
    config = ExchangeServerConfig(accounts=(AccountConfig(can_withdraw=True),))
    async with served_exchange(config) as served:
        with pytest.raises(AuthenticationError, match="withdraw"):
            async with connected(served):
                pass
        wrong = ApiCredentials.model_validate({"key": served.server.keys[0].key, "secret": "no"})
        client = BinanceClient(served.config(), wrong, SystemClock())
        with pytest.raises(AuthenticationError):
            await client.connect()


async def test_reference_data_is_read_and_unlisted_pairs_are_absent() -> None:
    async with served_exchange() as served, connected(served) as client:
        limiter = served.server.context.limiter
        before = limiter.used_weight("127.0.0.1")
        found = await client.instruments(("BTCUSDT", "NOPEUSDT", "NOTUSDT", "NONEUSDT"))
        assert list(found) == ["BTCUSDT"]
        assert limiter.used_weight("127.0.0.1") - before <= 20 + 4 + 20  # not 20 for each pair
        assert found["BTCUSDT"].tick_size == Decimal("0.01")
        assert (await client.bars("BTCUSDT", "1m"))[-1].close == 10_000.0
        book = await client.order_book("BTCUSDT", 5)
        assert book.mid is not None
        assert abs(book.mid - 10_000) < 5
        assert abs(await client.server_time_ms() - SystemClock().now_ms()) < 1000
