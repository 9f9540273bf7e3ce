"""A process that is killed at any moment has forgotten nothing that it has acknowledged."""

from __future__ import annotations

import random
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from crash_work import state_of
from proofs import Held, record, rounds
from zygote import Child, Zygote, zygote

from trading.clock import VirtualClock
from trading.risk.breaker_config import CircuitBreakerConfig
from trading.risk.breaker_store import create_store
from trading.risk.circuit_breaker import CircuitBreaker
from trading.storage.config import StorageConfig

SEED = 20_260_311
KILLS = rounds(100, 1_000)
MUTANT_KILLS = rounds(12, 100)
KILLS_A_STORE = 50
HOUR_MS = 3_600_000
START_MS = 1_760_000_000_000

SEVERITY = {"SAFE": 0, "WARNING": 1, "RECOVERING": 2, "TRIGGERED": 3}
EASING = ("clear", "advance", "release")

State = dict[str, Any]


@dataclass
class Ledger:
    """What one store owes us: all that was acknowledged, and what was begun and may be in it."""

    state: State
    begun: str | None = None
    orders: dict[str, str] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    begun_orders: dict[str, str] = field(default_factory=dict)

    def take(self, line: dict[str, Any]) -> None:
        if "order" in line:
            self._take_order(line)
        elif "will" in line:
            self.begun = line["will"]
        elif "did" in line:
            self.state, self.begun = line["state"], None

    def _take_order(self, line: dict[str, Any]) -> None:
        name = line["order"]
        if "will" in line:
            self.begun_orders[name] = line["will"]
            return
        self.begun_orders.pop(name)
        if "refused" in line:
            self.refused.add(name)
        else:
            self.orders[name] = line["did"]

    def wrong_state(self, found: State) -> list[str]:
        """What is wrong with the breaker's state after a restart; it is then what is owed."""
        owed, begun = self.state, self.begun
        self.state, self.begun = found, None
        if found["revision"] == owed["revision"]:
            return [] if found == owed else [f"{owed} became {found}"]
        what = f"{owed}, {begun} begun: {found}"
        if found["revision"] != owed["revision"] + 1 or begun is None:
            return [f"forgotten: {what}"]
        if found["epoch"] != owed["epoch"] + (begun == "trip"):
            return [f"wrong epoch: {what}"]
        if begun not in EASING and SEVERITY[found["status"]] < SEVERITY[owed["status"]]:
            return [f"less severe: {what}"]
        return []

    def wrong_rows(self, path: Path) -> list[str]:
        """What is wrong with the tables of the store."""
        with closing(sqlite3.connect(path)) as connection:
            connection.row_factory = sqlite3.Row
            return [
                *damage(connection),
                *half_written_breaker(connection),
                *half_written_fills(connection),
                *self._wrong_orders(connection),
            ]

    def _wrong_orders(self, connection: sqlite3.Connection) -> list[str]:
        rows = connection.execute("SELECT client_order_id, status FROM orders")
        found: dict[str, str] = dict(rows.fetchall())
        wrong = [f"{name} was refused and is there" for name in self.refused & found.keys()]
        for name in found.keys() - self.orders.keys() - self.begun_orders.keys():
            wrong.append(f"{name} is of nobody")
        for name, status in self.orders.items():
            if found.get(name) not in (status, self.begun_orders.get(name)):
                wrong.append(f"{name} was {status}, is {found.get(name)}")
        self.orders, self.begun_orders = found, {}
        return wrong


def damage(connection: sqlite3.Connection) -> list[str]:
    broken = [row[0] for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]
    return broken + [str(tuple(row)) for row in connection.execute("PRAGMA foreign_key_check")]


def half_written_breaker(connection: sqlite3.Connection) -> list[str]:
    """The state row and its events are written together or not at all."""
    state = connection.execute("SELECT * FROM breaker_state").fetchone()
    events = connection.execute("SELECT * FROM circuit_breaker_events ORDER BY id").fetchall()
    wrong = []
    if len(events) != state["revision"]:
        wrong.append(f"{len(events)} events of {state['revision']} changes")
    if events:
        last = events[-1]
        if (last["to_status"], last["epoch"]) != (state["status"], state["epoch"]):
            wrong.append(f"the last event is {dict(last)}, the state {dict(state)}")
    open_episodes = [e["id"] for e in events if e["kind"] == "trip" and e["status"] != "cleared"]
    halted = state["status"] in ("TRIGGERED", "RECOVERING")
    if open_episodes != ([state["event_id"]] if halted else []):
        wrong.append(f"open episodes {open_episodes}, the state's is {state['event_id']}")
    return wrong


