"""A live run in miniature against a venue that has a bad day, and the books compared after each
fault.

The order path, the adapter with all its streams, and the embedded exchange behind a real socket,
with a generated market at many times its speed. One trader a pair enters, by market and by limit,
and closes. The market all but stands still while both sides' books are compared.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter, defaultdict
from collections.abc import Coroutine, Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import Any

from calm_market import UNHURRIED, calm
from exposure_audit import ExposureAudit
from spikes import rising_spike

from trading.clock import ScaledClock, SystemClock
from trading.events import EventBus
from trading.exchange.binance.adapter import BinanceClient
from trading.exchange.binance.depth_feed import BinanceLocalBooks
from trading.exchange.binance.feed import BinanceFeed
from trading.exchange.binance.stream_frames import AggTrade
from trading.exchange.binance.user_stream import BinanceUserStream
from trading.exchange.config import ExchangeConfig, ReconnectConfig
from trading.exchange.credentials import ApiCredentials
from trading.exchange.protocols import ExchangeClient, MarketFeed, UserStream
from trading.exchange.venues import VenueEndpoints
from trading.execution.config import ExecutionConfig
from trading.execution.service import ExecutionService
from trading.model.decision import TradeProposal
from trading.model.market import Bar, Tick
from trading.model.order import OrderPurpose, Side
from trading.risk.breaker_config import CircuitBreakerConfig
from trading.risk.breaker_store import create_store
from trading.risk.circuit_breaker import CircuitBreaker
from trading.risk.compliance_config import ComplianceConfig
from trading.risk.risk_config import RiskConfig
from trading.simulator.config import SimulatorConfig
from trading.simulator.exchange import SimulatedExchange
from trading.simulator.generated_market import GeneratedMarket
from trading.simulator.instruments import list_market
from trading.simulator.market_config import MarketGeneratorConfig, Scenario
from trading.simulator.server.app import RunningServer, start_server
from trading.simulator.server.config import ExchangeServerConfig
from trading.simulator.server.faults import AT_ONCE, Fault, FaultKind
from trading.simulator.server.limit_config import RateLimitConfig
from trading.storage.config import StorageConfig
from trading.storage.database import open_database
from trading.storage.spike_repository import SpikeRepository

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "BNBUSDT", "XRPUSDT", "ADAUSDT")
CASH = Decimal(100_000)
RECONNECT = ReconnectConfig(stale_after_ms=2_000, ping_interval_s=0.5, max_delay_ms=1_000)
TRADE_EVERY_S = 0.4  # while both sides are compared
EXECUTION = ExecutionConfig(
    entry_time_to_live_ms=100_000,  # all six pairs may rest; then nobody would meet a fault
    unknown_query_interval_ms=100,
    unknown_query_max_interval_ms=500,
    not_found_grace_ms=1_500,
    reconcile_retry_ms=300,
    stop_retry_ms=200,
)
# A recovery may take this long on a busy machine. A frozen socket shows after two pings, a lost
# answer after the request's time-out, an order that never arrived after the grace.
RECOVERY_S = 30.0
COMPARED_LEVELS = 50
# Nothing tells the client that events were left out while the socket stayed up; its next periodic
# comparison finds them.
UNANNOUNCED = frozenset({FaultKind.USER_GAP, FaultKind.EVENTS_SILENT})


class NotRecoveredError(AssertionError):
    """The two sides' books differ for too long."""


@dataclass
class Figures:
    """What was counted."""

    recoveries_s: list[float] = field(default_factory=list)
    market_back_s: list[float] = field(default_factory=list)


