"""The protocol of trip and gate, explored exhaustively on a small model.

Three senders and one trip interleave in every order there is, with one crash and one operator's
clear at any moment, and the trip's bounded wait ending early at any moment. Each safety step can be
left out, and then the exploration must find a run that breaks a promise: otherwise the model, or
the step, would be idle.

The model's steps are those of ``trading.execution.gate`` and ``trading.risk.circuit_breaker``: what
is one step here is one step under a lock, or one transaction, there. Not in the model: a process
that is stopped between its last check and the write of the bytes for longer than the trip waits.
Only the exchange can refuse that order, by its receive window.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum, auto

import pytest


class Step(Enum):
    """What makes the protocol safe; each can be removed."""

    FLAG_BEFORE_BARRIER = auto()  # entries are blocked before the trip waits
    BARRIER = auto()  # the trip waits for senders inside to leave or give up
    FENCE = auto()  # a sender still inside after the wait is void
    CHECK_AT_THE_WIRE = auto()  # the permit is asked again in the instant before the bytes
    EPOCH_AT_THE_GATE = auto()  # a decision of an earlier epoch is refused
    COMMIT_BEFORE_ANSWER = auto()  # `trigger` returns after the commit
    HOLD_AFTER_RESTART = auto()  # a restart starts from the stored state


class At(Enum):
    """Where a sender is."""

    DECIDED = auto()
    INSIDE = auto()
    LEAVING = auto()
    AWAY = auto()
    REFUSED = auto()


class Trip(Enum):
    """Where the trip is."""

    IDLE = auto()
    BLOCKED = auto()
    WAITED = auto()
    COMMITTED = auto()
    RETURNED = auto()


@dataclass(frozen=True)
class Sender:
    at: At = At.DECIDED
    epoch: int = 0  # the breaker's epoch it decided under
    fenced: bool = False


@dataclass(frozen=True)
class World:
    """``late``: bytes that left against a promise. ``forgot``: a returned trip is not in force."""

    senders: tuple[Sender, ...] = (Sender(), Sender(), Sender())
    trip: Trip = Trip.IDLE
    blocked: bool = False
    epoch: int = 0
    stored_halt: bool = False
    stored_epoch: int = 0
    returned: bool = False  # the trip has been acknowledged, and nobody has cleared it
    crashed: bool = False
    cleared: bool = False
    late: bool = False
    forgot: bool = False


def successors(world: World, steps: frozenset[Step]) -> Iterator[World]:
    """Every world one step of anybody away."""
    for index, sender in enumerate(world.senders):
        for moved, changed in sender_steps(world, sender, steps):
            senders = (*world.senders[:index], moved, *world.senders[index + 1 :])
            yield replace(changed, senders=senders)
    yield from trip_steps(world, steps)
    if not world.crashed:
        yield crash(world, steps)
    if world.returned and world.blocked and not world.cleared:
        # An operator's forced clear, with the current epoch; the epoch stays as it is.
        yield replace(
            world,
            blocked=False,
            stored_halt=False,
            returned=False,
            cleared=True,
            trip=Trip.RETURNED,
        )


def sender_steps(
    world: World, sender: Sender, steps: frozenset[Step]
) -> Iterator[tuple[Sender, World]]:
    if sender.at is At.DECIDED:
        stale = sender.epoch != world.epoch and Step.EPOCH_AT_THE_GATE in steps
        refused = world.blocked or stale
        yield replace(sender, at=At.REFUSED if refused else At.INSIDE), world
    elif sender.at is At.INSIDE:
        if sender.fenced and Step.CHECK_AT_THE_WIRE in steps:
            yield replace(sender, at=At.REFUSED), world
        else:
            yield replace(sender, at=At.LEAVING), world
    elif sender.at is At.LEAVING:
        # The bytes go out: against a promise after a returned trip, or for an outdated decision.
        halted = world.returned
        outdated = world.cleared and sender.epoch < world.epoch
        yield replace(sender, at=At.AWAY), replace(world, late=world.late or halted or outdated)


def trip_steps(world: World, steps: frozenset[Step]) -> Iterator[World]:
    if world.trip is Trip.IDLE and not world.cleared:
        blocked = Step.FLAG_BEFORE_BARRIER in steps
        yield replace(world, trip=Trip.BLOCKED, blocked=world.blocked or blocked)
    elif world.trip is Trip.BLOCKED:
        yield from barrier(world, steps)
    elif world.trip is Trip.WAITED:
        if Step.COMMIT_BEFORE_ANSWER in steps:
            yield commit(replace(world, trip=Trip.COMMITTED))
        else:
            yield replace(world, trip=Trip.COMMITTED, blocked=True, returned=True)
    elif world.trip is Trip.COMMITTED:
        done = replace(world, trip=Trip.RETURNED, returned=True)
        yield done if Step.COMMIT_BEFORE_ANSWER in steps else commit(done)


def commit(world: World) -> World:
    epoch = world.epoch + 1
    return replace(world, blocked=True, epoch=epoch, stored_halt=True, stored_epoch=epoch)


def barrier(world: World, steps: frozenset[Step]) -> Iterator[World]:
    waited = replace(world, trip=Trip.WAITED)
    if Step.BARRIER not in steps:
        yield waited
        return
    if any(sender.at is At.LEAVING for sender in world.senders):
        return  # the hand-over of bytes under way is always waited for
    fence = Step.FENCE in steps
    # With nobody inside the wait is over; with somebody inside it may end early at any moment.
    yield replace(
        waited,
        senders=tuple(
            replace(sender, fenced=True) if sender.at is At.INSIDE and fence else sender
            for sender in world.senders
        ),
    )


def crash(world: World, steps: frozenset[Step]) -> World:
    """Memory is gone, senders with it; a new process starts from the store."""
    holds = world.stored_halt and Step.HOLD_AFTER_RESTART in steps
    return replace(
        world,
        crashed=True,
        senders=tuple(
            sender if sender.at is At.AWAY else replace(sender, at=At.REFUSED)
            for sender in world.senders
        ),
        blocked=holds,
        epoch=world.stored_epoch,
        trip=Trip.RETURNED,
        forgot=world.returned and not holds,
    )


def broken_promises(steps: frozenset[Step]) -> tuple[int, set[str]]:
    """How many worlds there are, and which promises some run breaks."""
    start = World()
    seen, frontier, broken = {start}, [start], set()
    while frontier:
        world = frontier.pop()
        if world.late:
            broken.add("an entry left after the trip had returned")
        if world.forgot:
            broken.add("a crash forgot a returned trip")
        for following in successors(world, steps):
            if following not in seen:
                seen.add(following)
                frontier.append(following)
    return len(seen), broken


def test_no_interleaving_of_the_whole_protocol_breaks_a_promise() -> None:
    worlds, broken = broken_promises(frozenset(Step))
    assert broken == set()
    assert worlds > 500, "the exploration went somewhere"


@pytest.mark.parametrize("removed", Step, ids=lambda step: step.name.lower())
def test_without_any_one_step_some_interleaving_breaks_a_promise(removed: Step) -> None:
    _, broken = broken_promises(frozenset(Step) - {removed})
    assert broken, f"{removed.name} could be left out: the model or the step is idle"
