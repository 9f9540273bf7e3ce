"""``trace`` and ``execution-quality``, over a store that a real order path has written."""

from __future__ import annotations

import json
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from order_path import OrderPath

from crews.cli.app import run
from trading.model.decision import AgentDecision, ToolExecution
from trading.model.futures import FundingPayment
from trading.storage.config import StorageConfig
from trading.storage.database import open_database
from trading.storage.decision_repository import DecisionRepository
from trading.storage.funding_repository import FundingRepository
from trading.storage.tool_execution_repository import ToolExecutionRepository


async def traded(directory: Path) -> str:
    """Decide, buy, rise, take the profit; returns the entry's id."""
    async with OrderPath(directory) as path:
        proposal = path.proposal(confidence=0.1)
        await path.service.propose(proposal)  # refused first, for too little confidence
        good = proposal.model_copy(update={"confidence": 0.9})
        now_ms = path.clock.now_ms()
        with path.database() as connection:
            DecisionRepository(connection).record(
                AgentDecision(
                    agent_name="risk_assessor",
                    agent_role="risk",
                    decision_type="risk_evaluation",
                    decision="enter",
                    confidence=0.9,
                    reasoning="small and liquid",
                    input_data={"spike": good.spike_id},
                    output_data={"size": 1000},
                    execution_time_ms=1.0,
                    spike_event_id=good.spike_id,
                ),
                now_ms,
            )
            ToolExecutionRepository(connection).record(
                ToolExecution(
                    tool_name="evaluate_trade_risk",
                    agent_name="risk_assessor",
                    tool_class="analyse",
                    arguments={"notional": 1000},
                    result={"approved": True},
                    ok=True,
                    breaker_status="SAFE",
                    breaker_epoch=0,
                    execution_time_ms=1.0,
                    spike_event_id=good.spike_id,
                ),
                now_ms,
            )
        result = await path.service.propose(good)
        await path.tick("BTCUSDT", 52_500.0)
        assert result.client_order_id is not None
        return result.client_order_id


def answer(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> tuple[int, Any]:
    code = run([*arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


async def test_an_orders_chain_goes_from_the_spike_to_the_profit(
    tmp_path: Path, config: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    entry_id = await traded(tmp_path)
    code, chain = answer(capsys, [*config, "trace", entry_id])
    assert code == 0
    assert chain["spike"]["trading_pair"] == "BTCUSDT"
    assert [row["decision"] for row in chain["decisions"]] == ["enter"]
    assert chain["decisions"][0]["output_data"] == {"size": 1000}
    assert [row["result"] for row in chain["tools"]] == [{"approved": True}]
    assert [row["rule"] for row in chain["refusals"]] == ["min_confidence"]
    purposes = [one["order"]["request"]["purpose"] for one in chain["orders"]]
    assert purposes == ["ENTRY", "PROTECTIVE_STOP", "TAKE_PROFIT"]
    bought, _, sold = chain["orders"]
    paid = sum(Decimal(f["price"]) * Decimal(f["quantity"]) for f in bought["fills"])
    received = sum(Decimal(f["price"]) * Decimal(f["quantity"]) for f in sold["fills"])
    fees = Decimal(chain["trade"]["fees"])
    assert chain["position"] is None
    assert chain["trade"]["exit_reason"] == "take_profit"
    assert abs(Decimal(chain["trade"]["pnl"]) - (received - paid - fees)) < fees
    quality = bought["quality"]
    assert Decimal(quality["decision_price"]) == 50_000
    expected = (Decimal(quality["average_price"]) / 50_000 - 1) * 10_000
    assert abs(Decimal(quality["slippage_bp"]) - expected) < Decimal("0.01")
    assert Decimal(quality["fill_rate"]) == 1


async def test_any_order_of_a_position_and_any_beginning_of_an_id_leads_to_the_chain(
    tmp_path: Path, config: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    entry_id = await traded(tmp_path)
    _, chain = answer(capsys, [*config, "trace", entry_id])
    stop = chain["orders"][1]["order"]
    for name in (
        stop["request"]["client_order_id"],
        stop["request"]["client_order_id"][:14],
        stop["venue_order_id"],
    ):
        code, other = answer(capsys, [*config, "trace", name])
        assert code == 0
        assert other["orders"] == chain["orders"]


async def test_people_read_the_chain_in_its_order(
    tmp_path: Path, config: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    entry_id = await traded(tmp_path)
    assert run([*config, "trace", entry_id]) == 0
    text = capsys.readouterr().out
    headings = ["spike spk-", "decisions", "tool results", "risk events", "entry sg-", "profit"]
    places = [text.index(heading) for heading in headings]
    assert places == sorted(places)
    assert "asked about" in text
    told = text[text.index("profit and loss") :].splitlines()
    amounts = [line.split()[-1] for line in told if line.split()[:1] in (["fees"], ["profit"])][-2:]
    assert len(amounts) == 2
    assert not any(amount.endswith("0") and "." in amount for amount in amounts), amounts


async def test_an_unknown_order_is_not_found(
    tmp_path: Path, config: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    await traded(tmp_path)
    assert answer(capsys, [*config, "trace", "nobody"])[0] == 2
    code, error = answer(capsys, [*config, "trace", "sg-"])
    assert (code, error["error"]) == (2, "OrderNotFoundError")
    assert "more than one" in error["message"]


async def test_execution_quality_sums_up_by_purpose(
    tmp_path: Path, config: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    entry_id = await traded(tmp_path)
    _, chain = answer(capsys, [*config, "trace", entry_id])
    code, summary = answer(capsys, [*config, "execution-quality"])
    assert code == 0
    by_purpose = {one["purpose"]: one for one in summary["purposes"]}
    assert by_purpose["ENTRY"]["orders"] == 1
    entry = chain["orders"][0]["quality"]["slippage_bp"]
    assert Decimal(by_purpose["ENTRY"]["slippage_bp"]) == Decimal(entry)
    assert by_purpose["PROTECTIVE_STOP"]["filled"] == 0
    assert run([*config, "execution-quality"]) == 0


async def test_what_holding_a_future_cost_is_part_of_its_chain(
    tmp_path: Path, config: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    entry_id = await traded(tmp_path)
    assert run([*config, "trace", entry_id]) == 0
    assert "funding" not in capsys.readouterr().out, "nothing is said where nothing was paid"
    paid = [
        FundingPayment(id=name, symbol="BTCUSDT", asset="USDT", amount=Decimal(amount), time_ms=at)
        for name, amount, at in (("f1", "-1.25", 1), ("f2", "-2.25", 2))
    ]
    with closing(open_database(StorageConfig(path=tmp_path / "store.sqlite3"))) as connection:
        (venue,) = connection.execute("SELECT venue FROM orders LIMIT 1").fetchone()
        for payment in paid:
            FundingRepository(connection, venue).add(payment, entry_id)
        FundingRepository(connection, "another").add(paid[0], entry_id)
    _, chain = answer(capsys, [*config, "trace", entry_id])
    assert [row["amount"] for row in chain["funding"]] == ["-1.25", "-2.25"]
    assert run([*config, "trace", entry_id]) == 0
    text = capsys.readouterr().out
    assert text.index("f2") < text.index("profit and loss") < text.index("-3.50")
