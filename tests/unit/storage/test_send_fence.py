"""The fence between parties that share a store; two in one process behave as two processes do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from trading.errors import StoreError, TradingHaltedError
from trading.storage.send_fence import SendFence


@pytest.fixture
def parties(tmp_path: Path) -> Iterator[tuple[SendFence, SendFence]]:
    both = SendFence(tmp_path / "store.sqlite3"), SendFence(tmp_path / "store.sqlite3")
    yield both
    for fence in both:
        fence.close()


def test_a_trip_waits_for_another_partys_sender(parties: tuple[SendFence, SendFence]) -> None:
    trips, sends = parties
    sends.enter()
    assert not trips.wait_for_others(20)
    sends.leave()
    assert trips.wait_for_others(20)


def test_a_trip_does_not_wait_for_its_own_partys_sender(
    parties: tuple[SendFence, SendFence],
) -> None:
    """The gate of its own process has waited for that one, or fenced it."""
    own, _ = parties
    own.enter()
    assert own.wait_for_others(0)
    own.leave()


def test_the_last_of_several_senders_gives_the_byte_back(
    parties: tuple[SendFence, SendFence],
) -> None:
    trips, sends = parties
    sends.enter()
    sends.enter()
    sends.leave()
    assert not trips.wait_for_others(0)
    sends.leave()
    assert trips.wait_for_others(0)


def test_while_one_party_trips_another_one_is_turned_away(
    parties: tuple[SendFence, SendFence],
) -> None:
    trips, sends = parties
    trips.begin_trip()
    with pytest.raises(TradingHaltedError, match="tripping"):
        sends.enter()
    assert trips.wait_for_others(0), "who was turned away is not waited for"
    trips.end_trip()
    sends.enter()
    sends.leave()


def test_a_trip_within_a_trip_keeps_senders_away_until_both_are_over(
    parties: tuple[SendFence, SendFence],
) -> None:
    trips, sends = parties
    trips.begin_trip()
    trips.begin_trip()
    trips.end_trip()
    with pytest.raises(TradingHaltedError):
        sends.enter()
    trips.end_trip()
    sends.enter()
    sends.leave()


def test_the_wait_ends_at_its_bound(parties: tuple[SendFence, SendFence]) -> None:
    trips, sends = parties
    sends.enter()
    began = time.monotonic()
    assert not trips.wait_for_others(50)
    assert 0.05 <= time.monotonic() - began < 10
    sends.leave()


def test_a_closed_fence_lets_nobody_pass_and_holds_nobody_up(
    parties: tuple[SendFence, SendFence],
) -> None:
    trips, sends = parties
    sends.enter()
    sends.close()
    assert trips.wait_for_others(0), "closing gives its bytes back"
    with pytest.raises(TradingHaltedError):
        sends.enter()


def test_a_fence_that_cannot_be_opened_is_a_failing_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="fence"):
        SendFence(tmp_path / "missing" / "store.sqlite3")
