"""A day of a live run in miniature: every kind of fault, and the books equal after each of them."""

from __future__ import annotations

import itertools
import logging
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bad_day import BadDay, NotRecoveredError
from bad_futures_day import BadFuturesDay

from trading.exchange.binance.feed import TradeNumbers
from trading.exchange.binance.user_stream import BinanceUserStream
from trading.execution.desk import OrderDesk
from trading.model.breaker import BreakerStatus
from trading.model.order import Fill
from trading.simulator.server.fault_config import FaultScheduleConfig, RandomFaultsConfig
from trading.simulator.server.fault_schedule import scheduled
from trading.simulator.server.faults import Fault, FaultKind

log = logging.getLogger(__name__)

SPEED = 10.0
AT_A_TIME = 11
LONGEST_MS = 400
LONG_MARKET_MINUTES = 30
RECOVERED_WITHIN_S = 6.0
MARKET_BACK_WITHIN_S = 1.0


def drawn(seed: int) -> Iterator[Fault]:
    """Faults without end; every kind once before any comes again."""
    config = FaultScheduleConfig(random=RandomFaultsConfig(seed=seed, longest_ms=LONGEST_MS))
    for fault in scheduled(config):
        yield Fault.model_validate(fault.model_dump(exclude={"at_s"}))


def judge(day: BadDay) -> None:
    assert max(day.posts().values()) == 1
    assert day.fills() > 0
    assert set(day.faults()) == set(FaultKind)
    assert day.breaker.snapshot.status is BreakerStatus.SAFE, day.breaker.snapshot.reason


def judge_speed(day: BadDay) -> None:
    """Of the long tests, which have the machine to themselves."""
    assert max(day.figures.recoveries_s) < RECOVERED_WITHIN_S
    assert max(day.figures.market_back_s, default=0.0) < MARKET_BACK_WITHIN_S


async def test_all_kinds_of_faults_leave_the_books_of_both_sides_equal(tmp_path: Path) -> None:
    faults = drawn(seed=5)
    async with BadDay(tmp_path, speed=SPEED, seed=5) as day:
        for _ in range(math.ceil(len(FaultKind) / AT_A_TIME)):
            await day.suffer(*itertools.islice(faults, AT_A_TIME))
        judge(day)
        log.info("%s", day.summary())


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", [1, 2])
async def test_half_an_hour_with_a_fault_every_few_seconds(tmp_path: Path, seed: int) -> None:
    began = time.monotonic()
    async with BadDay(tmp_path, speed=SPEED, seed=seed) as day:
        for fault in drawn(seed):
            await day.suffer(fault)
            if time.monotonic() - began > LONG_MARKET_MINUTES * 60 / SPEED:
                break
        judge(day)
        judge_speed(day)
        log.info("%s", day.summary())  # shown with --log-cli-level=info


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_ten_minutes_in_perpetuals_with_a_fault_every_few_seconds(tmp_path: Path) -> None:
    began = time.monotonic()
    async with BadFuturesDay(tmp_path, speed=SPEED, seed=3) as day:
        for fault in drawn(3):
            await day.suffer(fault)
            if time.monotonic() - began > 60 * 10 / SPEED and set(day.faults()) == set(FaultKind):
                break
        judge(day)
        judge_speed(day)
        log.info("%s", day.summary())


def deaf_to_gaps(monkeypatch: pytest.MonkeyPatch) -> None:
    run = BinanceUserStream.run
    monkeypatch.setattr(
        BinanceUserStream, "run", lambda self, on_report, _: run(self, on_report, lambda _: None)
    )


def counts_fills_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    class Forgetful(dict[str, Fill]):
        """Recognizes no fill."""

        def __contains__(self, _: object) -> bool:
            return False

        def __setitem__(self, trade_id: str, fill: Fill) -> None:
            super().__setitem__(f"{trade_id} {len(self)}", fill)

    kept: defaultdict[str, Forgetful] = defaultdict(Forgetful)
    monkeypatch.setattr(OrderDesk, "_fills_of", lambda _, order_id: kept[order_id])


def hears_trades_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TradeNumbers, "is_new", lambda *_: True)


@pytest.mark.parametrize(
    ("mutant", "kind"),
    [
        (deaf_to_gaps, FaultKind.USER_DROPPED),
        (counts_fills_twice, FaultKind.EVENTS_REPEATED),
        (hears_trades_twice, FaultKind.MARKET_REPEATED),
    ],
)
async def test_a_client_without_reconciliation_or_deduplication_fails_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mutant: Callable[[pytest.MonkeyPatch], None],
    kind: FaultKind,
) -> None:
    mutant(monkeypatch)
    monkeypatch.setattr("bad_day.RECOVERY_S", 1.5)

    async def one_kind_all_day() -> None:
        async with BadDay(tmp_path, speed=SPEED, seed=5) as day:
            for _ in range(30):  # the first is nearly always enough
                await day.suffer(Fault(kind=kind, duration_ms=300))

    with pytest.raises(NotRecoveredError):
        await one_kind_all_day()
