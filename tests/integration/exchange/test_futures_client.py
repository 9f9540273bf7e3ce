"""USD-M futures through the adapter, against the embedded exchange, and on its bad days."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
from simulated_venue import futures_of, running_venue, tick
from venue_server import FAST_RECONNECT, eventually, running, unfenced

from trading.clock import SystemClock
from trading.errors import (
    ClockSkewError,
    ConfigurationError,
    ExchangeError,
    OrderNotFoundError,
    OrderRejectedError,
    RateLimitedError,
    UnknownOutcomeError,
)
from trading.exchange.binance import futures_convert
from trading.exchange.binance.depth_feed import BinanceLocalBooks
from trading.exchange.binance.futures_client import BinanceFuturesClient
from trading.exchange.binance.futures_user_stream import BinanceFuturesUserStream
from trading.exchange.config import ExchangeConfig
from trading.exchange.credentials import ApiCredentials
from trading.exchange.factory import create_venue
from trading.exchange.venues import VenueEndpoints
from trading.model.order import (
    OrderPurpose,
    OrderReport,
    OrderRequest,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from trading.simulator.server.app import RunningServer
from trading.simulator.server.faults import Fault, FaultKind

SYMBOL = "BTCUSDT"
TIMEOUT_S = 0.4


def config_of(server: RunningServer, **options: Any) -> ExchangeConfig:
    endpoints = VenueEndpoints(
        rest_url=server.rest_url,
        stream_url=server.ws_url,
        ws_api_url=server.ws_api_url,
        futures_rest_url=server.futures_rest_url,
        futures_stream_url=server.futures_ws_url,
    )
    values = {
        "endpoints": endpoints,
        "reconnect": FAST_RECONNECT,
        "request_timeout_s": TIMEOUT_S,
        "futures": {"enabled": True, "leverage": 3},
    }
    return ExchangeConfig.model_validate(values | options)


def credentials_of(server: RunningServer) -> ApiCredentials:
    key = server.keys[0]
    return ApiCredentials.model_validate({"key": key.key, "secret": key.secret})


@asynccontextmanager
async def futures_venue(**settings: Any) -> AsyncIterator[tuple[RunningServer, Any]]:
    async with running_venue(**settings) as server:
        tick(server, 50_000.0)
        client = BinanceFuturesClient(config_of(server), credentials_of(server), SystemClock())
        await client.connect()
        await client.instruments((SYMBOL,))
        try:
            yield server, client
        finally:
            await client.close()


def order(
    client_order_id: str,
    kind: OrderType = OrderType.MARKET,
    side: Side = Side.BUY,
    quantity: str = "0.01",
    *,
    price: str | None = None,
    trigger: str | None = None,
) -> OrderRequest:
    waits = kind.has_limit_price and kind is not OrderType.LIMIT_MAKER
    return OrderRequest(
        client_order_id=client_order_id,
        symbol=SYMBOL,
        side=side,
        type=kind,
        quantity=Decimal(quantity),
        limit_price=None if price is None else Decimal(price),
        trigger_price=None if trigger is None else Decimal(trigger),
        time_in_force=TimeInForce.GTC if waits else None,
        purpose=OrderPurpose.ENTRY if side is Side.BUY else OrderPurpose.EXIT,
    )


async def test_a_market_order_is_answered_with_its_fills_and_fees() -> None:
    async with futures_venue() as (_, client):
        report = await client.submit_order(order("sg-1"), unfenced)
        assert report.status is OrderStatus.FILLED
        assert sum(fill.quantity for fill in report.fills) == Decimal("0.01")
        assert {fill.fee_asset for fill in report.fills} == {"USDT"}
        assert all(fill.fee > 0 for fill in report.fills)
        assert report.filled_notional == sum(fill.notional for fill in report.fills)
        again = await client.query_order(SYMBOL, "sg-1")
        assert again.fills == report.fills
        (position,) = await client.positions()
        assert (position.symbol, position.quantity) == (SYMBOL, Decimal("0.01"))
        assert position.entry_price == report.average_price


async def test_a_resting_order_can_be_asked_for_listed_and_cancelled() -> None:
    async with futures_venue() as (_, client):
        resting = order("sg-1", OrderType.LIMIT, price="49000")
        assert (await client.submit_order(resting, unfenced)).status is OrderStatus.NEW
        (listed,) = await client.open_orders()
        assert (listed.client_order_id, listed.limit_price) == ("sg-1", Decimal(49_000))
        assert (await client.cancel_order(SYMBOL, "sg-1")).status is OrderStatus.CANCELED
        assert await client.open_orders(SYMBOL) == ()
        with pytest.raises(OrderNotFoundError):
            await client.cancel_order(SYMBOL, "sg-1")
        with pytest.raises(OrderNotFoundError):
            await client.query_order(SYMBOL, "sg-2")


async def test_a_post_only_order_that_would_take_is_refused_or_expires() -> None:
    async with futures_venue() as (_, client):
        taking = order("sg-1", OrderType.LIMIT_MAKER, price="51000")
        try:
            report = await client.submit_order(taking, unfenced)
        except OrderRejectedError:
            return
        assert report.status is OrderStatus.EXPIRED
        assert report.filled_quantity == 0


async def test_a_stop_is_listed_and_cancelled_by_our_id_though_it_is_an_algo_order() -> None:
    async with futures_venue() as (_, client):
        await client.submit_order(order("sg-1"), unfenced)
        stop = order("sg-2", OrderType.STOP_LOSS, Side.SELL, trigger="49000")
        placed = await client.submit_order(stop, unfenced)
        assert (placed.status, placed.type) == (OrderStatus.NEW, OrderType.STOP_LOSS)
        (listed,) = await client.open_orders()
        assert (listed.client_order_id, listed.trigger_price) == ("sg-2", Decimal(49_000))
        assert (await client.query_order(SYMBOL, "sg-2")).status is OrderStatus.NEW
        assert (await client.cancel_order(SYMBOL, "sg-2")).status is OrderStatus.CANCELED
        assert await client.open_orders() == ()


async def test_a_stop_that_was_triggered_is_found_filled_under_our_id() -> None:
    async with futures_venue() as (server, client):
        await client.submit_order(order("sg-1"), unfenced)
        stop = order("sg-2", OrderType.STOP_LOSS, Side.SELL, trigger="49000")
        await client.submit_order(stop, unfenced)
        tick(server, 48_000.0)
        report = await client.query_order(SYMBOL, "sg-2")
        assert (report.status, report.filled_quantity) == (OrderStatus.FILLED, Decimal("0.01"))
        assert {fill.client_order_id for fill in report.fills} == {"sg-2"}
        assert await client.positions() == ()


async def test_what_reduces_risk_never_turns_a_position_round() -> None:
    async with futures_venue() as (_, client):
        await client.submit_order(order("sg-1"), unfenced)
        too_much = order("sg-2", side=Side.SELL, quantity="0.03")
        try:
            await client.submit_order(too_much, unfenced)
        except OrderRejectedError:
            return
        assert all(position.quantity >= 0 for position in await client.positions())


async def test_without_reduce_only_the_same_order_turns_it_round(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The broken variant of the test above."""
    params = futures_convert.order_params

    def without(request: OrderRequest) -> dict[str, str]:
        return {name: value for name, value in params(request).items() if name != "reduceOnly"}

    monkeypatch.setattr(futures_convert, "order_params", without)
    async with futures_venue() as (_, client):
        await client.submit_order(order("sg-1"), unfenced)
        await client.submit_order(order("sg-2", side=Side.SELL, quantity="0.03"), unfenced)
        (position,) = await client.positions()
        assert position.quantity < 0
        with pytest.raises(ExchangeError, match="short in BTCUSDT"):
            await client.account()


