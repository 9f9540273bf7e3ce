"""The order path against a served exchange that has a bad day, and its books against ours.

Everything is real: a SQLite store, the python-binance adapter, a socket, the embedded exchange.
Market time runs ``SPEED`` times as fast as the wall; request time-outs and receive windows are wall
time. Server and service share one event loop, so an observer sees both at one and the same moment.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from calm_market import UNHURRIED, calm, deep_book
from exposure_audit import ExposureAudit
from spikes import rising_spike
from venue_server import connect, patiently

from trading.clock import MINUTE_MS, ScaledClock
from trading.events import EventBus, OrderUpdated
from trading.exchange.binance.adapter import BinanceClient
from trading.exchange.binance.user_stream import BinanceUserStream
from trading.exchange.config import ExchangeConfig, ReconnectConfig
from trading.exchange.credentials import ApiCredentials
from trading.exchange.venues import VenueEndpoints
from trading.execution.config import ExecutionConfig
from trading.execution.service import ExecutionService
from trading.model.decision import TradeProposal
from trading.model.market import Bar, Book, Tick
from trading.model.order import OrderReport, OrderRequest
from trading.risk.breaker_config import CircuitBreakerConfig
from trading.risk.breaker_store import create_store
from trading.risk.circuit_breaker import CircuitBreaker
from trading.risk.risk_config import RiskConfig
from trading.simulator.book_config import BookShapeConfig
from trading.simulator.config import SimulatorConfig
from trading.simulator.exchange import SimulatedExchange
from trading.simulator.instruments import make_instrument
from trading.simulator.server.app import RunningServer, start_server
from trading.simulator.server.config import ExchangeServerConfig
from trading.simulator.server.limit_config import RateLimitConfig
from trading.storage.config import StorageConfig
from trading.storage.database import open_database
from trading.storage.spike_repository import SpikeRepository

START_MS = 1_700_000_000_000
SPEED = 10.0
BEAT_S = 0.03
REQUEST_TIMEOUT_S = 0.3
RECV_WINDOW_MS = 300
# Allowances are counted by the wall's minute, in which SPEED minutes of market time are traded.
RATE_LIMITS = RateLimitConfig(weight_per_minute=int(6_000 * SPEED), orders_per_10s=int(100 * SPEED))
PRICES = {"BTCUSDT": 50_000.0, "ETHUSDT": 2_000.0, "SOLUSDT": 100.0}


def execution_config(**changes: Any) -> ExecutionConfig:
    """Short waits. The grace is twice the receive window, as wall time."""
    values: dict[str, Any] = {
        "entry_time_to_live_ms": 4_000,
        "unknown_query_interval_ms": 200,
        "unknown_query_max_interval_ms": 1_000,
        "not_found_grace_ms": int(2 * RECV_WINDOW_MS * SPEED),
        "sweep_retry_ms": 300,
        "stop_retry_ms": 300,
        "reconcile_interval_ms": 3_000,
        "reconcile_retry_ms": 500,
    }
    return ExecutionConfig(**(values | changes))


class CountingClient(BinanceClient):
    """The real adapter; counts how often each order was handed to the socket."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.posts: Counter[str] = Counter()
        self.prices: Mapping[str, float] = PRICES

    async def order_book(self, symbol: str, depth: int = 20) -> Book:
        """Thin books are for the orders to meet, not for the risk engine to refuse them."""
        return deep_book(symbol, self.prices[symbol])

    async def submit_order(self, request: OrderRequest, on_wire: Callable[[], None]) -> OrderReport:
        def counted() -> None:
            on_wire()
            self.posts[request.client_order_id] += 1

        return await super().submit_order(request, counted)


