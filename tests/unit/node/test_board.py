"""How the board tells of workers that have not been heard yet, were heard, and are silent."""

from __future__ import annotations

import time

from trading.api.schemas import STARTING
from trading.clock import SystemClock
from trading.node.board import WORKER_MUTE_AFTER_S, Board

LOST_AFTER_MS = 5_000


def now_ms() -> int:
    return time.monotonic_ns() // 1_000_000


def test_crews_that_nobody_has_heard_are_starting_and_after_their_time_missing() -> None:
    board = Board(SystemClock())
    (crews,) = board.workers(now_ms(), LOST_AFTER_MS, expected=True)
    assert (crews.ok, crews.starting) == (False, True)
    late_ms = now_ms() + round(WORKER_MUTE_AFTER_S * 1000)
    (crews,) = board.workers(late_ms, LOST_AFTER_MS, expected=True)
    assert (crews.ok, crews.starting) == (False, False)
    assert crews.detail == "no worker seen for 300 s"


def test_where_no_crews_are_expected_none_are_missed() -> None:
    assert Board(SystemClock()).workers(now_ms(), LOST_AFTER_MS, expected=False) == ()


def test_a_worker_that_falls_silent_while_it_starts_has_failed() -> None:
    board = Board(SystemClock())
    board.worker_seen("spike-worker", STARTING, now_ms())
    (worker,) = board.workers(now_ms(), LOST_AFTER_MS, expected=True)
    assert (worker.ok, worker.starting) == (True, True)
    (worker,) = board.workers(now_ms() + LOST_AFTER_MS, LOST_AFTER_MS, expected=True)
    assert (worker.ok, worker.starting) == (False, False)
