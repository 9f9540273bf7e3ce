"""No intent becomes two orders, whatever the wire does, and exposure is counted once, always.

Each seed is one bad moment: three intents are proposed several times at once and again later, the
exchange misbehaves in one way, prices move, orders are closed and cancelled, and in every third
seed the service dies or is restarted in the middle. The checks are ``ExposureAudit``'s, from the
exchange's own books.
"""

from __future__ import annotations

import asyncio
import random
import shutil
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from multiprocessing import get_context
from pathlib import Path

import pytest
from exposure_audit import BOOKS, DUPLICATE, OVER, UNDER, UNSURE
from order_arena import PRICES, SPEED, Arena, CountingClient, execution_config
from proofs import Held, record, rounds

from trading.errors import UnknownOutcomeError
from trading.execution.books import Books
from trading.execution.desk import OrderDesk
from trading.execution.ledger import Share
from trading.model.order import OrderStatus
from trading.risk.reservations import ReservationBook
from trading.simulator.server.faults import Fault, FaultKind
from trading.storage.order_repository import OrderRecord

SECTION = "Duplicates and exposure"
INITIAL_CASH = Decimal(10_000)
SETTLE_S = 20.0
PROCESSES = 2
AT_ONCE = 6  # seeds that run beside one another, to use the time they wait

LASTING_MS = 250
REFUSING_MS = 300
LATE_MS = 400  # past the client's patience, and past the receive window
UNSAID = {
    "-1006": FaultKind.UNEXPECTED_RESPONSE,
    "-1007": FaultKind.BACKEND_TIMEOUT,
    "-1008": FaultKind.OVERLOADED,
    "502 with HTML": FaultKind.BAD_GATEWAY,
    "503 with HTML": FaultKind.UNAVAILABLE,
    "504 with HTML": FaultKind.GATEWAY_TIMEOUT,
}
FAULTS: dict[str, tuple[FaultKind, bool, int]] = {
    "time-out before acceptance": (FaultKind.REQUEST_LOST, True, 0),
    "request late": (FaultKind.REQUEST_LATE, True, LATE_MS),
    "time-out after acceptance": (FaultKind.ANSWER_LOST, True, 0),
    "answer late": (FaultKind.ANSWER_LATE, True, LATE_MS),
    "reset while sending": (FaultKind.RESET_SENDING, True, 0),
    "reset while reading": (FaultKind.RESET_READING, True, 0),
    "reset in mid-answer": (FaultKind.ANSWER_CUT, True, 0),
    "-2013, then filled": (FaultKind.DENIED, True, LASTING_MS),
    "-1021": (FaultKind.CLOCK, True, 0),
    "-1003 with 429": (FaultKind.RATE_LIMITED, True, REFUSING_MS),
    "-1003 with 418": (FaultKind.BANNED, True, REFUSING_MS),
    "-2010": (FaultKind.INSUFFICIENT_BALANCE, True, 0),
    "events reordered": (FaultKind.EVENTS_REORDERED, True, LASTING_MS),
    "events repeated": (FaultKind.EVENTS_REPEATED, True, LASTING_MS),
    "partial fill, then silence": (FaultKind.EVENTS_SILENT, True, LASTING_MS),
    **{f"{name}, accepted": (kind, True, 0) for name, kind in UNSAID.items()},
    **{f"{name}, not accepted": (kind, False, 0) for name, kind in UNSAID.items()},
}


@dataclass
class Tally:
    """What came out of many seeds: by kind of violation, which seeds had one."""

    seeds: int = 0
    intents: int = 0
    samples: int = 0
    faults: int = 0

    def __post_init__(self) -> None:
        self.bad: defaultdict[str, list[str]] = defaultdict(list)

    @classmethod
    def sum(cls, shares: Iterable[Tally]) -> Tally:
        total = cls()
        for share in shares:
            total.seeds += share.seeds
            total.intents += share.intents
            total.samples += share.samples
            total.faults += share.faults
            for kind, found in share.bad.items():
                total.bad[kind] += found
        return total


