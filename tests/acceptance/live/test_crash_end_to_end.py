"""A crash, whole: exchange server, python-binance, feed, trip, sweep, refusal, recovery, re-entry.

Exchange and core are processes of their own and talk over loopback; the test stands in for the
crew worker, on the workers' socket, with a real spike crew on the built-in rules. Market time runs
sixty times as fast as the wall, so that an hour's halt passes in a minute.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from live_instance import LiveInstance, eventually, live_instance

from crews.spike_trading.crew import SpikeTradingCrew
from trading.api.schemas import RecoverCommand, SpikeClaim
from trading.errors import IllegalTransitionError
from trading.model.breaker import BreakerStatus, Latch
from trading.model.decision import (
    ProposalOutcome,
    ProposalResult,
    SpikeRunReport,
    SpikeRunStatus,
    TradeProposal,
)
from trading.model.order import OrderStatus, OrderType

SPEED = 60.0
TEN_MINUTES_MS = 600_000
PUMPS = 5
PUMP_WAIT_S = 12.0
LONG_MS = 3_000_000  # of market time: less than a minute for a busy machine


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[LiveInstance]:
    with live_instance(
        tmp_path,
        speed=SPEED,
        with_workers=False,
        spike_detection__enabled=True,
        crash_detection__stale_after_ms=TEN_MINUTES_MS,
        spike_detection__min_z_score=5.0,  # next to a crash, hardly any pump is a rare move
        circuit_breaker__cooldown_minutes=1.0,
        circuit_breaker__stage_minutes=3.0,
        agents__policy__max_slippage_pct=10.0,  # the pump goes on for a minute, one second here
        crews__spike_trading__max_spike_age_s=590.0,
        crews__spike_trading__run_deadline_s=600.0,
        crews__spike_trading__proposal_ttl_s=120.0,
        risk__price_collar_pct=20.0,
        risk__max_spike_age_ms=LONG_MS,
        risk__max_decision_horizon_ms=LONG_MS,
        execution__entry_time_to_live_ms=LONG_MS,
    ) as running:
        yield running


@pytest.mark.timeout(400)
def test_a_crash_is_survived_from_the_first_entry_to_the_re_entry_at_reduced_size(
    instance: LiveInstance, tmp_path: Path
) -> None:
    crew = SpikeTradingCrew(
        instance.worker,
        instance.loaded.config.agents,
        instance.loaded.config.crews.spike_trading,
        environment={},
    )
    crew.warm_up()

    first = pump_and_trade(instance, crew, "SOLUSDT")
    full_size = notional_of(instance, "SOLUSDT")
    assert first.status is SpikeRunStatus.TRADED
    stops = [o for o in instance.received_orders() if o["params"]["type"].startswith("STOP_LOSS")]
    assert stops, "every entry has a protective stop on the exchange"

    resting = rest_an_entry(instance, "ADAUSDT")
    assert resting.outcome is ProposalOutcome.ACCEPTED

    instance.shock("all", -17.0, duration_s=240)
    halted = eventually(
        lambda: snapshot if (snapshot := instance.worker.breaker_snapshot()).epoch else None,
        60,
        "the crash trips the breaker",
    )
    assert halted.status is BreakerStatus.TRIGGERED
    assert halted.latch is Latch.NONE
    entries_at_trip = entries(instance)

    eventually(
        lambda: resting.client_order_id not in open_order_ids(instance),
        60,
        "the sweep cancels the resting entry",
    )
    refused = propose(instance, "ADAUSDT", epoch=halted.epoch)
    assert refused.outcome is ProposalOutcome.REFUSED
    with pytest.raises(IllegalTransitionError):
        instance.worker.recover(RecoverCommand(reason="let me trade", epoch=halted.epoch))

    # Away from the limits of the four-hour windows, which would break the recovery again.
    instance.shock("all", 5.0, duration_s=240)
    eventually(
        lambda: instance.worker.breaker_snapshot().status is BreakerStatus.RECOVERING,
        240,
        "the rules start the recovery",
    )
    assert entries(instance) == entries_at_trip, "no entry reached the exchange while halted"
    eventually(lambda: instance.worker.breaker_snapshot().stage == 1, 120, "stage 1")
    again = pump_and_trade(instance, crew, "DOGEUSDT")
    assert again.status is SpikeRunStatus.TRADED, again.reason
    reduced = notional_of(instance, "DOGEUSDT")
    assert reduced < full_size * Decimal("0.6"), (reduced, full_size)
    check_the_record(tmp_path / "store.sqlite3", resting)


def pump_and_trade(instance: LiveInstance, crew: SpikeTradingCrew, symbol: str) -> SpikeRunReport:
    """Pump ``symbol`` by 6 % and let the crew have the spike."""
    report = crew.run(pumped(instance, symbol))
    instance.worker.finish_spike_run(report)
    return report


def pumped(instance: LiveInstance, symbol: str) -> SpikeClaim:
    """A spike of ``symbol``, pumped again until it is one: on a busy machine the market's trades
    come in lumps, and one pump may not stand out from them."""
    for _ in range(PUMPS):
        instance.shock(symbol, 6.0, duration_s=60)
        until_s = time.monotonic() + PUMP_WAIT_S
        while time.monotonic() < until_s:
            found = instance.worker.claim_spike("test", 0.5)
            if found is not None and found.spike.symbol == symbol and found.spike.magnitude_pct > 0:
                return found
    raise AssertionError(f"no spike of {symbol} after {PUMPS} pumps")


def rest_an_entry(instance: LiveInstance, symbol: str) -> ProposalResult:
    """An entry below the market, so that it rests."""
    claim = pumped(instance, symbol)
    return propose(instance, symbol, epoch=claim.epoch, spike_id=claim.spike.id, below_pct=14.0)


def propose(
    instance: LiveInstance,
    symbol: str,
    *,
    epoch: int,
    spike_id: str = "spk-none",
    below_pct: float = 0.0,
) -> ProposalResult:
    now_ms = instance.worker.now_ms()
    price = instance.worker.symbol_stats(symbol).last_price * (1 - below_pct / 100)
    return instance.worker.propose_trade(
        TradeProposal(
            spike_id=spike_id,
            symbol=symbol,
            entry_type=OrderType.LIMIT,
            limit_price=Decimal(f"{price:.4f}"),
            notional=Decimal(500),
            stop_loss_pct=3.0,
            take_profit_pct=6.0,
            confidence=0.9,
            epoch=epoch,
            decided_at_ms=now_ms,
            deadline_ms=now_ms + LONG_MS // 2,
            reasoning="test",
        )
    )


def entries(instance: LiveInstance) -> int:
    """Buy orders that arrived at the exchange's socket."""
    return sum(order["params"]["side"] == "BUY" for order in instance.received_orders())


