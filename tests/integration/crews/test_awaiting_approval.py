"""Mode semi-auto: a run whose entry waits for a person says so, and what became of it later."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from crew_stage import Stage, crew_stage
from live_instance import eventually

from trading.api.operator_client import OperatorClient
from trading.api.schemas import OperatorCommand, ResumeCommand
from trading.model.decision import SpikeRunStatus
from trading.model.operations import ApprovalStatus
from trading.node.instance import RuntimePaths

TIMEOUT_S = 30.0


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("approvals")
    waiting = {"compliance__approval_mode": "semi-auto", "compliance__approval_timeout_s": 60.0}
    with crew_stage(folder, **waiting) as built:
        yield built


@pytest.fixture
def operator(stage: Stage) -> Iterator[OperatorClient]:
    paths = RuntimePaths(Path(stage.core.config.api.runtime_directory))
    with OperatorClient(paths.operator_socket) as client:
        yield client


def asked(stage: Stage, operator: OperatorClient, *, reported: bool = True) -> tuple[str, int, Any]:
    """A run that ends in a question: the spike's id, the approval's, and the run's report."""
    stage.begin()
    claim = stage.claim()
    report = stage.crew().run(claim)
    assert report.status is SpikeRunStatus.AWAITING_APPROVAL, report
    if reported:
        stage.core.worker.finish_spike_run(report)
    (waiting,) = [
        one
        for one in operator.approvals()
        if one.proposal.spike_id == claim.spike.id and one.status is ApprovalStatus.PENDING
    ]
    assert f"approval {waiting.id} waits for a person until" in report.reason
    assert stage.orders == 0
    return claim.spike.id, waiting.id, report


def row(stage: Stage, spike_id: str) -> tuple[str, str]:
    """Status and note of the spike's row."""
    store = sqlite3.connect(f"{stage.core.config.storage.path.as_uri()}?mode=ro", uri=True)
    try:
        found = store.execute("SELECT status, note FROM spike_events WHERE id = ?", (spike_id,))
        status, note = found.fetchone()
        return status, note
    finally:
        store.close()


def becomes(stage: Stage, spike_id: str, status: str, note: str) -> None:
    def is_so() -> bool:
        now = row(stage, spike_id)
        return now[0] == status and note in now[1]

    eventually(is_so, TIMEOUT_S, f"{spike_id} is {status}: {note}")


def test_rows_say_that_it_waits_and_that_it_was_approved(
    stage: Stage, operator: OperatorClient
) -> None:
    spike_id, approval_id, _ = asked(stage, operator)
    assert row(stage, spike_id)[0] == "analyzed"
    assert f"approval {approval_id} waits for a person" in row(stage, spike_id)[1]
    store = sqlite3.connect(stage.core.config.storage.path)
    decided = "SELECT decision, output_data FROM agent_decisions WHERE spike_event_id = ? AND "
    decision, output = store.execute(
        decided + "decision_type = 'execution'", (spike_id,)
    ).fetchone()
    store.close()
    assert decision == "await_approval"
    assert json.loads(output)["rejected_because"] == []
    approved = operator.approve(approval_id, ResumeCommand(reason="looks fine"))
    assert approved.result is not None
    order_id = approved.result.client_order_id
    becomes(stage, spike_id, "traded", f"approved by the operator: order {order_id}")
    assert stage.orders == 1


def test_a_row_says_that_a_person_refused_it(stage: Stage, operator: OperatorClient) -> None:
    spike_id, approval_id, _ = asked(stage, operator)
    operator.refuse(approval_id, OperatorCommand(reason="not today"))
    becomes(stage, spike_id, "analyzed", f"approval {approval_id} refused: not today")
    assert stage.orders == 0


def test_a_row_says_that_the_venue_or_the_checks_refused_what_was_approved(
    stage: Stage, operator: OperatorClient
) -> None:
    spike_id, approval_id, _ = asked(stage, operator)
    stage.trip()
    operator.approve(approval_id, ResumeCommand(reason="go on"))
    becomes(stage, spike_id, "analyzed", f"approval {approval_id} given, but")
    stage.clear()
    assert stage.orders == 0


def test_a_person_who_is_faster_than_the_report_is_not_forgotten(
    stage: Stage, operator: OperatorClient
) -> None:
    spike_id, approval_id, report = asked(stage, operator, reported=False)
    desk = stage.core.core.parts.spikes
    desk._claimed[spike_id] = (None, 2**62)  # type: ignore[assignment] # only its key is looked at
    operator.refuse(approval_id, OperatorCommand(reason="too late today"))
    becomes(stage, spike_id, "analyzed", "refused: too late today")
    stage.core.worker.finish_spike_run(report)
    becomes(stage, spike_id, "analyzed", "refused: too late today")


def test_a_row_says_that_nobody_decided_in_time(stage: Stage, operator: OperatorClient) -> None:
    spike_id, approval_id, _ = asked(stage, operator)
    compliance = stage.core.core.parts.execution._parts.compliance
    late = stage.core.clock.now_ms() + 3_600_000
    stage.core._main.run(_on_order_loop(stage, lambda: compliance.expire(late)))
    becomes(stage, spike_id, "analyzed", f"approval {approval_id} expired")


async def _on_order_loop(stage: Stage, work: Any) -> None:
    async def done() -> None:
        work()

    await stage.core.core.parts.orders.call(done())
