"""The look back at closed trades: one task of the risk assessor, its finding beside the spike.

What it finds is for people and statistics. Its words are never read back to an agent.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache

from pydantic import BaseModel, ConfigDict

from agents import risk_assessor
from agents.config import AgentsConfig
from agents.llm import crew_errors
from agents.llm_choice import choose_models
from agents.models.recording import recorder_of
from agents.outputs import AgentOutput, PostTradeAnalysis, as_record
from agents.prompt_data import data_block
from agents.prompts import load_versioned_yaml, prompts_version
from agents.run_state import current_state
from crews.crew_config import PostTradeConfig
from crews.crew_run import CrewRun
from crews.decisions import PromptSet, build_decision, output_of, record_decision
from crews.guardrails import guardrail_of
from crews.quiet_crew import QuietCrew
from crews.task_specs import TaskSpec, build_task, prompt_hash_of
from tools.framework import HookAborted, Task
from tools.run_context import RunContext
from trading.api.client import TradingClient
from trading.errors import CrewError
from trading.model.review import TradeReview, TradeToReview

_CREW = "post_trade"
_NAME = "post_trade_analysis"
_OWNER = risk_assessor.SPEC
_TOLERANCE = 0.01  # of a per cent: agents may round


class PostTradeTasks(BaseModel):
    """tasks.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    post_trade_analysis: TaskSpec


def load_tasks() -> PostTradeTasks:
    """Raises ConfigurationError."""
    return _load()[0]


@cache
def _load() -> tuple[PostTradeTasks, int]:
    return load_versioned_yaml("crews.post_trade", "tasks.yaml", PostTradeTasks)


class PostTradeCrew:
    """One at a time; ``review_next`` blocks and must not run on a thread with an event loop."""

    def __init__(
        self,
        client: TradingClient,
        agents: AgentsConfig,
        config: PostTradeConfig,
        *,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._client = client
        self._agents = agents
        self._config = config
        self._environment = os.environ if environment is None else environment
        specs, version = _load()
        self._spec = specs.post_trade_analysis
        digest = prompt_hash_of(_NAME, self._spec, _OWNER)
        self._prompts = PromptSet(f"{prompts_version()}.{version}", {_NAME: digest})
        self._label = choose_models(agents, self._environment, _OWNER.settings(agents))[0].label
        self._recorder = recorder_of(agents.llm)
        self._warm: tuple[QuietCrew, Task] | None = None

    def review_next(self) -> bool:
        """Look back at the oldest trade that waits; False when none does.

        Raises:
            ControlApiError: the core does not answer.
        """
        if not _OWNER.settings(self._agents).enabled:
            return False
        trade = self._client.trade_to_review()
        if trade is None:
            return False
        if self._recorder is not None:
            self._recorder.outcome(spike_id=trade.spike_id, pnl=trade.pnl, pnl_pct=trade.pnl_pct)
        analysis, reason = None, ""
        try:
            with crew_errors(_CREW):
                analysis = as_record(self._review(trade))
        except HookAborted as stop:
            reason = stop.reason
        except CrewError as failure:
            reason = str(failure)
        self._client.finish_review(
            TradeReview(
                trade_id=trade.trade_id,
                spike_id=trade.spike_id,
                analysis=analysis,
                reason=reason[:500],
            )
        )
        return True

    def _review(self, trade: TradeToReview) -> PostTradeAnalysis:
        context = RunContext(
            crew=_CREW,
            epoch=self._client.breaker_snapshot().epoch,
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
        facts = {"trade": trade.model_dump(mode="json", exclude={"trade_id", "spike_id"})}
        run.state.facts.update(facts)
        crew, task = self._warm or self._build()
        self._warm, task.output = None, None
        blocks = {name: data_block(name, value) for name, value in facts.items()}
        with run.scope(), run.guard.hooks():
            crew.kickoff(inputs=blocks)
        if run.state.is_reusable:
            self._warm = crew, task
        decision = build_decision(
            task,
            _OWNER.name,
            run,
            self._prompts,
            label=self._label,
            input_data=facts,
            spike_id=trade.spike_id,
        )
        record_decision(self._client, decision)
        output, problems = output_of(task), run.state.problems(_NAME)
        if (failure := run.state.failure(_NAME)) is not None:
            raise CrewError(failure)
        if not isinstance(output, PostTradeAnalysis) or problems:
            raise CrewError(f"the analysis is not accepted: {'; '.join(problems)}")
        return output

    def _build(self) -> tuple[QuietCrew, Task]:
        agent = _OWNER.create(self._agents, self._environment)
        guardrail = guardrail_of(_NAME, _problems_of, self._spec.description, known={})
        task = build_task(_NAME, self._spec, _OWNER, agent, self._client, guardrail=guardrail)
        return QuietCrew.of(_CREW, [agent], [task]), task


def _problems_of(output: AgentOutput, _run: RunContext) -> list[str]:
    state = current_state()
    trade = state.facts["trade"] if state else {}
    if not isinstance(output, PostTradeAnalysis) or not trade:
        return ["is no analysis of the trade"]
    problems = []
    if output.symbol != trade["symbol"]:
        problems.append(f"claims {output.symbol}, the trade was in {trade['symbol']}")
    if abs(output.pnl_pct - trade["pnl_pct"]) > _TOLERANCE:
        problems.append(f"claims {output.pnl_pct} %, recorded is {trade['pnl_pct']} %")
    outcome = "profitable" if trade["pnl"] > 0 else "unprofitable"
    if output.outcome != outcome:
        problems.append(f"claims {output.outcome}, recorded is {outcome}")
    return problems