def open_order_ids(instance: LiveInstance) -> set[str]:
    return {
        order.client_order_id
        for order in instance.operator.portfolio().open_orders
        if order.status is not OrderStatus.CANCELED
    }


def notional_of(instance: LiveInstance, symbol: str) -> Decimal:
    """What the first entry of ``symbol`` was sent with, quantity × price."""
    received = (order["params"] for order in instance.received_orders())
    order = next(params for params in received if params["symbol"] == symbol)
    price = order.get("price") or instance.worker.symbol_stats(symbol).last_price
    return Decimal(str(order["quantity"])) * Decimal(str(price))


def check_the_record(store: Path, resting: ProposalResult) -> None:
    """The store tells the same story."""
    connection = sqlite3.connect(store)
    try:
        trips = connection.execute(
            "SELECT btc_price_at_trigger, orders_cancelled FROM circuit_breaker_events"
            " WHERE kind = 'trip'"
        ).fetchall()
        status = connection.execute(
            "SELECT status FROM orders WHERE client_order_id = ?", (resting.client_order_id,)
        ).fetchone()
        decisions = connection.execute("SELECT count(*) FROM agent_decisions").fetchone()[0]
        tools = connection.execute("SELECT count(*) FROM tool_executions").fetchone()[0]
    finally:
        connection.close()
    assert len(trips) == 1
    assert trips[0][0] is not None
    assert trips[0][1] >= 1
    assert status == ("CANCELED",)
    assert decisions >= 8
    assert tools >= 8