class BadDay:
    """Open it as a context, then ``suffer`` faults. ``speed``: market seconds a wall second."""

    def __init__(self, directory: Path, *, speed: float, seed: int) -> None:
        self.figures = Figures()
        self._speed = speed
        self._dice = random.Random(seed)
        self._seed = seed
        self._storage = StorageConfig(path=directory / "store.sqlite3")
        self._trading, self._market_open = asyncio.Event(), asyncio.Event()
        self._busy = 0
        self._number = 0
        self._connections = 0
        self._prices: dict[str, float] = {}
        self._heard: defaultdict[str, list[int]] = defaultdict(list)

    async def __aenter__(self) -> BadDay:
        start_ms = SystemClock().now_ms()
        market = GeneratedMarket(
            MarketGeneratorConfig(
                scenario=Scenario.CALM, seed=self._seed, symbols=SYMBOLS, volatility=4.0
            ),
            start_ms,
        )
        instruments, history = list_market(market)
        self.clock = ScaledClock(start_ms, self._speed)
        self.exchange = SimulatedExchange(
            SimulatorConfig(initial_balances={"USDT": CASH}), instruments, self.clock
        )
        for symbol, bars in history.items():
            self.exchange.load_history(symbol, bars)
        # As much faster as the market is, so much more may be asked.
        limits = RateLimitConfig(
            weight_per_minute=round(6_000 * self._speed), orders_per_10s=round(100 * self._speed)
        )
        config = ExchangeServerConfig(rate_limits=limits, seed=self._seed)
        self.server = await self._serve(config, history)
        await self._start_client()
        self._duties = [
            asyncio.create_task(work)
            for work in (
                self._pump(market.ticks()),
                self._user_stream.run(self.service.on_report, lambda why: self.service.on_gap(why)),
                self._feed.run(SYMBOLS, self),
                *self._further_duties(),
                self._advance(),
                *(self._trade(symbol) for symbol in SYMBOLS),
            )
        ]
        self._market_open.set()
        await self._until(lambda: len(self._prices) == len(SYMBOLS), "no market")
        self._trading.set()
        return self

    async def __aexit__(self, *_: object) -> None:
        for duty in self._duties:
            duty.cancel()
        await asyncio.gather(*self._duties, return_exceptions=True)
        await self.service.stop(cancel_entries=False)
        self.breaker.close()
        self._spikes.close()
        await self._client.close()
        await self.server.stop()

    # What is traded ------------------------------------------------------------------------

    async def _serve(
        self, config: ExchangeServerConfig, history: dict[str, tuple[Bar, ...]]
    ) -> RunningServer:
        return await start_server(self.exchange, config=config)

    def _exchange_config(self) -> ExchangeConfig:
        return ExchangeConfig(
            endpoints=VenueEndpoints(
                rest_url=self.server.rest_url,
                stream_url=self.server.ws_url,
                ws_api_url=self.server.ws_api_url,
                futures_rest_url=self.server.futures_rest_url,
                futures_stream_url=self.server.futures_ws_url,
            ),
            request_timeout_s=0.6,
            reconnect=RECONNECT,
        )

    def _open_faces(self, config: ExchangeConfig, credentials: ApiCredentials) -> None:
        client = BinanceClient(config, credentials, self.clock)
        self._client: ExchangeClient = client
        self._feed: MarketFeed = BinanceFeed(config)
        self._user_stream: UserStream = BinanceUserStream(config, credentials)
        self.books = BinanceLocalBooks(config, self.clock, client.book_snapshot)

    def _further_duties(self) -> list[Coroutine[Any, Any, None]]:
        return [self.books.run(SYMBOLS, lambda _: None)]

    async def _start_client(self) -> None:
        key = self.server.keys[0]
        credentials = ApiCredentials.model_validate({"key": key.key, "secret": key.secret})
        self._open_faces(self._exchange_config(), credentials)
        await self._client.connect()
        instruments = await self._client.instruments(SYMBOLS)
        create_store(self._storage, self.clock)
        breaker = CircuitBreakerConfig()
        self.breaker = CircuitBreaker.open(breaker, self.clock, self._storage)
        self._spikes = open_database(self._storage, durable=False, check=False)
        self.service = ExecutionService(
            client=self._client,
            breaker=self.breaker,
            breaker_config=breaker,
            clock=self.clock,
            wait_clock=ScaledClock(SystemClock().now_ms(), 1.0),
            bus=EventBus(),
            risk=RiskConfig(
                risk_per_trade_pct=1.0,
                max_position_pct=10.0,
                max_concurrent_positions=len(SYMBOLS),
                max_orders_per_minute=1_000,
                max_daily_loss_pct=100,
                max_weekly_loss_pct=100,
                max_drawdown_pct=100,
                **UNHURRIED,
            ),
            compliance=ComplianceConfig(max_daily_trades=100_000, max_daily_volume_pct=1_000_000),
            execution=EXECUTION,
            storage=self._storage,
            price=self._prices.get,
            instruments=instruments,
            data_fresh=lambda: True,
            conditions=calm,
        )
        await self.service.start()

    # The faults ----------------------------------------------------------------------------

    async def suffer(self, *faults: Fault, trade_s: float = 0.5) -> None:
        """Let ``faults`` happen while traders trade, then have both sides' books compared.

        Raises NotRecoveredError when they differ for longer than ``RECOVERY_S``.
        """
        unannounced = self.server.faults._silence_ms is not None  # armed by an earlier fault
        waits_for_market = False
        before, began = self._connections, time.monotonic()
        for fault in faults:
            unannounced |= fault.kind in UNANNOUNCED
            waits_for_market |= fault.kind is FaultKind.MARKET_DROPPED
            self.server.faults.plan(fault)
            if fault.kind in AT_ONCE:
                self._fill_what_rests()
        if waits_for_market:
            await self._until(lambda: self._connections > before, "no market stream")
            self.figures.market_back_s.append(time.monotonic() - began)
        await self._until(lambda: not self.server.faults._planned, "nobody met a fault")
        await asyncio.sleep(max(trade_s, *(fault.duration_ms / 1000 for fault in faults)))
        await self._compare(unannounced=unannounced)

    def _fill_what_rests(self) -> None:
        """Trades through the resting entries, in the very moment in which a fault strikes."""
        for order in self.exchange.open_orders("main"):
            if order.side is Side.BUY and order.limit_price is not None:
                price = float(order.limit_price) * 0.9999
                self._on_tape(Tick(order.symbol, price, 1.0, self.clock.now_ms()))

    async def _compare(self, *, unannounced: bool) -> None:
        """The market stands still until both sides agree."""
        began = time.monotonic()
        self._trading.clear()
        self._market_open.clear()
        if unannounced:
            self.service._parts.trust._next_ms = 0  # the periodic comparison's turn
        problems: list[str] = []
        last_trade = began
        while time.monotonic() - began < RECOVERY_S:
            if time.monotonic() - last_trade > TRADE_EVERY_S:
                last_trade = time.monotonic()
                self._trade_at_last_prices()
            problems = list(self._problems())
            if not problems:
                break
            await asyncio.sleep(0.02)
        else:
            raise NotRecoveredError("; ".join(problems))
        self.figures.recoveries_s.append(time.monotonic() - began)
        self._market_open.set()
        self._trading.set()

    def _trade_at_last_prices(self) -> None:
        """A gap at the end of a stream shows at the next event only."""
        for symbol in SYMBOLS:
            price = self.exchange.last_price(symbol)
            assert price is not None
            self._on_tape(Tick(symbol, price, 0.001, self.clock.now_ms()))

    def _problems(self) -> Iterator[str]:
        if self._busy or self.service.has_pending_work:
            yield "work is under way"
        elif self.service.unknown_orders:
            yield f"{self.service.unknown_orders} orders of unknown outcome"
        elif not self.service.reconciled:
            yield "not reconciled"
        else:
            yield from self._differences()

    def _differences(self) -> Iterator[str]:
        audit = ExposureAudit(self.exchange, lambda: self.service)
        audit.final(CASH, self.posts())
        yield from chain.from_iterable(audit.violations.values())
        open_here = {
            record.id for record in self.service._parts.desk.live() if record.status.is_open
        }
        open_there = {order.client_order_id for order in self.exchange.open_orders("main")}
        if open_here != open_there:
            yield f"open with us {open_here}, at the venue {open_there}"
        for symbol in SYMBOLS:
            if not self._book_agrees(symbol):
                yield f"the order book of {symbol} differs"
            if self._repeated(symbol):
                yield f"trades of {symbol} were delivered twice"

    def faults(self) -> Counter[FaultKind]:
        """What has happened so far."""
        return Counter(fault.kind for fault in self.server.faults.applied)

    def summary(self) -> str:
        figures = self.figures
        return (
            f"{self.faults().total()} faults, {len(self.posts())} orders,"
            f" {self.fills()} fills; both sides equal within {max(figures.recoveries_s):.2f} s,"
            f" market streams back within {max(figures.market_back_s, default=0.0):.2f} s"
        )

    def posts(self) -> Counter[str]:
        """How often each order was accepted by the venue."""
        return Counter(
            post["params"]["newClientOrderId"]
            for post in self.server.received_orders
            if post["accepted"]
        )

    def fills(self) -> int:
        return sum(
            len(order.executions)
            for symbol in SYMBOLS
            for order in self.exchange.all_orders("main", symbol)
        )

    def _book_agrees(self, symbol: str) -> bool:
        top = self.books.top(symbol, COMPARED_LEVELS)
        if top is None:
            return False
        levels = self.exchange.levels(symbol, COMPARED_LEVELS)
        truth = {side: [(float(p), float(q)) for p, q in rows] for side, rows in levels.items()}
        return list(top.bids) == truth[Side.BUY] and list(top.asks) == truth[Side.SELL]

    def _repeated(self, symbol: str) -> bool:
        heard = self._heard[symbol]
        return len(heard) != len(set(heard))

    # What runs all day ---------------------------------------------------------------------

    async def _pump(self, ticks: Iterable[Tick]) -> None:
        for tick in ticks:
            early_ms = tick.time_ms - self.clock.now_ms()
            await asyncio.sleep(max(early_ms, 0) / 1000 / self._speed)
            await self._market_open.wait()
            self._on_tape(tick)

    def _on_tape(self, tick: Tick) -> None:
        self.exchange.on_tick(tick)

    async def _advance(self) -> None:
        while True:
            await self.service.advance(self.clock.now_ms())
            await asyncio.sleep(0.05)

    async def _trade(self, symbol: str) -> None:
        """Enter, hold for a while, close, for ever."""
        while True:
            await self._trading.wait()
            self._busy += 1
            with contextlib.suppress(Exception):  # an outage refuses; the comparison judges
                if self.service._parts.books.positions.get(symbol) is not None:
                    if self._dice.random() < 0.5:
                        await self.service.close_position(symbol, "the trader's whim")
                elif not self._has_entry(symbol):
                    await self.service.propose(self._proposal(symbol))
            self._busy -= 1
            await asyncio.sleep(self._dice.uniform(0.02, 0.08))

    def _has_entry(self, symbol: str) -> bool:
        entries = self.service._parts.desk.live(purpose=OrderPurpose.ENTRY)
        return any(record.symbol == symbol for record in entries)

    def _proposal(self, symbol: str) -> TradeProposal:
        self._number += 1
        now_ms, last = self.clock.now_ms(), self._prices[symbol]
        spike = rising_spike(f"spk-{self._number}", symbol, now_ms, last)
        SpikeRepository(self._spikes).insert(spike)
        limit = None
        if self._dice.random() < 0.6:
            tick = self.exchange.instruments[symbol].tick_size
            wanted = Decimal(repr(last * (1 - self._dice.uniform(0.0002, 0.002))))
            limit = (wanted / tick).to_integral_value() * tick
        distance = self._dice.choice([0.4, 1.0, 3.0])
        return TradeProposal(
            spike_id=spike.id,
            symbol=symbol,
            notional=Decimal(self._dice.randint(500, 3_000)),
            limit_price=limit,
            stop_loss_pct=distance,
            take_profit_pct=distance,
            confidence=0.9,
            epoch=self.breaker.snapshot.epoch,
            decided_at_ms=now_ms,
            deadline_ms=now_ms + 250_000,
            reasoning="a bad day",
        )

    async def _until(self, condition: Any, why: str, within_s: float = 30.0) -> None:
        deadline = time.monotonic() + within_s
        while not condition():
            if time.monotonic() > deadline:
                raise NotRecoveredError(why)
            await asyncio.sleep(0.005)

    # The feed's listener -------------------------------------------------------------------

    def on_tick(self, tick: Tick) -> None:
        assert isinstance(tick, AggTrade)
        self._prices[tick.symbol] = tick.price
        self._heard[tick.symbol].append(tick.aggregate_id)

    def on_feed_connected(self) -> None:
        self._connections += 1

    def on_feed_lost(self, reason: str) -> None:
        """Counted by what comes after."""
