"""Eight orders of 60 % of a limit, submitted at once: exactly one passes, every time.

They come from eight threads, over the way that every control call takes to the order loop, and as
tasks on that loop. The venue takes its time, so that all eight are under way together.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from calm_market import UNHURRIED
from order_path import MINUTE_MS, OrderPath
from proofs import Held, record, rounds

from trading.model.decision import ProposalOutcome, ProposalResult, TradeProposal
from trading.node.order_thread import OrderThread
from trading.risk.compliance_config import ComplianceConfig
from trading.risk.limits import RiskLimits
from trading.risk.risk_config import RiskConfig
from trading.storage.database import open_database

SECTION = "Limits"
ORDERS = 8
COINS = ("BTC", "ETH", "SOL", "XRP", "ADA", "DOT", "LTC", "LINK")
PRICES = {f"{coin}USDT": 100.0 for coin in COINS}
WIDE_DAY = ComplianceConfig(max_daily_trades=100_000, max_daily_volume_pct=1_000_000)
WIDE: dict[str, Any] = {
    "risk_per_trade_pct": 10.0,
    "max_position_pct": 100.0,
    "max_portfolio_exposure_pct": 100.0,
    "max_concurrent_positions": 100,
    "max_orders_per_minute": 1_000,
    **UNHURRIED,
}


@dataclass(frozen=True)
class Limit:
    """A limit, the rule that it refuses by, and how large each of the eight orders is."""

    rule: str
    notional: int
    settings: dict[str, Any] = field(default_factory=dict)
    same_symbol: bool = False


LIMITS = {
    "portfolio exposure": Limit(
        "max_portfolio_exposure_pct", 3_000, {"max_portfolio_exposure_pct": 50.0}
    ),
    "position per symbol": Limit(
        "one_position_per_symbol", 1_200, {"max_position_pct": 20.0}, same_symbol=True
    ),
    "number of positions": Limit("max_concurrent_positions", 600, {"max_concurrent_positions": 1}),
    "orders per minute": Limit("max_orders_per_minute", 600, {"max_orders_per_minute": 1}),
}


class RacePath(OrderPath):
    """Writes its spikes on one connection that need not survive a loss of power."""

    _spikes: sqlite3.Connection | None = None

    def database(self) -> sqlite3.Connection:
        if self._spikes is None:
            self._spikes = open_database(self.storage, durable=False, check=False)
        return self._spikes


class CheckOnly(RiskLimits):
    """The mutant: checks as the product does, approves, and reserves nothing."""

    def reserve(self, order_id, order, *, account, market, history, now_ms):  # type: ignore[no-untyped-def]
        self.check(order, account(), market, history, now_ms)
        self.approvals.approve(order_id, order.notional)


def at_once(orders: OrderThread, calls: list[Coroutine[Any, Any, Any]]) -> list[Any]:
    """Each call from a thread of its own, let go together."""
    barrier = threading.Barrier(len(calls))

    async def call(work: Coroutine[Any, Any, Any]) -> Any:
        barrier.wait()
        return await orders.call(work)

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(lambda work: asyncio.run(call(work)), calls))


def as_tasks(orders: OrderThread, calls: list[Coroutine[Any, Any, Any]]) -> list[Any]:
    """All calls as tasks of the order loop."""

    async def together() -> list[Any]:
        return list(await asyncio.gather(*calls))

    return asyncio.run(orders.call(together()))


Submit = Callable[[OrderThread, list[Coroutine[Any, Any, Any]]], list[Any]]


def wrong_rounds(limit: Limit, submit: Submit, directory: Path, number: int) -> list[str]:
    """Submit eight orders ``number`` times; what was not as it should be."""
    directory.mkdir(parents=True)
    dice = random.Random(limit.rule)
    wrong: list[str] = []
    path = RacePath(
        directory,
        risk=RiskConfig(**(WIDE | limit.settings)),
        prices=PRICES,
        compliance=WIDE_DAY,  # all rounds are of one day
    )

    async def slow() -> None:
        await asyncio.sleep(dice.choice([0.0, 0.002]))

    path.client.before_wire = slow
    orders = OrderThread()

    def run(work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run(orders.call(work))

    run(path.service.start())
    try:
        for turn in range(number):
            rests = dice.random() < 0.5
            symbols = [COINS[0] if limit.same_symbol else coin for coin in COINS]
            proposals = [
                path.proposal(
                    f"{coin}USDT",
                    f"{turn}-{index}",
                    notional=Decimal(limit.notional),
                    limit_price=Decimal("99.5") if rests else None,
                )
                for index, coin in enumerate(symbols)
            ]
            sent = len(path.client.submitted)
            results = submit(orders, [path.service.propose(proposal) for proposal in proposals])
            entries = [r for r in path.client.submitted[sent:] if r.purpose.increases_risk]
            if (complaint := judge(results, entries, limit)) is not None:
                wrong.append(f"round {turn}: {complaint}")
            run(clear(path, proposals, results))
    finally:
        run(path.service.stop())
        path.breaker.close()
        path.database().close()
        orders.stop()
    return wrong


def judge(results: list[ProposalResult], entries: list[Any], limit: Limit) -> str | None:
    outcomes = Counter(result.outcome for result in results)
    if outcomes != {ProposalOutcome.ACCEPTED: 1, ProposalOutcome.REFUSED: ORDERS - 1}:
        return f"{dict(outcomes)}, rules {Counter(result.rule for result in results)}"
    if len(entries) != 1:
        return f"{len(entries)} orders reached the venue"
    rules = {result.rule for result in results if result.outcome is ProposalOutcome.REFUSED}
    return None if rules == {limit.rule} else f"refused by {rules}"


async def clear(
    path: OrderPath, proposals: list[TradeProposal], results: list[ProposalResult]
) -> None:
    """Back to an empty account, a minute later."""
    for proposal, result in zip(proposals, results, strict=True):
        if result.outcome is not ProposalOutcome.ACCEPTED:
            continue
        assert result.client_order_id is not None
        await path.service.cancel(result.client_order_id, "the round is over")
        await path.service.close_position(proposal.symbol, "the round is over")
    path.clock.advance_to(path.clock.now_ms() + MINUTE_MS + 1)
    portfolio = await path.service.portfolio()
    assert portfolio.reserved_exposure == 0
    assert not portfolio.positions


@pytest.mark.parametrize("name", LIMITS)
def test_of_eight_orders_at_once_exactly_one_passes(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit, number = LIMITS[name], rounds(15, 1_000)
    wrong: list[str] = []
    for submit in (at_once, as_tasks):
        wrong += wrong_rounds(limit, submit, tmp_path / submit.__name__, number)
    assert not wrong, "\n".join(wrong[:10])

    monkeypatch.setattr(RiskLimits, "reserve", CheckOnly.reserve)
    caught = 0
    for submit in (at_once, as_tasks):
        broken = wrong_rounds(limit, submit, tmp_path / f"broken-{submit.__name__}", 5)
        assert broken, f"nobody noticed, with {submit.__name__}"
        caught += len(broken)
    record(
        Held(
            section=SECTION,
            guarantee=f"of eight orders of 60 % of a limit at once, one passes: {name}",
            trials=2 * number,
            unit="rounds, from threads and as tasks",
            violations=len(wrong),
            mutant="a check without a reservation",
            caught=f"{caught} of 10 rounds let more than one pass",
        )
    )
