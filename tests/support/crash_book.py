"""Twenty positions in a falling market at a venue that fails one request in five."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from calm_market import deep_book
from order_path import START_MS, OrderPath, trader

from trading.clock import MINUTE_MS
from trading.errors import ExchangeConnectionError, UnknownOutcomeError
from trading.execution.config import ExecutionConfig
from trading.execution.exit_config import ExitConfig
from trading.execution.liquidation_config import LiquidationConfig
from trading.model.decision import ProposalOutcome
from trading.model.market import Book, Tick
from trading.model.operations import LiquidationReport, LiquidationStatus
from trading.model.order import OrderReport, OrderRequest
from trading.risk.breaker_config import CircuitBreakerConfig, PositionsPolicy
from trading.simulator.config import BookShapeConfig, SimulatorConfig
from trading.simulator.recorded_market import RecordedMarket

POSITIONS = 20
FAULT_SHARE = 0.2
STEP_MS = 1_000  # of market time, for every
STEP_S = 0.01  # of the wall
STOP_LOSS_PCT = 80.0  # so far away that no stop sells first
# In the quote asset: less than an order of 5 at the stop's price is dust.
DUST = Decimal(5) / (1 - Decimal(80) / 100)

Tape = Sequence[Tick]


class FaultyVenue:
    """The venue's client behind a line that breaks, one request in five, before or after it."""

    def __init__(self, client: Any, seed: int) -> None:
        self._client = client
        self._dice = random.Random(seed)
        self.on = False
        self.faults = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def _strikes(self) -> bool:
        struck = self.on and self._dice.random() < FAULT_SHARE
        self.faults += struck
        return struck

    async def submit_order(self, request: OrderRequest, on_wire: Callable[[], None]) -> OrderReport:
        if not self._strikes():
            return await self._send(request, on_wire)
        kind = self._dice.choice(("refused", "lost", "unanswered"))
        if kind == "refused":
            raise ExchangeConnectionError("connection refused")
        if kind == "lost":
            on_wire()
        else:
            await self._send(request, on_wire)
        raise UnknownOutcomeError("timed out")

    async def _send(self, request: OrderRequest, on_wire: Callable[[], None]) -> OrderReport:
        report: OrderReport = await self._client.submit_order(request, on_wire)
        return report

    async def cancel_order(self, symbol: str, client_order_id: str) -> OrderReport:
        if self._strikes():
            if self._dice.random() < 0.5:
                await self._client.cancel_order(symbol, client_order_id)
            raise ExchangeConnectionError("connection reset")
        report: OrderReport = await self._client.cancel_order(symbol, client_order_id)
        return report

    async def query_order(self, symbol: str, client_order_id: str) -> OrderReport:
        return await self._read("query_order", symbol, client_order_id)

    async def open_orders(self, symbol: str | None = None) -> Any:
        return await self._read("open_orders", symbol)

    async def account(self) -> Any:
        return await self._read("account")

    async def order_book(self, symbol: str, depth: int = 20) -> Any:
        return await self._read("order_book", symbol, depth)

    async def _read(self, name: str, *arguments: Any) -> Any:
        if self._strikes():
            raise ExchangeConnectionError("connection reset")
        return await getattr(self._client, name)(*arguments)


def generated_crash(seed: int) -> Tape:
    """A minute of calm, then three of falling by a quarter to a half."""
    dice = random.Random(seed)
    prices = {f"C{number:02d}USDT": 10 ** dice.uniform(-1, 4) for number in range(POSITIONS)}
    depth = {symbol: dice.uniform(0.25, 0.5) for symbol in prices}
    tape = []
    for second in range(241):
        fallen = max(0.0, second - 60) / 180
        for symbol, price in prices.items():
            now = price * (1 - depth[symbol] * fallen) * (1 + dice.gauss(0, 0.0005))
            tape.append(Tick(symbol, now, 5.0, START_MS + second * 1_000))
    return tape