async def test_the_account_is_worth_what_a_spot_account_would_be() -> None:
    async with futures_venue() as (_, client):
        before = (await client.account()).balances["USDT"].total
        report = await client.submit_order(order("sg-1"), unfenced)
        balances = (await client.account()).balances
        fees = sum(fill.fee for fill in report.fills)
        assert balances["BTC"].total == Decimal("0.01")
        assert balances["USDT"].total == before - report.filled_notional - fees


async def test_leverage_and_margin_type_are_those_of_the_configuration() -> None:
    async def settings() -> tuple[str, str]:
        (row,) = await client._open_client._request_futures_api(
            "get", "positionRisk", True, version=2, data={"symbol": SYMBOL}
        )
        return row["leverage"], row["marginType"]

    async with futures_venue() as (_, client):
        assert await settings() == ("3", "isolated")
        await client.set_margin_type(SYMBOL, "ISOLATED")  # is that already: no error
        await client.set_leverage(SYMBOL, 5)
        assert await settings() == ("5", "isolated")


async def test_an_account_in_hedge_mode_is_refused() -> None:
    async with futures_venue() as (server, client):
        await client._open_client.futures_change_position_mode(dualSidePosition="true")
        other = BinanceFuturesClient(config_of(server), credentials_of(server), SystemClock())
        with pytest.raises(ConfigurationError, match="hedge mode"):
            await other.connect()


