"""The guardian crew: assesses the market all the time, and reports on every trip.

The core's own detector trips the breaker without asking anybody. This crew looks for what numbers
do not show, warns early, says where recovery stands, and writes down what happened. When its model
fails, is out of budget, or claims what is not on record, the built-in rules assess in its place.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import Any

from agents.config import AgentsConfig
from agents.llm import crew_errors
from agents.model_config import LlmProvider, ModelConfig
from agents.outputs import GuardianAssessment, IncidentReport, RecoveryAssessment
from agents.prompt_data import data_block
from crews.crew_config import GuardianCrewConfig
from crews.crew_run import CrewRun
from crews.decisions import build_decision, output_of, record_activity, record_decision
from crews.guardian import tasks as guardian_tasks
from crews.guardian.tasks import OWNER, WarmGuardian
from tools.circuit_breaker_tools import breaker_fields
from tools.framework import HookAborted
from tools.run_context import RunContext
from trading.api.client import TradingClient
from trading.errors import CrewError
from trading.model.breaker import BreakerSnapshot, BreakerStatus
from trading.model.metrics import MarketSnapshot

_CREW = "guardian"


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
        self._prompts = guardian_tasks.prompt_set()
        self._busy = threading.Lock()
        self._warm: WarmGuardian | None = None
        self._rules: WarmGuardian | None = None
        self._reported_epoch: int | None = None

    def warm_up(self) -> None:
        """Build the crew now, and the rules that step in for it. Raises ConfigurationError."""
        if self._warm is None:
            self._warm = self._build(self._agents)
        if self._rules is None and not self._warm.is_rules:
            own = self._agents.market_guardian.model_copy(
                update={"llm": ModelConfig(provider=LlmProvider.RULE)}
            )
            self._rules = self._build(self._agents.model_copy(update={"market_guardian": own}))

    def assess(self, occasion: str) -> GuardianAssessment:
        """One assessment; while halted the state of recovery, and after a trip its report.

        Raises:
            CrewError: the rules, too, were stopped (deadline) or gave no valid answer.
            ControlApiError: the core does not answer.
        """
        with self._busy, crew_errors(_CREW):
            self.warm_up()
            warm = self._warm
            assert warm is not None
            if warm.is_rules:
                return self._assess(warm, occasion)
            try:
                return self._assess(warm, occasion)
            except CrewError as failure:
                text = f"the rules assess in place of {warm.label}: {failure}"
                record_activity(self._client, _CREW, text, "warning")
                self.warm_up()  # what the failed run left in use, and rules left so before
                assert self._rules is not None
                return self._assess(self._rules, occasion)

    def _assess(self, warm: WarmGuardian, occasion: str) -> GuardianAssessment:
        snapshot, market = self._client.breaker_snapshot(), self._client.market()
        context = RunContext(
            crew=_CREW,
            epoch=snapshot.epoch,
            deadline_ms=self._client.now_ms() + int(self._config.deadline_s * 1000),
        )
        run = CrewRun.of(
            self._client,
            context,
            self._agents.llm.budgets,
            max_model_calls=self._config.max_model_calls,
            prompt_hashes=self._prompts.hashes,
            stops_on_trip=False,
        )
        for task in warm.tasks:
            task.output = None
        halted = snapshot.status in (BreakerStatus.TRIGGERED, BreakerStatus.RECOVERING)
        warm.recovery.condition = lambda _output: halted
        warm.report.condition = lambda _output: self._report_due(snapshot)
        facts = {
            "breaker": breaker_fields(snapshot),
            "market": _market_fields(market),
            "btc_symbol": self._market_symbol,
            "occasion": occasion,
        }
        run.state.facts.update(facts)
        blocks = {name: data_block(name, value) for name, value in facts.items()}
        finished = False
        try:
            with crew_errors(_CREW), run.scope(), run.guard.hooks():
                warm.crew.kickoff(inputs=blocks)
            finished = run.state.is_reusable
        except HookAborted as stop:
            raise CrewError(f"guardian stopped: {stop.reason}") from stop
        finally:
            if not finished:
                self._forget(warm)
            self._record(warm, run, snapshot, facts)
        name = warm.assessment.name or ""
        assessment, problems = output_of(warm.assessment), run.state.problems(name)
        if (failure := run.state.failure(name)) is not None:
            raise CrewError(f"guardian failed: {failure}")
        if not isinstance(assessment, GuardianAssessment) or problems:
            raise CrewError(f"guardian's answer is not accepted: {'; '.join(problems)}")
        return assessment

    def _forget(self, warm: WarmGuardian) -> None:
        """A stopped run may still be winding down in its own threads: build anew next time."""
        if warm is self._warm:
            self._warm = None
        else:
            self._rules = None

    def _report_due(self, snapshot: BreakerSnapshot) -> bool:
        halted = snapshot.status is BreakerStatus.TRIGGERED
        return halted and snapshot.epoch != self._reported_epoch

    def _build(self, agents: AgentsConfig) -> WarmGuardian:
        return guardian_tasks.build_guardian(self._client, agents, self._environment)

    def _record(
        self, warm: WarmGuardian, run: CrewRun, snapshot: BreakerSnapshot, facts: dict[str, Any]
    ) -> None:
        # A halt that this very assessment brought about belongs to it, too.
        event_id = snapshot.event_id or self._client.breaker_snapshot().event_id
        for task in warm.tasks:
            decision = build_decision(
                task,
                OWNER.name,
                run,
                self._prompts,
                label=warm.label,
                input_data={"occasion": facts["occasion"], "breaker": facts["breaker"]},
                breaker_event_id=event_id,
            )
            record_decision(self._client, decision)
            output = output_of(task)
            if output is None or run.state.problems(task.name or ""):
                continue
            match output:
                case GuardianAssessment():
                    level = "info" if output.action == "none" else "notice"
                    share = f"worst metric at {output.share_of_limit:.0%} of its limit"
                    record_activity(self._client, _CREW, f"{output.decision}: {share}", level)
                case RecoveryAssessment():
                    unmet = f": {', '.join(output.unmet)}" if output.unmet else ""
                    record_activity(self._client, _CREW, f"recovery: {output.decision}{unmet}")
                case IncidentReport():
                    self._reported_epoch = snapshot.epoch
                    text = f"incident report: {output.title}. {output.recommendation}"
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
