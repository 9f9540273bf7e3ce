"""What reduces risk never adds to it: no sequence of closes, stops and sweeps raises exposure.

Hypothesis makes up a portfolio (positions, resting entries and stops, part fills, dust, filters,
coins of the trader's own) and a story: closes, trips under every policy, moved stops, cancels,
crashes, halts, lost, late and unanswered orders. ``WorstCase`` watches from the venue's side. The
account has coins of its own, so the venue itself would let us sell too much.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from order_path import PRICES, OrderPath, trader
from proofs import FULL, Held, record, rounds
from reduce_watch import SlowNetwork, WorstCase

from trading.errors import ExchangeError
from trading.execution.config import ExecutionConfig
from trading.execution.protector import Protector
from trading.model.breaker import Actor
from trading.model.market import Instrument, Tick
from trading.risk.breaker_config import CircuitBreakerConfig, PositionsPolicy
from trading.simulator.book_config import BookShapeConfig
from trading.simulator.config import SimulatorConfig
from trading.storage.order_repository import OrderRecord

SECTION = "Reducing only reduces"
SYMBOLS = tuple(PRICES)
OWN_COINS = {"BTC": Decimal(3), "ETH": Decimal(70), "SOL": Decimal(1_500)}
ENTRIES = ("market", "resting", "part filled")
ACTIONS = (
    *("close", "close twice", "ensure", "tighten", "trip", "trip and close", "clear", "cancel"),
    *("tick", "thin tick", "crash tick", "wait", "restart", "entry", "blind", "gap", "stale"),
    *("lose answer", "lose order", "delay order", "hide", "fail cancel", "refuse"),
)


@dataclass(frozen=True)
class Story:
    """A portfolio and what happens to it."""

    policy: PositionsPolicy
    stop_type: str
    steps: tuple[int, int, int]  # decimals of the lot step, by symbol
    min_notional: int
    thin_book: bool
    entries: tuple[tuple[str, int, int], ...]  # kind, symbol, notional
    actions: tuple[tuple[str, int, float, int], ...]  # what, symbol, price factor, pause in ms


def stories_of(actions: Sequence[str]) -> st.SearchStrategy[Story]:
    return st.builds(
        Story,
        policy=st.sampled_from(PositionsPolicy),
        stop_type=st.sampled_from(["STOP_LOSS", "STOP_LOSS_LIMIT"]),
        steps=st.tuples(st.integers(3, 6), st.integers(2, 5), st.integers(0, 3)),
        min_notional=st.sampled_from([1, 5, 20, 120]),
        thin_book=st.booleans(),
        entries=st.lists(
            st.tuples(st.sampled_from(ENTRIES), st.integers(0, 2), st.integers(150, 1_500)),
            min_size=2,
            max_size=4,
        ).map(tuple),
        actions=st.lists(
            st.tuples(
                st.sampled_from(actions),
                st.integers(0, 2),
                st.floats(0.96, 1.03),
                st.sampled_from([10, 400, 600, 1_100, 3_000]),
            ),
            min_size=5,
            max_size=14,
        ).map(tuple),
    )


STORIES = stories_of(ACTIONS)


def instruments(story: Story) -> list[Instrument]:
    return [
        Instrument(
            symbol=symbol,
            base_asset=symbol.removesuffix("USDT"),
            quote_asset="USDT",
            tick_size=Decimal("0.01"),
            step_size=Decimal(1).scaleb(-decimals),
            min_quantity=Decimal(1).scaleb(-decimals),
            max_quantity=Decimal(9_000),
            min_notional=Decimal(story.min_notional),
        )
        for symbol, decimals in zip(SYMBOLS, story.steps, strict=True)
    ]


class Stage:
    """An order path on which a story is played."""

    def __init__(self, story: Story, directory: Path) -> None:
        level_notional = Decimal(200 if story.thin_book else 25_000)
        self.path = OrderPath(
            directory,
            risk=trader(max_orders_per_minute=1_000, max_daily_loss_pct=100),
            execution=ExecutionConfig.model_validate({"protective_stop_type": story.stop_type}),
            breaker=CircuitBreakerConfig(positions_policy=story.policy, max_trips_24h=100),
            simulator=SimulatorConfig(
                initial_balances={"USDT": Decimal(10_000), **OWN_COINS},
                book=BookShapeConfig(level_notional=level_notional),
            ),
            instruments=instruments(story),
        )
        self.network = SlowNetwork(self.path.venue.client, self.path.clock.now_ms)
        self.worst = self.network.worst = WorstCase(self.path, OWN_COINS)
        self.path.client = self.network
        self.path.service = self.path._service()
        self._spikes = 0

    async def enter(self, kind: str, symbol: str, notional: int) -> None:
        self._spikes += 1
        last = Decimal(str(self.path.prices[symbol]))
        limit = None if kind == "market" else (last * Decimal("0.999")).quantize(Decimal("0.01"))
        await self.path.service.propose(
            self.path.proposal(
                symbol, str(self._spikes), notional=Decimal(notional), limit_price=limit
            )
        )
        if kind == "part filled" and limit is not None:
            # A trade at our price, larger than the queue before us by a little.
            quantity = float((Decimal(notional) / last) / 3)
            self.tick(symbol, float(limit), quantity)

    def tick(self, symbol: str, price: float, quantity: float = 5_000.0) -> None:
        path = self.path
        path.clock.advance_to(path.clock.now_ms() + 10)
        path.prices[symbol] = round(price, 2)
        path.venue.push_tick(Tick(symbol, path.prices[symbol], quantity, path.clock.now_ms()))

    async def wait(self, by_ms: int) -> None:
        self.path.clock.advance_to(self.path.clock.now_ms() + by_ms)
        await self.network.deliver()
        await self.path.advance(0)

    def trip(self) -> None:
        self.path.breaker.trigger("story", actor=Actor.OPERATOR)

    def clear(self) -> None:
        breaker = self.path.breaker
        if breaker.snapshot.status != "SAFE":
            breaker.clear(
                actor=Actor.OPERATOR, reason="story", epoch=breaker.snapshot.epoch, force=True
            )

    async def act(self, what: str, symbol: str, factor: float, notional: int) -> None:
        path, service = self.path, self.path.service
        protector = service._parts.protector
        price = path.prices[symbol]
        if what == "close":
            await service.close_position(symbol, "story")
        elif what == "close twice":
            closes = (service.close_position(symbol, "story") for _ in range(2))
            await asyncio.gather(*closes, protector.ensure(symbol))
        elif what == "trip and close":
            self.trip()
            await service.close_position(symbol, "story")
        elif what == "ensure":
            await protector.ensure(symbol)
        elif what == "tighten":
            protector.tighten(symbol, factor)
            await protector.ensure(symbol)
        elif what in ("trip", "clear"):
            getattr(self, what)()
        elif what == "cancel":
            await self._cancel_entries(symbol)
        elif what == "tick":
            self.tick(symbol, price * factor)
        elif what == "thin tick":
            self.tick(symbol, price * factor, 0.01)
        elif what == "crash tick":
            self.tick(symbol, price * 0.9)
        elif what == "restart":
            await path.crash_and_restart()
        elif what == "entry":
            await self.enter("market", symbol, 500)
        elif what == "blind":
            path.quiet_stream = not path.quiet_stream
        elif what == "gap":
            service.on_gap("story")
        elif what == "stale":
            path.fresh = not path.fresh
        else:
            self._break(what)

    def _break(self, what: str) -> None:
        network = self.network
        if what == "lose answer":
            network.lose_answers = 1
        elif what == "lose order":
            network.lose_orders = 1
        elif what == "delay order":
            network.delay_orders += 1
        elif what == "hide":
            network.hide_queries = 2
        elif what == "fail cancel":
            network.fail_cancels = 1
        elif what == "refuse":
            network.refuse_connections = 1

    async def _cancel_entries(self, symbol: str) -> None:
        for order in self.path.service._parts.desk.live():
            if order.purpose.increases_risk and order.symbol == symbol:
                # A cancel that fails says so; whether the order has ended is then asked.
                with contextlib.suppress(ExchangeError):
                    await self.path.service._uninterrupted(
                        self.path.service._parts.desk.cancel(order.id, "story")
                    )

    async def recover(self) -> None:
        """The venue is well again, and there is time."""
        network, path = self.network, self.path
        network.lose_answers = network.lose_orders = network.delay_orders = 0
        network.hide_queries = network.fail_cancels = network.refuse_connections = 0
        path.quiet_stream, path.fresh = False, True
        path.service.on_gap("the end")
        for _ in range(12):
            await self.wait(1_000)


async def play(story: Story, directory: Path) -> list[str]:
    """What went wrong in ``story``."""
    stage = Stage(story, directory)
    async with stage.path:
        for kind, symbol, notional in story.entries:
            await stage.enter(kind, SYMBOLS[symbol], notional)
        for what, symbol, factor, pause_ms in story.actions:
            await stage.act(what, SYMBOLS[symbol], factor, 500)
            await stage.wait(pause_ms)
        await stage.recover()
        if stage.path.service.unknown_orders:
            stage.worst.violations.append("an order is still of unknown outcome")
    return stage.worst.violations


def played(story: Story) -> list[str]:
    with tempfile.TemporaryDirectory() as directory:
        return asyncio.run(play(story, Path(directory)))


async def without_cancelling(_: Protector, symbol: str, reason: str) -> bool:
    """Mutant: a close sells while the stop still rests."""
    return True


EXITS = Protector._exits


def forgetting_the_unknown(protector: Protector, symbol: str) -> list[OrderRecord]:
    """Mutant: a sell of unknown outcome is not counted."""
    return [order for order in EXITS(protector, symbol) if not order.is_unresolved]


# Each with the actions that meet it often.
MUTANTS: dict[str, tuple[str, Any, Sequence[str]]] = {
    "a close that leaves the stop resting": ("_clear_exits", without_cancelling, ACTIONS),
    "a close that forgets one of unknown outcome": (
        "_exits",
        forgetting_the_unknown,
        ("delay order", "lose answer", "blind", "close", "ensure"),
    ),
}


def stories(number: int, phases: tuple[Phase, ...] = tuple(Phase)) -> Any:
    return settings(
        max_examples=number,
        deadline=None,
        database=None,
        derandomize=not FULL,
        print_blob=True,
        phases=phases,
        suppress_health_check=list(HealthCheck),
    )


def caught_of(number: int, actions: Sequence[str]) -> int:
    """How many of so many stories are told apart from good ones; the quick form ends with one."""
    caught = 0

    @stories(number, (Phase.generate,))
    @given(stories_of(actions))
    def count(story: Story) -> None:
        nonlocal caught
        if FULL or not caught:
            caught += bool(played(story))

    count()
    return caught


@pytest.fixture
def quiet() -> Iterator[None]:
    """Thousands of trips would bury a failing story in their log lines."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.timeout(240)
@pytest.mark.usefixtures("quiet")
def test_worst_case_exposure_never_rises_by_reducing(monkeypatch: pytest.MonkeyPatch) -> None:
    number, few = rounds(60, 5_000), rounds(30, 200)
    tried = 0

    @stories(number)
    @given(STORIES)
    def holds(story: Story) -> None:
        nonlocal tried
        tried += 1
        assert played(story) == []

    holds()
    caught = []
    for attribute, broken, actions in MUTANTS.values():
        with monkeypatch.context() as patched:
            patched.setattr(Protector, attribute, broken)
            caught.append(caught_of(few, actions))
    assert all(caught), f"a mutant went unnoticed: {caught}"
    record(
        Held(
            section=SECTION,
            guarantee="open and unknown orders counted as filled, exposure never rises through the "
            "reduce-only path, and no more is sold than held",
            trials=tried,
            unit="generated portfolios",
            violations=0,
            mutant="; ".join(MUTANTS),
            caught="; ".join(f"{count} of {few} portfolios failed" for count in caught),
        )
    )
