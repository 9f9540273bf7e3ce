"""The order path over USD-M perpetuals: it need not know that they are not spot."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from decimal import Decimal
from pathlib import Path

from calm_market import UNHURRIED, calm
from simulated_venue import futures_of, running_venue, tick
from spikes import rising_spike
from venue_server import FAST_RECONNECT, eventually, running

from trading.clock import SystemClock
from trading.events import EventBus, FundingCameLate, PositionChanged
from trading.exchange.binance.futures_client import BinanceFuturesClient
from trading.exchange.config import ExchangeConfig
from trading.exchange.credentials import ApiCredentials
from trading.exchange.factory import create_venue
from trading.exchange.recovering_client import RecoveringClient
from trading.exchange.venues import VenueEndpoints
from trading.execution.config import ExecutionConfig
from trading.execution.service import ExecutionService
from trading.model.breaker import BreakerStatus
from trading.model.decision import ProposalOutcome, TradeProposal
from trading.model.order import OrderType
from trading.risk.breaker_config import CircuitBreakerConfig
from trading.risk.breaker_store import create_store
from trading.risk.circuit_breaker import CircuitBreaker
from trading.risk.risk_config import RiskConfig
from trading.simulator.server.app import RunningServer
from trading.simulator.server.faults import Fault, FaultKind
from trading.storage.config import StorageConfig
from trading.storage.database import open_database
from trading.storage.order_chain import OrderChains
from trading.storage.spike_repository import SpikeRepository

SYMBOL = "BTCUSDT"
PRICE = 50_000.0


def config_of(server: RunningServer) -> ExchangeConfig:
    return ExchangeConfig.model_validate(
        {
            "endpoints": VenueEndpoints(
                rest_url=server.rest_url,
                stream_url=server.ws_url,
                ws_api_url=server.ws_api_url,
                futures_rest_url=server.futures_rest_url,
                futures_stream_url=server.futures_ws_url,
            ),
            "reconnect": FAST_RECONNECT,
            "futures": {"enabled": True},
        }
    )


@asynccontextmanager
async def order_path(
    folder: Path,
) -> AsyncIterator[tuple[RunningServer, ExecutionService, BinanceFuturesClient, TradeProposal]]:
    """A service on the venue that the configuration makes; and a proposal that it accepts."""
    clock = SystemClock()
    storage = StorageConfig(path=folder / "store.sqlite3")
    async with running_venue() as server:
        tick(server, PRICE)
        key = server.keys[0]
        credentials = ApiCredentials.model_validate({"key": key.key, "secret": key.secret})
        venue = create_venue(config_of(server), credentials, clock)
        assert isinstance(venue.client, RecoveringClient)
        client = venue.client.inner
        assert isinstance(client, BinanceFuturesClient)
        await client.connect()
        instruments = await client.instruments((SYMBOL,))
        create_store(storage, clock)
        breaker = CircuitBreaker.open(CircuitBreakerConfig(), clock, storage)
        service = ExecutionService(
            client=venue.client,
            breaker=breaker,
            breaker_config=CircuitBreakerConfig(),
            clock=clock,
            bus=EventBus(),
            risk=RiskConfig(risk_per_trade_pct=1.0, max_position_pct=20.0, **UNHURRIED),
            execution=ExecutionConfig(reconcile_retry_ms=100, unknown_query_interval_ms=100),
            storage=storage,
            price=lambda _: PRICE,
            instruments=instruments,
            data_fresh=lambda: True,
            conditions=calm,
        )
        await service.start()

        async def duties() -> None:
            while True:
                await service.advance(clock.now_ms())
                await asyncio.sleep(0.02)

        try:
            async with (
                running(duties()),
                running(venue.user_stream.run(service.on_report, service.on_gap)),
            ):
                await eventually(lambda: service.reconciled)
                yield server, service, client, _proposal(storage, clock, breaker)
                assert breaker.snapshot.status is BreakerStatus.SAFE, breaker.snapshot.reason
        finally:
            await service.stop(cancel_entries=False)
            breaker.close()
            await client.close()


def _proposal(storage: StorageConfig, clock: SystemClock, breaker: CircuitBreaker) -> TradeProposal:
    now_ms = clock.now_ms()
    spike = rising_spike("spk-1", SYMBOL, now_ms, PRICE)
    connection = open_database(storage, durable=False, check=False)
    SpikeRepository(connection).insert(spike)
    connection.close()
    return TradeProposal(
        spike_id=spike.id,
        symbol=SYMBOL,
        notional=Decimal(1_000),
        stop_loss_pct=2.0,
        take_profit_pct=4.0,
        confidence=0.9,
        epoch=breaker.snapshot.epoch,
        decided_at_ms=now_ms,
        deadline_ms=now_ms + 30_000,
        reasoning="test",
    )


async def test_an_entry_is_protected_by_an_algo_order_and_closed_by_it(tmp_path: Path) -> None:
    async with order_path(tmp_path) as (server, service, client, proposal):
        result = await service.propose(proposal)
        assert result.outcome is ProposalOutcome.ACCEPTED, result
        (position,) = await client.positions()
        held = (await service.portfolio()).positions[0]
        assert held.quantity == position.quantity == result.filled_quantity
        (stop,) = await client.open_orders()
        assert (stop.client_order_id, stop.type) == (
            result.stop_client_order_id,
            OrderType.STOP_LOSS,
        )
        service.on_gap("test")
        await eventually(lambda: service.reconciled)
        tick(server, 48_500.0)
        await eventually(lambda: not service._parts.books.positions.all())
        assert await client.positions() == ()
        service.on_gap("test")
        await eventually(lambda: service.reconciled)
        portfolio = await service.portfolio()
        account = await client.account()
        assert portfolio.balances[0].total == account.balances["USDT"].total
        # 2 % of the position, and what the stop slipped and both sides' fees cost.
        assert Decimal(15) < 10_000 - portfolio.equity < Decimal(40)


def settle_funding(server: RunningServer) -> None:
    """Eight hours are over; the next trade settles."""
    futures_of(server).prices[SYMBOL].next_funding_ms = server.exchange.clock.now_ms()
    tick(server, PRICE)


async def test_funding_is_part_of_the_profit_of_the_trade_that_paid_it(tmp_path: Path) -> None:
    async with order_path(tmp_path) as (server, service, client, proposal):
        await service.propose(proposal)
        books = service._parts.books
        (held,) = books.positions.all()
        settle_funding(server)
        await eventually(lambda: held.funding)
        (payment,) = (await client.account()).funding
        assert held.funding == payment.amount < 0
        await eventually(lambda: service.reconciled)
        assert books.account.cash == (await client.account()).balances["USDT"].total
        restored = next(row for row in service._parts.journal.positions.open())
        assert books._held_from(restored).funding == payment.amount, "a restart knows of it"

        told: list[PositionChanged] = []
        service._parts.desk._bus.subscribe(PositionChanged, told.append)
        closed = await service.close_position(SYMBOL, "test")
        assert closed.outcome is ProposalOutcome.ACCEPTED
        await eventually(lambda: not books.positions.all())
        trade = stored_trade(tmp_path)
        assert told[-1].pnl == Decimal(trade["pnl"]), "what is said is what is stored"
        assert Decimal(trade["funding"]) == payment.amount
        moved = (Decimal(trade["exit_price"]) - Decimal(trade["entry_price"])) * held.bought
        assert Decimal(trade["pnl"]) == moved - Decimal(trade["fees"]) + payment.amount
        with closing(open_database(StorageConfig(path=tmp_path / "store.sqlite3"))) as connection:
            chain = OrderChains(connection).find(trade["entry_client_order_id"])
        (row,) = chain.funding
        assert (row["payment_id"], Decimal(row["amount"])) == (payment.id, payment.amount)


async def test_funding_that_is_heard_of_after_the_close_corrects_the_trade(tmp_path: Path) -> None:
    async with order_path(tmp_path) as (server, service, client, proposal):
        await service.propose(proposal)
        books = service._parts.books
        take, books.take_funding = books.take_funding, lambda _: None  # the event is late
        service._parts.trust._reconciler._take_funding = books.take_funding
        settle_funding(server)
        await service.close_position(SYMBOL, "test")
        await eventually(lambda: not books.positions.all())
        before = Decimal(stored_trade(tmp_path)["pnl"])
        payments = (await client.account()).funding
        told = [late for _ in range(2) for late in take(payments)]
        assert told == [FundingCameLate(SYMBOL, payments[0].amount, before + payments[0].amount)]
        after = stored_trade(tmp_path)
        assert Decimal(after["funding"]) == payments[0].amount < 0
        assert Decimal(after["pnl"]) == before + payments[0].amount
        assert books.account.realized_pnl == Decimal(after["pnl"])


def stored_trade(folder: Path) -> sqlite3.Row:
    with closing(sqlite3.connect(folder / "store.sqlite3")) as connection:
        connection.row_factory = sqlite3.Row
        (row,) = connection.execute("SELECT * FROM trades")
    return row


async def test_a_lost_answer_and_a_lost_event_leave_one_order_and_the_venues_position(
    tmp_path: Path,
) -> None:
    async with order_path(tmp_path) as (server, service, client, proposal):
        server.faults.plan(
            Fault(kind=FaultKind.USER_GAP, duration_ms=500), Fault(kind=FaultKind.RESET_READING)
        )
        result = await service.propose(proposal)
        assert result.outcome is ProposalOutcome.UNKNOWN
        await eventually(lambda: service.unknown_orders == 0)
        await eventually(lambda: service._parts.books.positions.all())
        (position,) = await client.positions()
        assert (await service.portfolio()).positions[0].quantity == position.quantity
        service.on_gap("test")
        await eventually(lambda: service.reconciled)
