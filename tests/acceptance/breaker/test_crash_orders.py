"""Killed at each named point of an order's way: one order at most, and the books come right."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import time
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest
from crash_orders import SYMBOL, OrderPath, proposal, spike
from proofs import Held, record
from venue_server import ServedExchange, instrument, served_exchange
from zygote import Zygote, zygote

from trading.clock import SystemClock
from trading.exchange.config import ExchangeConfig
from trading.model.order import OrderPurpose, OrderStatus
from trading.risk.breaker_store import create_store
from trading.storage.config import StorageConfig
from trading.storage.database import open_database
from trading.storage.spike_repository import SpikeRepository

# Where the entry is then: in the journal, and at the exchange.
POINTS = {
    "before_the_row": (False, False),
    "before_the_row_is_committed": (False, False),
    "committed_before_the_gate": (True, False),
    "admitted_before_the_wire": (True, False),
    "on_the_wire": (True, True),
    "answered_before_the_outcome": (True, True),
    "between_outcome_and_position": (True, True),
    "before_the_outcome_is_committed": (True, True),
    "filled_before_its_stop": (True, True),
    "stop_before_the_wire": (True, True),
    "stop_answered_before_the_outcome": (True, True),
    "after_the_answer": (True, True),
}
MUTANT_POINTS = ("on_the_wire", "answered_before_the_outcome")
SETTLED_WITHIN_S = 20.0


@dataclass
class Scene:
    """A store and an exchange of its own for one point."""

    point: str
    store: Path
    served: ServedExchange

    @property
    def config(self) -> ExchangeConfig:
        return self.served.config(recv_window_ms=400)

    def posts(self, side: str) -> list[str]:
        """Client order ids of the orders that arrived, as often as they did."""
        received = [post["params"] for post in self.served.server.received_orders]
        return [params["newClientOrderId"] for params in received if params["side"] == side]

    @property
    def held(self) -> Decimal:
        account = self.served.server.keys[0].account_id
        balance = self.served.exchange.balances(account).get("BTC")
        return balance.total if balance is not None else Decimal(0)

    @property
    def is_protected(self) -> bool:
        """Whether one stop is over all that is held, and none over nothing."""
        sellable = instrument().round_quantity_down(self.held)
        return self.open_stops() == ([sellable] if sellable else [])

    def open_stops(self) -> list[Decimal]:
        account = self.served.server.keys[0].account_id
        orders = self.served.exchange.open_orders(account, SYMBOL)
        return [order.quantity for order in orders if order.type.has_trigger]


async def kill_there(parent: Zygote, scene: Scene, *, journals_afterwards: bool) -> list[str]:
    """Kill a child at the scene's point; what is wrong with where the entry is then."""
    credentials = scene.served.credentials
    child = parent.fork(
        store=str(scene.store),
        exchange=scene.config.model_dump(mode="json"),
        key=credentials.key.get_secret_value(),
        secret=credentials.secret.get_secret_value(),
        instrument=instrument().model_dump(mode="json"),
        point=scene.point,
        journals_afterwards=journals_afterwards,
    )
    line = await asyncio.to_thread(child.hear_until, "at")
    await asyncio.to_thread(child.kill)
    wrong = [] if line["at"] == scene.point else [f"stopped at {line}"]
    journalled, sent = POINTS[scene.point]
    for _ in range(100):  # the server reads its socket after us
        if len(scene.posts("BUY")) == sent:
            break
        await asyncio.sleep(0.01)
    else:
        wrong.append(f"{len(scene.posts('BUY'))} entries at the exchange")
    with closing(sqlite3.connect(scene.store)) as connection:
        rows = connection.execute("SELECT status FROM orders WHERE purpose = 'ENTRY'").fetchall()
    if len(rows) != journalled and not journals_afterwards:
        wrong.append(f"in the journal: {rows}")
    return wrong


async def restart_there(scene: Scene) -> list[str]:
    """The next run, with the same proposal once more; what is wrong when it has settled."""
    path = OrderPath(scene.store, scene.config, scene.served.credentials, instrument())
    wrong = []
    async with path:
        parts = path.service._parts
        entries = parts.desk.live(purpose=OrderPurpose.ENTRY)
        if parts.books.reservations.total != sum(e.reserved_notional for e in entries):
            wrong.append(f"{entries} with {parts.books.reservations.total} reserved")
        await path.service.propose(proposal(path.breaker.snapshot.epoch))
        deadline = time.monotonic() + SETTLED_WITHIN_S
        while not is_settled(path, scene) and time.monotonic() < deadline:
            if len(scene.posts("BUY")) > 1:
                break
            await path.service.advance(SystemClock().now_ms())
            await asyncio.sleep(0.02)
        if not is_settled(path, scene):
            wrong.append(f"not settled: {path.service.unknown_orders} unknown orders")
        rows = parts.journal.orders.not_final()
        wrong += [f"{row.id} is {row.status}" for row in rows if row.status is not OrderStatus.NEW]
        portfolio = await path.service.portfolio()
        position = sum((p.quantity for p in portfolio.positions), Decimal(0))
    bought, sold = scene.posts("BUY"), scene.posts("SELL")
    if len(bought) > 1 or len(sold) != len(set(sold)):
        wrong.append(f"sent twice: {bought} {sold}")
    if position != scene.held:
        wrong.append(f"position of {position}, and {scene.held} at the exchange")
    if not scene.is_protected:
        wrong.append(f"{scene.held} held, stops over {scene.open_stops()}")
    return wrong


def is_settled(path: OrderPath, scene: Scene) -> bool:
    """Nothing is unknown, and what is held is protected."""
    return not path.service.unknown_orders and path.service.reconciled and scene.is_protected


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store that knows the spike."""
    storage = StorageConfig(path=tmp_path / "template.sqlite3")
    create_store(storage, SystemClock())
    with closing(open_database(storage)) as connection:
        SpikeRepository(connection).insert(spike())
    return storage.path


async def all_wrong(
    parent: Zygote, store: Path, points: tuple[str, ...], *, journals_afterwards: bool = False
) -> list[str]:
    async with AsyncExitStack() as exchanges:
        scenes, found = [], []
        for point in points:
            copy = store.with_name(f"{point}-{journals_afterwards}.sqlite3")
            shutil.copyfile(store, copy)
            served = await exchanges.enter_async_context(served_exchange())
            scenes.append(Scene(point, copy, served))
            found.append(
                await kill_there(parent, scenes[-1], journals_afterwards=journals_afterwards)
            )
        again = await asyncio.gather(*(restart_there(scene) for scene in scenes))
    return [
        f"{scene.point}: {'; '.join(before + after)}"
        for scene, before, after in zip(scenes, found, again, strict=True)
        if before + after
    ]


@pytest.mark.timeout(180)
async def test_a_kill_at_each_named_point_of_an_order_sends_nothing_twice_and_loses_nothing(
    store: Path,
) -> None:
    with zygote("crash_orders") as parent:
        wrong = await all_wrong(parent, store, tuple(POINTS))
        afterwards = await all_wrong(parent, store, MUTANT_POINTS, journals_afterwards=True)
    assert not wrong, "\n".join(wrong)
    twice = [text for text in afterwards if "sent twice" in text]
    assert len(twice) == len(MUTANT_POINTS)
    record(
        Held(
            section="Crash",
            guarantee="an order killed at a named point is at the exchange at most once, becomes "
            "definite, and its position is booked and protected",
            trials=len(POINTS),
            unit="named points",
            violations=len(wrong),
            mutant="an order is journalled after its answer",
            caught=f"sent twice at {len(twice)} of {len(MUTANT_POINTS)} points",
        )
    )