async def bad_moment(
    name: str, seed: int, directory: Path, client: type[CountingClient], settle_s: float
) -> Arena:
    """One seed of one fault; the arena afterwards, with its audit complete."""
    dice = random.Random(f"{name} {seed}")
    kind, accepted, duration_ms = FAULTS[name]
    methods = ["POST"] * dice.randint(1, 3) + ["DELETE"] * dice.choice([0, 0, 1])
    thin = dice.random() < 0.5 or kind is FaultKind.EVENTS_SILENT
    arena = Arena(
        directory,
        execution=execution_config(entry_time_to_live_ms=dice.choice([3_000, 600_000])),
        level_notional=300 if thin else 25_000,
        client=client,
    )
    async with arena:
        arena.server.faults.plan(
            *(
                Fault(kind=kind, method=method, accepted=accepted, duration_ms=duration_ms)
                for method in methods
            )
        )
        proposals = []
        for symbol, price in PRICES.items():
            distance = dice.choice([None, "0.9995", "0.998", "1.001"])
            limit = None if distance is None else Decimal(str(price)) * Decimal(distance)
            proposals.append(arena.proposal(symbol, str(seed), limit_price=limit))

        async def propose(proposal, after_s):  # type: ignore[no-untyped-def]
            await asyncio.sleep(after_s)
            if arena.service is not None:
                await arena.service.propose(proposal)

        async def disturb() -> None:
            for _ in range(dice.randint(2, 6)):
                await asyncio.sleep(dice.uniform(0, 0.06))
                symbol = dice.choice(list(PRICES))
                move = 1 + dice.choice([-0.03, -0.002, -0.0004, 0.0, 0.0004])
                price = round(PRICES[symbol] * move, 2)
                arena.tick(symbol, price, dice.choice([0.01, 500.0]))

        async def restart() -> None:
            if dice.random() > 1 / 3:
                return
            await asyncio.sleep(dice.uniform(0, 0.2))
            await (arena.crash() if dice.random() < 0.7 else arena.stop())
            await arena.start()

        life = asyncio.create_task(restart())
        await asyncio.gather(
            *(
                propose(proposal, dice.uniform(0, 0.05))
                for proposal in proposals
                for _ in range(dice.randint(1, 3))
            ),
            disturb(),
            return_exceptions=True,  # a proposal whose process dies
        )
        await life
        await asyncio.gather(*(propose(proposal, 0.0) for proposal in proposals))
        if dice.random() < 0.3 and arena.service is not None:
            await arena.service.close_position(dice.choice(list(PRICES)), "the trader")
        for _ in range(2):  # the second time with everything known, and proposed once more
            if not await arena.settled(settle_s):
                arena.audit.violations[UNSURE].append(f"not settled: {arena.state()}")
            await asyncio.gather(*(propose(proposal, 0.0) for proposal in proposals))
            # Whatever no event told is found by the next comparison.
            await asyncio.sleep(1.2 * arena.execution.reconcile_interval_ms / 1000 / SPEED)
        if not await arena.settled(settle_s):
            arena.audit.violations[UNSURE].append(f"not settled: {arena.state()}")
        arena.audit.final(INITIAL_CASH, arena.client.posts)
    return arena


async def bad_day(
    names: Iterable[str],
    seeds: range,
    directory: Path,
    client: type[CountingClient] = CountingClient,
    settle_s: float = SETTLE_S,
) -> Tally:
    """Every fault with every seed."""
    tally = Tally()
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(name: str, seed: int) -> None:
        async with slots:
            folder = directory / f"{list(FAULTS).index(name)}-{seed}"
            folder.mkdir(parents=True)
            try:
                arena = await bad_moment(name, seed, folder, client, settle_s)
            except Exception as error:
                error.add_note(f"[{name}, seed {seed}]")
                raise
            shutil.rmtree(folder)
        tally.seeds += 1
        tally.intents += len(PRICES)
        tally.samples += arena.audit.samples
        tally.faults += len(arena.server.faults.applied)
        for kind, found in arena.audit.violations.items():
            tally.bad[kind].append(f"[{name}, seed {seed}] {found[0]}")

    await asyncio.gather(*(one(name, seed) for name in names for seed in seeds))
    return tally


class Resending(CountingClient):
    """Mutant: a time-out is taken for "try again", as most bots do."""

    async def submit_order(self, request, on_wire):  # type: ignore[no-untyped-def]
        try:
            return await super().submit_order(request, on_wire)
        except UnknownOutcomeError:
            return await super().submit_order(request, on_wire)


async def hasty(desk: OrderDesk, order_id: str) -> OrderRecord:
    """Mutant: "not found" right after a send is taken for a rejection."""
    desk._conclude(order_id, OrderStatus.REJECTED, "not found")
    found = desk.find(order_id)
    assert found is not None
    return found


async def incurious(desk: OrderDesk, order_id: str) -> OrderRecord:
    """Mutant: nobody asks for an unknown outcome; it is left to the user stream."""
    found = desk.find(order_id)
    assert found is not None
    return found


