"""The whole order path over a real store and the embedded exchange, on a virtual clock."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from calm_market import UNHURRIED, calm
from spikes import rising_spike

from trading.clock import VirtualClock
from trading.errors import ExchangeConnectionError, OrderNotFoundError, UnknownOutcomeError
from trading.events import EventBus
from trading.exchange.in_process import InProcessVenue
from trading.execution.config import ExecutionConfig
from trading.execution.service import ExecutionService
from trading.model.decision import TradeProposal
from trading.model.market import Bar, Instrument, Tick
from trading.model.order import AccountSnapshot, OrderReport, OrderRequest
from trading.risk.breaker_config import CircuitBreakerConfig
from trading.risk.breaker_store import create_store
from trading.risk.circuit_breaker import CircuitBreaker
from trading.risk.compliance_config import ComplianceConfig
from trading.risk.entry_facts import ReadConditions
from trading.risk.risk_config import RiskConfig
from trading.simulator.config import SimulatorConfig
from trading.simulator.exchange import SimulatedExchange
from trading.simulator.instruments import make_instrument
from trading.storage.config import StorageConfig
from trading.storage.spike_repository import SpikeRepository

START_MS = 1_700_000_000_000
MINUTE_MS = 60_000
PRICES = {"BTCUSDT": 50_000.0, "ETHUSDT": 2_000.0, "SOLUSDT": 100.0}


def trader(**changes: Any) -> RiskConfig:
    """The risk settings these tests count with, whatever the defaults are."""
    values = {"risk_per_trade_pct": 1.0, "max_position_pct": 20.0, **UNHURRIED}
    return RiskConfig(**{**values, **changes})


class FaultyClient:
    """The in-process client with faults on demand; everything else passes through."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.lose_answers = 0  # orders arrive, their answers do not
        self.lose_orders = 0  # sent, and they never arrive
        self.refuse_connections = 0
        self.hide_queries = 0  # queries answer "not found" although the order exists
        self.fail_cancels = 0
        self.fail_account = False
        self.empty_account = False
        self.before_wire: Callable[[], Any] | None = None
        self.submitted: list[OrderRequest] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def submit_order(self, request: OrderRequest, on_wire: Callable[[], None]) -> OrderReport:
        if self.refuse_connections:
            self.refuse_connections -= 1
            raise ExchangeConnectionError("connection refused")
        if self.before_wire is not None:
            await self.before_wire()
        if self.lose_orders:
            self.lose_orders -= 1
            on_wire()
            raise UnknownOutcomeError("timed out")
        report: OrderReport = await self._client.submit_order(request, on_wire)
        self.submitted.append(request)
        if self.lose_answers:
            self.lose_answers -= 1
            raise UnknownOutcomeError("timed out")
        return report

    async def query_order(self, symbol: str, client_order_id: str) -> OrderReport:
        if self.hide_queries:
            self.hide_queries -= 1
            raise OrderNotFoundError("Order does not exist.", code=-2013)
        report: OrderReport = await self._client.query_order(symbol, client_order_id)
        return report

    async def cancel_order(self, symbol: str, client_order_id: str) -> OrderReport:
        if self.fail_cancels:
            self.fail_cancels -= 1
            raise ExchangeConnectionError("connection reset")
        report: OrderReport = await self._client.cancel_order(symbol, client_order_id)
        return report

    async def account(self) -> AccountSnapshot:
        if self.fail_account:
            raise ExchangeConnectionError("connection reset")
        snapshot: AccountSnapshot = await self._client.account()
        return snapshot.model_copy(update={"balances": {}}) if self.empty_account else snapshot