async def test_bars_books_and_time_are_the_contracts() -> None:
    async with futures_venue() as (_, client):
        assert len(await client.bars(SYMBOL, "1m", limit=5)) == 5
        book = await client.order_book(SYMBOL, 20)
        assert book.bids[0].price < book.asks[0].price
        assert abs(await client.server_time_ms() - SystemClock().now_ms()) < 5_000


OUTCOMES: list[tuple[Fault, type[ExchangeError], bool]] = [
    (Fault(kind=FaultKind.REQUEST_LOST), UnknownOutcomeError, False),
    (Fault(kind=FaultKind.RESET_SENDING), UnknownOutcomeError, False),
    (Fault(kind=FaultKind.CLOCK), ClockSkewError, False),
    (Fault(kind=FaultKind.RATE_LIMITED), RateLimitedError, False),
    (Fault(kind=FaultKind.BANNED), RateLimitedError, False),
    (Fault(kind=FaultKind.INSUFFICIENT_BALANCE), OrderRejectedError, False),
    (Fault(kind=FaultKind.ANSWER_LOST), UnknownOutcomeError, True),
    (Fault(kind=FaultKind.RESET_READING), UnknownOutcomeError, True),
    (Fault(kind=FaultKind.ANSWER_CUT), UnknownOutcomeError, True),
    (Fault(kind=FaultKind.BACKEND_TIMEOUT, accepted=True), UnknownOutcomeError, True),
    (Fault(kind=FaultKind.UNAVAILABLE, accepted=False), UnknownOutcomeError, False),
]


@pytest.mark.parametrize("is_stop", [False, True], ids=["order", "algo"])
@pytest.mark.parametrize(
    ("fault", "error", "accepted"),
    [pytest.param(*case, id=str(case[0].kind)) for case in OUTCOMES],
)
async def test_a_fault_of_an_order_is_told_apart_as_it_is_on_spot(
    fault: Fault, error: type[ExchangeError], accepted: bool, is_stop: bool
) -> None:
    kind = OrderType.STOP_LOSS if is_stop else OrderType.LIMIT
    price, trigger = (None, "51000") if is_stop else ("49000", None)
    async with futures_venue() as (server, client):
        server.faults.plan(fault)
        with pytest.raises(error):
            await client.submit_order(order("sg-1", kind, price=price, trigger=trigger), unfenced)
        client._patience._until_s = 0.0
        await asyncio.sleep(fault.duration_ms / 1000 if error is RateLimitedError else 0)
        if accepted:
            assert (await client.query_order(SYMBOL, "sg-1")).status is OrderStatus.NEW
        else:
            with pytest.raises(OrderNotFoundError):
                await client.query_order(SYMBOL, "sg-1")