def forgetful(desk: OrderDesk, order_id: str, status: OrderStatus, reason: str) -> None:
    """Mutant: a time-out frees what was reserved."""
    CONCLUDE(desk, order_id, status, reason)
    if status is OrderStatus.UNKNOWN:
        desk._books.reservations.release(order_id)


CONCLUDE = OrderDesk._conclude


def clinging(book: ReservationBook, order_id: str, notional: Decimal) -> None:
    """Mutant: a reservation stays whole until its order has ended."""
    if notional <= 0:
        book.release(order_id)


def without_fees(books: Books, record: OrderRecord, _: object) -> Share:
    """Mutant: fees are forgotten."""
    return Share(record.request.side, record.filled_quantity, record.filled_notional)


@dataclass(frozen=True)
class Mutant:
    """A broken variant, and the fault under which it must be found out."""

    what: str
    fault: str
    patch: tuple[type, str, object] | None = None
    client: type[CountingClient] = CountingClient
    seeds: int = 3  # in the short run; more where few seeds meet the bad moment


GUARANTEES: dict[str, tuple[str, tuple[Mutant, ...]]] = {
    DUPLICATE: (
        "at most one exchange order per intent",
        (
            Mutant(
                "a send that is repeated after a time-out",
                "504 with HTML, accepted",
                client=Resending,
            ),
        ),
    ),
    UNSURE: (
        "every intent ends definite, as the exchange has it",
        (
            Mutant(
                "unknown outcomes are left to the user stream",
                "time-out before acceptance",
                (OrderDesk, "refresh", incurious),
            ),
        ),
    ),
    UNDER: (
        "exposure is at no moment under-reserved",
        (
            Mutant(
                "a time-out frees the reservation",
                "-1007, accepted",
                (OrderDesk, "_conclude", forgetful),
            ),
            Mutant(
                '"not found" right after a send is taken for a rejection',
                "-2013, then filled",
                (OrderDesk, "_not_found", hasty),
                seeds=16,
            ),
        ),
    ),
    OVER: (
        "exposure is at no moment over-reserved",
        (
            Mutant(
                "fills do not shrink the reservation",
                "partial fill, then silence",
                (ReservationBook, "shrink", clinging),
            ),
        ),
    ),
    BOOKS: (
        "cash, positions and fills are the exchange's in the end",
        (Mutant("fees are forgotten", "answer late", (Books, "_share", without_fees)),),
    ),
}


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Tally:
    """The product under every fault."""
    directory = tmp_path_factory.mktemp("real")
    seeds = rounds(1, 200)
    with ProcessPoolExecutor(PROCESSES, get_context("fork")) as processes:
        shares = [range(first, seeds, PROCESSES) for first in range(PROCESSES)]
        folders = [directory / str(first) for first in range(PROCESSES)]
        return Tally.sum(processes.map(share_of_a_day, shares, folders))


def share_of_a_day(seeds: range, directory: Path) -> Tally:
    """Every fault with some of the seeds, in a process of its own."""
    return asyncio.run(bad_day(FAULTS, seeds, directory))


def failures_of(mutant: Mutant, kind: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """How many seeds the same check fails for a broken variant; at least one.

    What a mutant breaks may take a moment that a busy machine misses: it has three tries.
    """
    count, failed, tried = rounds(mutant.seeds, 20), 0, 0
    while not failed and tried < 3 * count:
        seeds = range(tried, tried + count)
        with monkeypatch.context() as patched:
            if mutant.patch is not None:
                patched.setattr(*mutant.patch)
            broken = asyncio.run(
                bad_day([mutant.fault], seeds, directory, mutant.client, settle_s=1.0)
            )
        failed, tried = len(broken.bad[kind]), tried + broken.seeds
    assert failed, f"nobody noticed: {mutant.what}"
    return f"{failed} of {tried} failed"


@pytest.mark.parametrize("kind", GUARANTEES)
def test_one_order_per_intent_and_true_books_under_every_fault(
    kind: str, real: Tally, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guarantee, mutants = GUARANTEES[kind]
    caught = [
        failures_of(mutant, kind, tmp_path / str(number), monkeypatch)
        for number, mutant in enumerate(mutants)
    ]
    assert not real.bad[kind], "\n".join(real.bad[kind][:20])
    assert real.faults >= real.seeds
    record(
        Held(
            section=SECTION,
            guarantee=f"{guarantee}, under {len(FAULTS)} faults of the wire",
            trials=real.seeds,
            unit="faults × seeds",
            violations=len(real.bad[kind]),
            mutant="; ".join(mutant.what for mutant in mutants),
            caught="; ".join(caught),
        )
    )
