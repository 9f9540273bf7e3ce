"""What is heard beside trades, through the whole core, up to its breaker."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from core_in_process import CoreInProcess, LoopThread, core_in_process
from futures_server import FuturesServer, forced_order, futures_server, mark_price

from trading.clock import SystemClock
from trading.model.breaker import BreakerStatus
from trading.model.metrics import Metric

PRICES = {"BTCUSDT": 60_000.0, "ETHUSDT": 3_000.0}


@pytest.fixture
def futures() -> Iterator[tuple[FuturesServer, LoopThread]]:
    loop = LoopThread("futures")
    served = futures_server()
    server = loop.run(served.__aenter__())
    yield server, loop
    loop.run(served.__aexit__(None, None, None))
    loop.stop()


def eventually(condition: Callable[[], Any], timeout_s: float = 60.0) -> Any:
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return found


def metric(core: CoreInProcess, name: str) -> Metric:
    snapshot = core.core.parts.guard.snapshot
    assert snapshot is not None
    return next(one for one in snapshot.metrics if one.name == name)


def tripped_by(core: CoreInProcess) -> str | None:
    snapshot = core.core.breaker_snapshot()
    return snapshot.reason if snapshot.status is BreakerStatus.TRIGGERED else None


def test_liquidations_of_half_a_billion_halt_trading(
    tmp_path: Path, futures: tuple[FuturesServer, LoopThread]
) -> None:
    server, loop = futures
    settings = {"exchange__endpoints": {"futures_stream_url": server.url}}
    with core_in_process(tmp_path, PRICES, **settings) as core:
        eventually(lambda: server.connections)
        now_ms = SystemClock().now_ms()
        loop.run(server.mark(mark_price("BTCUSDT", "60010", now_ms)))
        eventually(lambda: metric(core, "funding_8h").ready)
        assert tripped_by(core) is None
        order = forced_order("BTCUSDT", "SELL", now_ms, ap="60000", z="8400")
        loop.run(server.force(order))
        assert "504 M USD were liquidated" in eventually(lambda: tripped_by(core))


def test_without_futures_streams_their_rules_are_not_ready_and_nothing_trips(
    tmp_path: Path,
) -> None:
    with core_in_process(tmp_path, PRICES) as core:
        for name in ("liquidations_1h", "funding_8h", "btc_futures_gap"):
            assert not metric(core, name).ready
        assert tripped_by(core) is None


def test_a_lost_peg_halts_trading(tmp_path: Path) -> None:
    settings = {"crash_detection__peg": {"hold_s": 1, "min_trades": 2}}
    with core_in_process(tmp_path, PRICES | {"USDCUSDT": 0.95}, **settings) as core:
        assert "USDCUSDT is 5.0 % off its peg" in eventually(lambda: tripped_by(core))


def test_silence_halts_trading(tmp_path: Path) -> None:
    settings = {"crash_detection__stale_after_ms": 1_000}
    with core_in_process(tmp_path, PRICES, **settings) as core:
        guard = core.core.parts.guard
        # Silence from the very start on is given longer: there must have been a trade.
        eventually(lambda: guard.snapshot and guard.snapshot.feed_age_ms is not None)
        core.stop_trades()
        reason = eventually(lambda: tripped_by(core))
        assert "market data is unsafe: stale: no trade of" in reason


def test_minutes_that_a_lost_stream_left_out_are_fetched_when_it_is_back(tmp_path: Path) -> None:
    with core_in_process(tmp_path, PRICES) as core:
        asked = len(core.core.parts.market.bars("BTCUSDT", 500))
        assert asked > 0
        requests: list[str] = []
        bars = core.core.parts.client.bars

        async def counted(symbol: str, *rest: Any, **options: Any) -> Any:
            requests.append(symbol)
            return await bars(symbol, *rest, **options)

        core.core.parts.client.bars = counted  # type: ignore[method-assign]
        core.drop_market_streams()
        eventually(lambda: {"BTCUSDT", "ETHUSDT"} <= set(requests))