class OrderPath:
    """A few pairs, 10,000 USDT, an open service. ``quiet_stream`` holds back user reports."""

    def __init__(
        self,
        directory: Path,
        *,
        risk: RiskConfig | None = None,
        execution: ExecutionConfig | None = None,
        breaker: CircuitBreakerConfig | None = None,
        simulator: SimulatorConfig | None = None,
        compliance: ComplianceConfig | None = None,
        quiet_stream: bool = False,
        prices: Mapping[str, float] = PRICES,
        instruments: Sequence[Instrument] = (),
    ) -> None:
        self.clock = VirtualClock(START_MS)
        self.storage = StorageConfig(path=directory / "store.sqlite3")
        self.exchange = SimulatedExchange(
            simulator or SimulatorConfig(),
            instruments or [make_instrument(symbol, price) for symbol, price in prices.items()],
            self.clock,
        )
        for symbol, price in prices.items():
            first = START_MS - 10 * MINUTE_MS
            opens = range(first, START_MS, MINUTE_MS)
            bars = [Bar(symbol, at, MINUTE_MS, price, price, price, price, 500.0) for at in opens]
            self.exchange.load_history(symbol, bars)
        self.prices = dict(prices)
        self.venue = InProcessVenue(self.exchange, self.clock)
        self.client = FaultyClient(self.venue.client)
        self.bus = EventBus()
        self.fresh = True
        self.objection: str | None = None  # of other machines, as through Redis
        self.conditions: ReadConditions = calm
        self.quiet_stream = quiet_stream
        self.breaker_config = breaker or CircuitBreakerConfig()
        self.risk = risk or trader()
        self.compliance = compliance
        self.execution_config = execution or ExecutionConfig()
        create_store(self.storage, self.clock)
        self.breaker = CircuitBreaker.open(self.breaker_config, self.clock, self.storage)
        self.service = self._service()

    async def __aenter__(self) -> OrderPath:
        await self.service.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.service.stop(cancel_entries=False)
        self.breaker.close()

    async def crash_and_restart(self) -> None:
        """The process dies without a word; another one starts over the same store."""
        dead = self.service
        self.breaker.close()
        dead._loop = None
        if dead._opened is not None:
            await dead._opened.jobs.cancel()
            dead._opened.journal.close()
            dead._opened = None
        self.breaker = CircuitBreaker.open(self.breaker_config, self.clock, self.storage)
        self.service = self._service()
        await self.service.start()

    async def tick(
        self, symbol: str, price: float, quantity: float = 500.0, after_ms: int = 100
    ) -> None:
        """A trade on the tape, and everything that follows from it."""
        self.clock.advance_to(self.clock.now_ms() + after_ms)
        self.prices[symbol] = price
        self.venue.push_tick(Tick(symbol, price, quantity, self.clock.now_ms()))
        await self.service.settle()
        await self.advance(0)

    def last_tick(self, symbol: str, price: float, quantity: float = 500.0) -> Tick:
        """A trade at ``price`` just now."""
        return Tick(symbol, price, quantity, self.clock.now_ms())

    async def advance(self, by_ms: int) -> None:
        """Let market time pass and do what is due."""
        self.clock.advance_to(self.clock.now_ms() + by_ms)
        await self.service.advance(self.clock.now_ms())
        await self.service.settle()

    def spike(self, symbol: str = "BTCUSDT", name: str = "1") -> str:
        """A recorded spike; returns its id."""
        now_ms = self.clock.now_ms()
        spike = rising_spike(f"spk-{symbol}-{name}", symbol, now_ms, self.prices[symbol])
        with self.database() as connection:
            SpikeRepository(connection).insert(spike)
        return spike.id

    def proposal(self, symbol: str = "BTCUSDT", name: str = "1", **changes: Any) -> TradeProposal:
        """A proposal that passes every check, on a spike of its own."""
        now_ms = self.clock.now_ms()
        values: dict[str, Any] = {
            "spike_id": self.spike(symbol, name),
            "symbol": symbol,
            "notional": Decimal(1_000),
            "stop_loss_pct": 2.0,
            "take_profit_pct": 4.0,
            "confidence": 0.9,
            "epoch": self.breaker.snapshot.epoch,
            "decided_at_ms": now_ms,
            "deadline_ms": now_ms + 30_000,
            "reasoning": "test",
        }
        return TradeProposal(**{**values, **changes})

    def database(self) -> sqlite3.Connection:
        """A second, autocommitting connection to the store."""
        connection = sqlite3.connect(self.storage.path, isolation_level=None)
        connection.row_factory = sqlite3.Row
        return connection

    def rows(self, sql: str, *parameters: object) -> list[dict[str, Any]]:
        with self.database() as connection:
            return [dict(row) for row in connection.execute(sql, parameters)]

    def held(self, asset: str) -> Decimal:
        """What the exchange says the account has of ``asset``."""
        balance = self.exchange.balances("replay").get(asset)
        return balance.total if balance is not None else Decimal(0)

    def open_stops(self, symbol: str) -> list[Any]:
        """The waiting stop orders as the exchange has them."""
        orders = self.exchange.open_orders("replay", symbol)
        return [order for order in orders if order.type.has_trigger]

    def _service(self) -> ExecutionService:
        service = ExecutionService(
            client=self.client,
            breaker=self.breaker,
            breaker_config=self.breaker_config,
            clock=self.clock,
            bus=self.bus,
            risk=self.risk,
            execution=self.execution_config,
            compliance=self.compliance,
            storage=self.storage,
            price=lambda symbol: self.prices.get(symbol),
            instruments=self.exchange.instruments,
            data_fresh=lambda: self.fresh,
            clearance=lambda: self.objection,
            conditions=lambda *pairs: self.conditions(*pairs),
        )
        self.venue.user_stream.attach(
            lambda report: None if self.quiet_stream else service.on_report(report)
        )
        return service
