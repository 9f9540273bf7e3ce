"""What the account is worth is measured once a minute, and while halted beside what it would be."""

from __future__ import annotations

from pathlib import Path

from order_path import MINUTE_MS, OrderPath

from trading.events import EquityMeasured
from trading.model.portfolio import EquityPoint


def measured(path: OrderPath) -> list[EquityPoint]:
    points: list[EquityPoint] = []
    path.bus.subscribe(EquityMeasured, lambda event: points.append(event.point))
    return points


async def test_equity_is_measured_once_a_minute_however_often_the_clock_ticks(
    tmp_path: Path,
) -> None:
    async with OrderPath(tmp_path) as path:
        points = measured(path)
        for _ in range(180):
            await path.advance(1_000)
        minutes = [point.time_ms // MINUTE_MS for point in points]
        assert minutes == sorted(set(minutes))
        assert len(minutes) in (3, 4)  # 180 s begin or end within a minute
        assert {point.equity for point in points} == {(await path.service.portfolio()).equity}
        assert all(point.without_breaker is None for point in points)


async def test_a_halt_is_measured_beside_what_was_held_when_it_began(tmp_path: Path) -> None:
    async with OrderPath(tmp_path) as path:
        points = measured(path)
        await path.service.propose(path.proposal())
        await path.advance(MINUTE_MS)
        path.breaker.trigger("test", {})
        await path.service.settle()
        await path.tick("BTCUSDT", 45_000.0, after_ms=MINUTE_MS)
        await path.advance(MINUTE_MS)
        saved = await path.service.capital_saved()
        halted = points[-1]
        assert saved is not None
        assert halted.without_breaker is not None
        assert halted.equity - halted.without_breaker == saved
        assert points[0].without_breaker is None


async def test_the_last_measure_is_taken_at_the_end(tmp_path: Path) -> None:
    async with OrderPath(tmp_path) as path:
        points = measured(path)
        await path.advance(MINUTE_MS)
        await path.advance(1_000)
        before = len(points)
        now_ms = path.clock.now_ms()
    assert len(points) == before + 1
    assert points[-1].time_ms == now_ms