def half_written_fills(connection: sqlite3.Connection) -> list[str]:
    """A filled order, its fill and its position are written together or not at all."""
    filled = "SELECT client_order_id FROM orders WHERE status = 'FILLED' ORDER BY 1"
    fills = "SELECT client_order_id FROM fills ORDER BY 1"
    positions = "SELECT entry_client_order_id FROM positions ORDER BY 1"
    sets = [[row[0] for row in connection.execute(sql)] for sql in (filled, fills, positions)]
    return [] if sets[0] == sets[1] == sets[2] else [f"orders, fills, positions: {sets}"]


@dataclass
class Killed:
    """The outcome of many kills."""

    wrong: list[str] = field(default_factory=list)
    kills: int = 0
    acknowledged: int = 0
    unacknowledged: int = 0  # kills that came between a step's announcement and its answer
    while_opening: int = 0


def kill_often(parent: Zygote, folder: Path, kills: int, *, answers_early: bool) -> Killed:
    """Kill children at random moments of their work over one store after another."""
    rng = random.Random(SEED)
    killed = Killed()
    ledger, storage = Ledger({}), StorageConfig()
    for number in range(kills):
        clock = VirtualClock(START_MS + number * HOUR_MS)
        if number % KILLS_A_STORE == 0:
            storage = StorageConfig(path=folder / f"store-{answers_early}-{number}.sqlite3")
            create_store(storage, clock)
            ledger = Ledger(restarted(storage, clock))
        child = parent.fork(
            store=str(storage.path),
            seed=SEED + 1_000 * number,
            now_ms=clock.now_ms(),
            answers_early=answers_early,
        )
        wrong = kill_at_random(child, ledger, rng, killed)
        killed.kills += 1
        # A store that is not looked at is recovered by the next child, or killed in doing so.
        if wrong or rng.random() < 0.7 or (number + 1) % KILLS_A_STORE in (0, kills):
            wrong += ledger.wrong_state(restarted(storage, clock))
            wrong += ledger.wrong_rows(storage.path)
        killed.wrong += [f"kill {number} of seed {SEED}: {text}" for text in wrong]
    return killed


def kill_at_random(child: Child, ledger: Ledger, rng: random.Random, killed: Killed) -> list[str]:
    """One kill, before or after the child has opened the store; wrong states that it found."""
    if rng.random() < 0.25:
        time.sleep(rng.uniform(0, 0.02))
    else:
        child.hear_until("ready")
        for _ in range(rng.randrange(24)):  # a busy machine works as much, only slower
            child.hear()
        time.sleep(rng.uniform(0, 0.005))
    wrong = []
    lines = child.kill()
    for line in lines:
        if "ready" in line:
            wrong += ledger.wrong_state(line["state"])
        else:
            ledger.take(line)
            killed.acknowledged += "did" in line
    killed.while_opening += not any("ready" in line for line in lines)
    killed.unacknowledged += ledger.begun is not None or bool(ledger.begun_orders)
    return wrong


def restarted(storage: StorageConfig, clock: VirtualClock) -> State:
    """The state in which a breaker comes up over the store."""
    breaker = CircuitBreaker.open(CircuitBreakerConfig(), clock, storage)
    try:
        return state_of(breaker)
    finally:
        breaker.close()


@pytest.mark.timeout(240)
def test_no_kill_at_any_moment_loses_what_was_acknowledged(tmp_path: Path) -> None:
    with zygote("crash_work") as parent:
        sound = kill_often(parent, tmp_path, KILLS, answers_early=False)
        early = kill_often(parent, tmp_path, MUTANT_KILLS, answers_early=True)
    assert sound.acknowledged > KILLS, "the children did work before they were killed"
    assert sound.unacknowledged > KILLS / 4, "many kills came in the middle of a step"
    assert sound.while_opening > 0
    assert early.wrong, "a store that answers before its commit passes for a sound one"
    record(
        Held(
            section="Crash",
            guarantee="after SIGKILL at a random moment no acknowledged transition or order is "
            "lost, and none is half written",
            trials=sound.kills,
            unit="kills",
            violations=len(sound.wrong),
            mutant="the store answers before its COMMIT",
            caught=f"{len(early.wrong)} losses in {early.kills} kills",
        )
    )