class Arena:
    """One exchange, one store, one service at a time. ``audit`` watches every change."""

    def __init__(
        self,
        directory: Path,
        *,
        execution: ExecutionConfig | None = None,
        level_notional: int = 25_000,
        client: type[CountingClient] = CountingClient,
        prices: Mapping[str, float] | None = None,
        breaker: CircuitBreakerConfig | None = None,
        **limits: Any,
    ) -> None:
        self.clock = ScaledClock(START_MS, SPEED)
        self.prices = dict(prices or PRICES)
        self._limits = limits
        self.storage = StorageConfig(path=directory / "store.sqlite3")
        self.execution = execution or execution_config()
        self.exchange = SimulatedExchange(
            SimulatorConfig(book=BookShapeConfig(level_notional=Decimal(level_notional))),
            [make_instrument(symbol, price) for symbol, price in self.prices.items()],
            self.clock,
        )
        for symbol, price in self.prices.items():
            opens = range(START_MS - 10 * MINUTE_MS, START_MS, MINUTE_MS)
            bars = [Bar(symbol, at, MINUTE_MS, price, price, price, price, 500.0) for at in opens]
            self.exchange.load_history(symbol, bars)
        self.bus = EventBus()
        self.breaker_config = breaker or CircuitBreakerConfig()
        self.service: ExecutionService | None = None
        self._observed: ExecutionService | None = None
        self.audit = ExposureAudit(self.exchange, lambda: self._observed)
        self._client_type = client
        self._tasks: list[asyncio.Task[Any]] = []

    async def __aenter__(self) -> Arena:
        self.server: RunningServer = await start_server(
            self.exchange, config=ExchangeServerConfig(rate_limits=RATE_LIMITS)
        )
        key = self.server.keys[0]
        credentials = ApiCredentials.model_validate({"key": key.key, "secret": key.secret})
        config = ExchangeConfig(
            endpoints=VenueEndpoints(
                rest_url=self.server.rest_url,
                stream_url=self.server.ws_url,
                ws_api_url=self.server.ws_api_url,
            ),
            reconnect=ReconnectConfig(first_delay_ms=10, max_delay_ms=50, stale_after_ms=60_000),
            request_timeout_s=REQUEST_TIMEOUT_S,
            recv_window_ms=RECV_WINDOW_MS,
        )
        self.client = self._client_type(config, credentials, self.clock)
        self.client.prices = self.prices
        await connect(self.client)
        symbols = tuple(self.exchange.instruments)
        await patiently(lambda: self.client.instruments(symbols))  # and with them its limits
        create_store(self.storage, self.clock)
        self._spikes = open_database(self.storage, durable=False, check=False)
        await self.start()
        self.exchange.add_user_listener(lambda _: self.audit.sample())
        self.bus.subscribe(OrderUpdated, lambda _: self.audit.sample())
        subscribed = asyncio.Event()

        def on_gap(reason: str) -> None:
            subscribed.set()
            if self.service is not None:
                self.service.on_gap(reason)

        stream = BinanceUserStream(config, credentials)
        self._tasks = [
            asyncio.create_task(stream.run(self._on_report, on_gap)),
            asyncio.create_task(self._beat()),
        ]
        async with asyncio.timeout(30):
            await subscribed.wait()
        assert await self.settled(30), f"the service did not come up: {self.state()}"
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.stop()
        await self.client.close()
        await self.server.stop()
        self._spikes.close()

    async def start(self) -> None:
        """Another process begins on the store."""
        self.breaker = CircuitBreaker.open(self.breaker_config, self.clock, self.storage)
        service = ExecutionService(
            client=self.client,
            breaker=self.breaker,
            breaker_config=self.breaker_config,
            clock=self.clock,
            bus=self.bus,
            risk=RiskConfig(
                **{
                    "max_position_pct": 20,
                    "risk_per_trade_pct": 5,
                    "max_orders_per_minute": 1_000,
                    **UNHURRIED,
                    **self._limits,
                }
            ),
            execution=self.execution,
            storage=self.storage,
            price=self.prices.get,
            instruments=self.exchange.instruments,
            data_fresh=lambda: True,
            conditions=calm,
        )
        self._observed = service
        await service.start()
        self.service = service

    async def stop(self) -> None:
        """The orderly end; entries stay open."""
        service, self.service = self.service, None
        if service is not None:
            self._observed = None
            await service.stop(cancel_entries=False)
            self.breaker.close()

    async def crash(self) -> None:
        """The process dies between two steps: from now on it stores and sends nothing."""
        dead, self.service, self._observed = self.service, None, None
        assert dead is not None
        parts, dead._loop, dead._opened = dead._parts, None, None
        self.breaker.close()
        parts.desk._on_store_failure = lambda _: None
        parts.journal.close()
        sends = tuple(dead._sends)
        for task in sends:
            task.cancel()
        await asyncio.gather(*sends, return_exceptions=True)
        await parts.jobs.cancel()

    def tick(self, symbol: str, price: float, quantity: float = 500.0) -> None:
        self.prices[symbol] = price
        self.exchange.on_tick(Tick(symbol, price, quantity, self.clock.now_ms()))

    def proposal(self, symbol: str, name: str, **changes: Any) -> TradeProposal:
        """A proposal that passes every check, on a spike of its own."""
        now_ms = self.clock.now_ms()
        spike = rising_spike(f"spk-{symbol}-{name}", symbol, now_ms, self.prices[symbol])
        SpikeRepository(self._spikes).insert(spike)
        values: dict[str, Any] = {
            "spike_id": spike.id,
            "symbol": symbol,
            "notional": Decimal(1_500),
            "stop_loss_pct": 2.0,
            "take_profit_pct": 9.0,
            "confidence": 0.9,
            "epoch": self.breaker.snapshot.epoch,
            "decided_at_ms": now_ms,
            "deadline_ms": now_ms + 300_000,
            "reasoning": "test",
        }
        return TradeProposal(**(values | changes))

    async def settled(self, timeout_s: float) -> bool:
        """Wait until every outcome is known and the books agree; False if that takes longer."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not self._is_settled():  # noqa: ASYNC110 - nobody announces it
                    await asyncio.sleep(BEAT_S)
                return True
        return False

    def state(self) -> str:
        """Why nothing is settled, for a failing test's message."""
        service, breaker = self.service, self.breaker.snapshot
        if service is None:
            return "no service"
        return (
            f"{service.unknown_orders} unknown, reconciled: {service.reconciled}, "
            f"busy: {service.has_pending_work}, {breaker.status} {breaker.reason}"
        )

    def _is_settled(self) -> bool:
        service = self.service
        return (
            service is not None
            and service.unknown_orders == 0
            and service.reconciled
            and not service.has_pending_work
            and service._parts.gate.in_flight == 0
        )

    def _on_report(self, report: OrderReport) -> None:
        if self.service is not None:
            self.service.on_report(report)

    async def _beat(self) -> None:
        while True:
            if self.service is not None:
                await self.service.advance(self.clock.now_ms())
            await asyncio.sleep(BEAT_S)