async def test_reports_are_complete_over_forced_drops_and_a_key_that_expires() -> None:
    async with futures_venue() as (server, client):
        heard: list[OrderReport] = []
        gaps: list[str] = []
        stream = BinanceFuturesUserStream(config_of(server), credentials_of(server))
        async with running(stream.run(heard.append, gaps.append)):
            for number in range(1, 4):
                await eventually(lambda n=number: len(gaps) >= n)
                await client.submit_order(order(f"sg-{number}"), unfenced)
                await eventually(lambda n=number: f"sg-{n}" in filled(heard))
                if number == 1:
                    server.faults.plan(Fault(kind=FaultKind.USER_DROPPED))
                else:
                    keys = server.futures.context.listen_keys
                    account_id = server.keys[0].account_id
                    keys._keys[account_id] = (keys._keys[account_id][0], 0.0)
            await eventually(lambda: len(gaps) >= 4)
        assert filled(heard) == ["sg-1", "sg-2", "sg-3"]
        fills = [fill.trade_id for report in heard for fill in report.fills]
        assert len(fills) == len(set(fills))
        assert "listenKeyExpired" in gaps[-1]


async def test_a_triggered_stop_is_reported_under_our_id() -> None:
    async with futures_venue() as (server, client):
        heard: list[OrderReport] = []
        gaps: list[str] = []
        stream = BinanceFuturesUserStream(config_of(server), credentials_of(server))
        async with running(stream.run(heard.append, gaps.append)):
            await eventually(lambda: gaps)
            await client.submit_order(order("sg-1"), unfenced)
            stop = order("sg-2", OrderType.STOP_LOSS, Side.SELL, trigger="49000")
            await client.submit_order(stop, unfenced)
            tick(server, 48_000.0)
            await eventually(lambda: "sg-2" in filled(heard))


async def test_the_listen_key_is_renewed_while_the_stream_lasts() -> None:
    async with futures_venue() as (server, _):
        gaps: list[str] = []
        stream = BinanceFuturesUserStream(
            config_of(server), credentials_of(server), keep_alive_s=0.1
        )
        async with running(stream.run(lambda _: None, gaps.append)):
            await eventually(lambda: gaps)
            keys = server.futures.context.listen_keys
            (_, ends_s) = keys._keys[server.keys[0].account_id]
            await eventually(lambda: keys._keys[server.keys[0].account_id][1] > ends_s)
            assert len(gaps) == 1
            await keys_gone(server)
            await eventually(lambda: len(gaps) == 2)
        assert "could not be renewed" in gaps[1]


async def keys_gone(server: RunningServer) -> None:
    """The venue has forgotten the key, and says nothing of it."""
    assert server.futures is not None
    server.futures.context.listen_keys._keys.clear()


def filled(heard: list[OrderReport]) -> list[str]:
    ids = [report.client_order_id for report in heard if report.status is OrderStatus.FILLED]
    return list(dict.fromkeys(ids))


async def test_the_configured_venue_trades_futures_only_where_they_are_enabled() -> None:
    async with running_venue() as server:
        spot = config_of(server, futures={"enabled": False})
        names = [
            create_venue(config, credentials_of(server), SystemClock()).client.venue
            for config in (spot, config_of(server))
        ]
        assert names == ["sim", "sim-futures"]


async def test_local_books_of_perpetuals_follow_the_futures_recipe_through_a_gap() -> None:
    async with futures_venue() as (server, client):
        books = BinanceLocalBooks(
            config_of(server),
            SystemClock(),
            client.book_snapshot,
            base_url=f"{server.futures_ws_url}/public",
        )

        def agrees() -> bool:
            top = books.top(SYMBOL, 50)
            levels = futures_of(server).levels(SYMBOL, 50)
            truth = [[(float(p), float(q)) for p, q in levels[side]] for side in Side]
            return top is not None and [list(top.bids), list(top.asks)] == truth

        async with running(books.run((SYMBOL,), lambda _: None)):
            for price in (50_010.0, 50_500.0, 50_010.0):
                tick(server, price)
                await eventually(agrees)
            server.faults.plan(Fault(kind=FaultKind.MARKET_GAP, duration_ms=150))
            tick(server, 50_020.0)
            await asyncio.sleep(0.3)
            tick(server, 50_030.0)
            await eventually(agrees)
        assert books.rebuilt == 2
