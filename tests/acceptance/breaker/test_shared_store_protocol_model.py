"""The protocol between processes that share a store, explored exhaustively on a small model.

One process trips. Three senders of other processes are anywhere between the journal and the wire.
At any moment two of them may be stopped for as long as they like and go on, and one may be killed.
Promise: once ``trigger`` has returned, the venue accepts no entry any more. Each safety step can be
left out, and then the exploration must find a run that breaks the promise.

The steps are those of ``trading.storage.send_fence``, ``trading.execution.shared_halt`` and
``CircuitBreaker.trigger``; one step here is one system call or one transaction there. The halt byte
is not among them: it spares a trip the wait for senders that would be refused anyway, and no
promise rests on it. ``test_gate_protocol_model.py`` has the protocol within one process.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum, auto

import pytest


class Step(Enum):
    """What makes the protocol safe; each can be removed."""

    ANNOUNCE_BEFORE_CHECK = auto()  # the sender's byte is locked before it reads the row
    CHECK_AT_THE_WIRE = auto()  # the row is read again right before the bytes
    WAIT_FOR_OTHERS = auto()  # the trip waits until no byte is locked
    WAIT_AFTER_COMMIT = auto()  # … and not before its commit
    RECEIVE_WINDOW = auto()  # the venue refuses what was signed too long ago
    BOUND_BEYOND_WINDOW = auto()  # the trip's longest wait is longer than that


class At(Enum):
    """Where a sender is. ``JOURNALLED`` and ``SIGNED`` are before the fence."""

    JOURNALLED = auto()
    SIGNED = auto()
    ANNOUNCED = auto()
    CHECKED = auto()
    SENT = auto()
    GONE = auto()


class Trip(Enum):
    IDLE = auto()
    WAITED_EARLY = auto()
    COMMITTED = auto()
    RETURNED = auto()


@dataclass(frozen=True)
class Sender:
    at: At = At.JOURNALLED
    announced: bool = False
    stopped: bool = False
    is_old: bool = False  # signed longer ago than the receive window


@dataclass(frozen=True)
class World:
    senders: tuple[Sender, ...] = (Sender(), Sender(), Sender())
    trip: Trip = Trip.IDLE
    stored_halt: bool = False
    stops: int = 2
    kills: int = 1
    accepted_late: bool = False


def successors(world: World, steps: frozenset[Step]) -> Iterator[World]:
    """Every world one step of anybody away."""
    for index, sender in enumerate(world.senders):
        for moved, changed in sender_steps(world, sender, steps):
            others = (*world.senders[:index], *world.senders[index + 1 :])
            # Senders are alike: worlds that differ in their order alone are one.
            yield replace(changed, senders=tuple(sorted((*others, moved), key=order)))
    yield from trip_steps(world, steps)


def order(sender: Sender) -> tuple[int, bool, bool, bool]:
    return sender.at.value, sender.announced, sender.stopped, sender.is_old


def sender_steps(
    world: World, sender: Sender, steps: frozenset[Step]
) -> Iterator[tuple[Sender, World]]:
    if sender.at in (At.SENT, At.GONE):
        return
    if world.kills:
        # The kernel frees the locks of a process that dies.
        yield replace(sender, at=At.GONE, announced=False), replace(world, kills=world.kills - 1)
    if sender.stopped:
        yield replace(sender, stopped=False), world
        # Whoever is stopped may stay so for longer than the window: only signed orders age.
        if sender.at is not At.JOURNALLED:
            yield replace(sender, is_old=True), world
        return
    if world.stops:
        yield replace(sender, stopped=True), replace(world, stops=world.stops - 1)
    yield from going_on(world, sender, steps)


def going_on(
    world: World, sender: Sender, steps: frozenset[Step]
) -> Iterator[tuple[Sender, World]]:
    announces_first = Step.ANNOUNCE_BEFORE_CHECK in steps
    checks = Step.CHECK_AT_THE_WIRE in steps
    refused = checks and world.stored_halt
    if sender.at is At.JOURNALLED:
        yield replace(sender, at=At.SIGNED), world
    elif sender.at is At.SIGNED:
        if announces_first:
            yield replace(sender, at=At.ANNOUNCED, announced=True), world
        else:
            yield replace(sender, at=At.GONE if refused else At.ANNOUNCED), world
    elif sender.at is At.ANNOUNCED:
        if not announces_first:
            yield replace(sender, at=At.CHECKED, announced=True), world
        elif refused:
            yield replace(sender, at=At.GONE, announced=False), world
        else:
            yield replace(sender, at=At.CHECKED), world
    elif sender.at is At.CHECKED:
        accepted = not (sender.is_old and Step.RECEIVE_WINDOW in steps)
        late = accepted and world.trip is Trip.RETURNED
        yield (
            replace(sender, at=At.SENT, announced=False),
            replace(world, accepted_late=world.accepted_late or late),
        )


def trip_steps(world: World, steps: frozenset[Step]) -> Iterator[World]:
    waits, after = Step.WAIT_FOR_OTHERS in steps, Step.WAIT_AFTER_COMMIT in steps
    if world.trip is Trip.IDLE:
        if waits and not after:
            yield from waited(world, Trip.WAITED_EARLY, steps)
        else:
            yield replace(world, trip=Trip.COMMITTED, stored_halt=True)
    elif world.trip is Trip.WAITED_EARLY:
        yield replace(world, trip=Trip.RETURNED, stored_halt=True)
    elif world.trip is Trip.COMMITTED:
        if waits:
            yield from waited(world, Trip.RETURNED, steps)
        else:
            yield replace(world, trip=Trip.RETURNED)


def waited(world: World, following: Trip, steps: frozenset[Step]) -> Iterator[World]:
    """The wait ends when nobody is announced, or at its bound."""
    if not any(sender.announced for sender in world.senders):
        yield replace(world, trip=following)
        return
    if any(sender.announced and not sender.stopped for sender in world.senders):
        return  # a process that runs hands its bytes over long before the bound
    aged = Step.BOUND_BEYOND_WINDOW in steps
    yield replace(
        world,
        trip=following,
        senders=tuple(
            replace(sender, is_old=True) if sender.announced and aged else sender
            for sender in world.senders
        ),
    )


def explore(steps: frozenset[Step]) -> tuple[int, bool]:
    """How many worlds there are, and whether the venue accepts an entry too late in any."""
    start = World()
    seen, frontier, broken = {start}, [start], False
    while frontier:
        world = frontier.pop()
        broken = broken or world.accepted_late
        for following in successors(world, steps):
            if following not in seen:
                seen.add(following)
                frontier.append(following)
    return len(seen), broken


def test_no_interleaving_of_processes_on_one_store_breaks_the_promise() -> None:
    worlds, broken = explore(frozenset(Step))
    assert not broken
    assert worlds > 1_000, "the exploration went somewhere"


@pytest.mark.parametrize("removed", Step, ids=lambda step: step.name.lower())
def test_without_any_one_step_some_interleaving_breaks_the_promise(removed: Step) -> None:
    _, broken = explore(frozenset(Step) - {removed})
    assert broken, f"{removed.name} could be left out: the model or the step is idle"
