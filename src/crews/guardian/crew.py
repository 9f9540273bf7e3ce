"""The guardian crew: assesses the market all the time, and reports on every trip.

The core's own detector trips the breaker without asking anybody. This crew looks for what numbers
do not show, warns early, and writes down what happened.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict

from agents import market_guardian
from agents.config import AgentsConfig
from agents.llm import crew_errors
from agents.llm_choice import choose_llm
from agents.outputs import AgentOutput, GuardianAssessment, IncidentReport
from agents.prompt_data import data_block
from agents.prompts import load_packaged_yaml
from crews.crew_config import GuardianCrewConfig
from crews.decisions import build_decision, output_of, record_activity, record_decision
from crews.quiet_crew import QuietCrew
from crews.run_guard import RunGuard
from crews.task_specs import TaskSpec, build_task
from tools.circuit_breaker_tools import breaker_fields
from tools.framework import ConditionalTask, HookAborted, Task
from tools.run_context import RunContext, run_scope
from trading.api.client import TradingClient
from trading.errors import CrewError
from trading.model.breaker import BreakerSnapshot, BreakerStatus
from trading.model.metrics import MarketSnapshot

_CREW = "guardian"
_ACTED_BY = {"warn": "set_circuit_breaker_warning", "trip": "trigger_circuit_breaker"}


class GuardianTasks(BaseModel):
    """tasks.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    guardian_assessment: TaskSpec
    incident_report: TaskSpec


@cache
def load_tasks() -> GuardianTasks:
    """Raises ConfigurationError."""
    return load_packaged_yaml("crews.guardian", "tasks.yaml", GuardianTasks)


@dataclass(frozen=True, slots=True)
class _Warm:
    crew: QuietCrew
    assessment: Task
    report: ConditionalTask


class GuardianCrew:
    """One warm crew; ``assess`` blocks and must not run on a thread with an event loop."""

    def __init__(
        self,
        client: TradingClient,
        agents: AgentsConfig,
        config: GuardianCrewConfig,
        *,
        environment: Mapping[str, str] | None = None,
        market_symbol: str = "BTCUSDT",
    ) -> None:
        self._client = client
        self._agents = agents
        self._config = config
        self._environment = os.environ if environment is None else environment
        self._market_symbol = market_symbol
        self._decided_by = choose_llm(agents.llm, self._environment).label
        self._busy = threading.Lock()
        self._warm: _Warm | None = None
        self._reported_epoch: int | None = None

    def warm_up(self) -> None:
        """Build the crew now. Raises ConfigurationError."""
        if self._warm is None:
            self._warm = self._build()

    def assess(self, occasion: str) -> GuardianAssessment:
        """One assessment, and after a trip its incident report.

        Raises:
            CrewError: it was stopped (deadline, budget) or did not answer in the right form.
            ControlApiError: the core does not answer.
        """
        with self._busy, crew_errors(_CREW):
            return self._assess(occasion)

    def _assess(self, occasion: str) -> GuardianAssessment:
        snapshot, market = self._client.breaker_snapshot(), self._client.market()
        now_ms = self._client.now_ms()
        run = RunContext(
            crew=_CREW,
            epoch=snapshot.epoch,
            deadline_ms=now_ms + int(self._config.deadline_s * 1000),
        )
        guard = RunGuard(
            self._client, run, max_model_calls=self._config.max_model_calls, stops_on_trip=False
        )
        self.warm_up()
        warm, finished = self._warm, False
        assert warm is not None
        warm.assessment.output = warm.report.output = None
        warm.report.condition = lambda _output: self._report_due(snapshot)
        facts = {
            "breaker": breaker_fields(snapshot),
            "market": _market_fields(market),
            "btc_symbol": self._market_symbol,
            "occasion": occasion,
        }
        blocks = {name: data_block(name, value) for name, value in facts.items()}
        try:
            with run_scope(run), guard.hooks():
                warm.crew.kickoff(inputs=blocks)
            finished = True
        except HookAborted as stop:
            raise CrewError(f"guardian stopped: {stop.reason}") from stop
        finally:
            if not finished:
                self._warm = None
            problems = _problems(output_of(warm.assessment), run)
            self._record(warm, snapshot, facts, problems)
        assessment = output_of(warm.assessment)
        if not isinstance(assessment, GuardianAssessment) or problems:
            raise CrewError(f"guardian's answer is not accepted: {'; '.join(problems)}")
        return assessment

    def _report_due(self, snapshot: BreakerSnapshot) -> bool:
        halted = snapshot.status is BreakerStatus.TRIGGERED
        return halted and snapshot.epoch != self._reported_epoch

    def _build(self) -> _Warm:
        specs, owner = load_tasks(), market_guardian.SPEC
        agent = owner.create(self._agents, self._environment)
        assessment = build_task(
            "guardian_assessment", specs.guardian_assessment, owner, agent, self._client
        )
        report = build_task(
            "incident_report",
            specs.incident_report,
            owner,
            agent,
            self._client,
            context=[assessment],
            conditional=True,
        )
        assert isinstance(report, ConditionalTask)
        return _Warm(QuietCrew.of("guardian", [agent], [assessment, report]), assessment, report)

    def _record(
        self,
        warm: _Warm,
        snapshot: BreakerSnapshot,
        facts: dict[str, Any],
        problems: list[str],
    ) -> None:
        name = market_guardian.SPEC.name
        # A halt that this very assessment brought about belongs to it, too.
        event_id = snapshot.event_id or self._client.breaker_snapshot().event_id
        for task in (warm.assessment, warm.report):
            decision = build_decision(
                task,
                name,
                decided_by=self._decided_by,
                problems=problems if task is warm.assessment else (),
                input_data={"occasion": facts["occasion"], "breaker": facts["breaker"]},
                breaker_event_id=event_id,
            )
            record_decision(self._client, decision)
        assessment, report = output_of(warm.assessment), output_of(warm.report)
        if isinstance(assessment, GuardianAssessment) and not problems:
            level = "info" if assessment.action == "none" else "notice"
            share = f"worst metric at {assessment.share_of_limit:.0%} of its limit"
            record_activity(self._client, _CREW, f"{assessment.decision}: {share}", level)
        if isinstance(report, IncidentReport):
            self._reported_epoch = snapshot.epoch
            text = f"incident report: {report.title}. {report.recommendation}"
            record_activity(self._client, _CREW, text, "warning")


def _market_fields(market: MarketSnapshot) -> dict[str, Any]:
    return {
        "healthy": market.healthy,
        "problem": market.problem,
        "worst_metric": market.worst.name if market.worst else None,
        "share_of_limit": round(market.share_of_limit, 4),
        "breadth_falling": market.breadth_falling,
        "breadth_tracked": market.breadth_tracked,
        "metrics": {m.name: round(m.value, 4) for m in market.metrics if m.ready},
    }


def _problems(output: AgentOutput | None, run: RunContext) -> list[str]:
    """Claims of the assessment that no recorded tool result bears out."""
    if not isinstance(output, GuardianAssessment):
        return ["gave no answer of the right form"]
    problems = []
    tool = _ACTED_BY.get(output.action)
    if tool is not None and run.last(tool) is None:
        problems.append(f"claims to have used {tool}, which is not on record")
    drawdown = run.last("calculate_market_drawdown")
    if drawdown is not None and abs(drawdown["share_of_limit"] - output.share_of_limit) > 0.01:
        problems.append(
            f"claims {output.share_of_limit} of a limit, recorded is {drawdown['share_of_limit']}"
        )
    return problems