def recorded_crash(folder: Path, start_ms: int, minutes: int) -> Tape:
    """Twenty pairs of a recorded market, moved to the test's own time."""
    market = RecordedMarket.load(folder, window="2025-10-10")
    end_ms = start_ms + minutes * MINUTE_MS
    tape = [tick for tick in market.ticks() if start_ms <= tick.time_ms < end_ms]
    early = [tick.symbol for tick in tape if tick.time_ms < start_ms + MINUTE_MS]
    chosen = sorted(set(early), key=early.index)[:POSITIONS]
    assert len(chosen) == POSITIONS
    moved_ms = START_MS - start_ms
    return [
        Tick(tick.symbol, tick.price, tick.quantity, tick.time_ms + moved_ms)
        for tick in tape
        if tick.symbol in chosen
    ]


class CrashBook:
    """An order path with twenty positions, whose market goes on while the test waits."""

    def __init__(self, folder: Path, tape: Tape, seed: int) -> None:
        first: dict[str, float] = {}
        for tick in tape:
            first.setdefault(tick.symbol, tick.price)
        self.path = OrderPath(
            folder,
            prices=first,
            risk=trader(
                max_concurrent_positions=POSITIONS,
                max_position_pct=4.0,
                max_portfolio_exposure_pct=95.0,
                max_sector_exposure_pct=100.0,
                max_correlated_exposure_pct=100.0,
                max_orders_per_minute=1_000,
                max_stop_loss_pct=90.0,
                max_slippage_pct=5.0,
                risk_per_trade_pct=5.0,
            ),
            breaker=CircuitBreakerConfig(positions_policy=PositionsPolicy.LEAVE),
            execution=ExecutionConfig(
                liquidation=LiquidationConfig(
                    slice_depth_pct=0.03, slice_pause_ms=20, patience_s=20, give_up_after_s=60
                ),
                exits=ExitConfig(exit_when_resolved=False),  # or it would have sold them already
                reconcile_retry_ms=2_000,
            ),
            simulator=SimulatorConfig(
                initial_balances={"USDT": Decimal(10_000)},
                book=BookShapeConfig(level_notional=Decimal(150)),
            ),
        )
        self.venue = FaultyVenue(self.path.client._client, seed)
        self.path.client._client = self.venue
        self._tape: Iterator[Tick] = iter(tape)
        self._next: Tick | None = next(self._tape)

    async def enter(self) -> None:
        """A position in every pair, its stop far away."""
        prices = self.path.prices

        async def deep(symbol: str, depth: int) -> Book:
            return deep_book(symbol, prices[symbol])

        self.path.service._parts.sizer._order_book = deep  # it was, when they were bought
        for symbol in prices:
            result = await self.path.service.propose(
                self.path.proposal(
                    symbol, notional=Decimal(400), stop_loss_pct=80.0, take_profit_pct=500.0
                )
            )
            assert result.outcome is ProposalOutcome.ACCEPTED, result
        held = (await self.path.service.portfolio()).positions
        assert len(held) == POSITIONS

    async def play_until(self, time_ms: int) -> None:
        """Let the market go on up to ``time_ms`` after the start."""
        while self.path.clock.now_ms() < START_MS + time_ms:
            await self._step()

    async def liquidate(self, reason: str) -> LiquidationReport:
        """Ask for it, and let the market go on until it is over."""
        operations = self.path.service.operations
        report: LiquidationReport | None = await operations.liquidate(reason)
        while report is None or report.status is LiquidationStatus.RUNNING:
            await self._step()
            report = await operations.liquidation()
        return report

    def left(self) -> dict[str, Decimal]:
        """What the exchange says is held, in the quote asset, dust left out."""
        worth = {
            symbol: self.path.held(symbol.removesuffix("USDT")) * Decimal(repr(price))
            for symbol, price in self.path.prices.items()
        }
        return {symbol: value for symbol, value in worth.items() if value > DUST}

    def open_orders(self) -> int:
        """Of all pairs, as the exchange has them."""
        return len(self.path.exchange.open_orders("replay"))

    async def _step(self) -> None:
        now_ms = self.path.clock.now_ms() + STEP_MS
        self.path.clock.advance_to(now_ms)
        while self._next is not None and self._next.time_ms <= now_ms:
            self.path.prices[self._next.symbol] = self._next.price
            self.path.venue.push_tick(self._next)
            self._next = next(self._tape, None)
        await self.path.service.advance(now_ms)
        await asyncio.sleep(STEP_S)
