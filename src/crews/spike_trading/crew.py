"""The spike-trading crew: one run per spike, from the claim to a report."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Mapping
from typing import Any

from agents.config import AgentsConfig
from agents.llm import crew_errors
from agents.llm_choice import choose_llm
from agents.prompt_data import data_block
from crews.crew_config import SpikeCrewConfig
from crews.decisions import build_decision, output_of, record_decision
from crews.run_guard import RunGuard
from crews.spike_trading import tasks as spike_tasks
from crews.spike_trading.validation import entry_result, objection, problems_of
from tools.analysis_tools import window_for
from tools.base import TradingTool
from tools.circuit_breaker_tools import breaker_fields
from tools.framework import ConditionalTask, HookAborted
from tools.registry import tools_named
from tools.run_context import RunContext, run_scope
from trading.api.client import TradingClient
from trading.api.schemas import SpikeClaim
from trading.errors import CrewError, SpikeguardError, TradingHaltedError
from trading.model.decision import SpikeRunReport, SpikeRunStatus
from trading.model.spike import Spike, SpikeDirection

_CREW = "spike_trading"
_SOURCE = "spike_crew"


class SpikeTradingCrew:
    """Runs spikes one after another with a warm CrewAI crew; one instance per concurrent run.

    ``run`` blocks, must not be called from a thread with a running event loop (CrewAI would hand
    back a coroutine), and leaves closing the claim to the caller.
    """

    def __init__(
        self,
        client: TradingClient,
        agents: AgentsConfig,
        config: SpikeCrewConfig,
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
        self._warm: spike_tasks.WarmCrew | None = None
        self._stability, self._context = tools_named(
            client, ("check_market_stability", "analyze_spike_context"), _SOURCE
        )

    def warm_up(self) -> None:
        """Build the crew now rather than at the first spike. Raises ConfigurationError."""
        if self._warm is None:
            self._warm = spike_tasks.build_crew(self._client, self._agents, self._environment)

    def run(self, claim: SpikeClaim) -> SpikeRunReport:
        """One run. Whatever goes wrong in it is in the report, never raised."""
        started_ns = time.perf_counter_ns()
        limit_ms = claim.now_ms + int(self._config.run_deadline_s * 1000)
        run = RunContext(
            crew=_CREW,
            epoch=claim.epoch,
            deadline_ms=min(claim.deadline_ms, limit_ms),
            spike=claim.spike,
            proposal_ttl_ms=int(self._config.proposal_ttl_s * 1000),
        )
        with self._busy, run_scope(run):
            try:
                with crew_errors(_CREW):
                    status, reason = self._run(run, claim.spike)
            except (HookAborted, TradingHaltedError) as stop:
                status, reason = SpikeRunStatus.ABORTED, str(stop)
            except SpikeguardError as error:
                status, reason = SpikeRunStatus.FAILED, str(error)
            if (sent := entry_result(run)) is not None:
                # What left, left: an abort or a garbled answer afterwards does not undo it.
                status, reason = SpikeRunStatus.TRADED, f"order {sent['client_order_id']}"
            move = f"{claim.spike.symbol} {claim.spike.magnitude_pct:+.2f} %"
            return SpikeRunReport(
                spike_id=claim.spike.id,
                status=status,
                reason=f"{move}: {reason}",
                context_analysis=run.last("analyze_spike_context"),
                risk_assessment=run.last("evaluate_trade_risk"),
                duration_ms=(time.perf_counter_ns() - started_ns) / 1e6,
            )

    def _run(self, run: RunContext, spike: Spike) -> tuple[SpikeRunStatus, str]:
        guard = RunGuard(self._client, run, max_model_calls=self._config.max_model_calls)
        guard.check()
        age_s = (self._client.now_ms() - spike.detected_at_ms) / 1000
        if age_s > self._config.max_spike_age_s:
            return SpikeRunStatus.SKIPPED, f"the spike is {age_s:.0f} s old"
        self.warm_up()
        if self._warm is None:
            return SpikeRunStatus.SKIPPED, "all agents are switched off"
        data = self._gather(spike)
        warm, finished = self._warm, False
        for task in warm.tasks.values():
            task.output = None
            if isinstance(task, ConditionalTask):
                task.condition = lambda _output: not self._objections(warm, run, spike)
        try:
            with guard.hooks():
                blocks = {name: data_block(name, value) for name, value in data.items()}
                warm.crew.kickoff(inputs=blocks)
            finished = True
        finally:
            if not finished:
                # Tasks of a stopped run may still be winding down in their own threads.
                self._warm = None
            self._record(warm, run, spike, data)
        against = self._objections(warm, run, spike)
        return SpikeRunStatus.SKIPPED, "; ".join(against) or "no entry was placed"

    def _gather(self, spike: Spike) -> dict[str, Any]:
        """The market data that goes into the prompts, on record as the tools' results.

        Raises:
            TradingHaltedError: the breaker does not allow entries.
            CrewError: the market cannot be analysed.
        """
        window = window_for(spike.timeframe_minutes)
        stats = self._client.symbol_stats(spike.symbol)
        stability = _required(self._stability)
        context = _required(
            self._context,
            symbol=spike.symbol,
            timeframe_minutes=spike.timeframe_minutes,
            reference=self._market_symbol,
        )
        hour = stats.windows["1h"]
        return {
            "spike": spike.model_dump(mode="json", exclude={"detection_latency_ms"}),
            "window": stats.windows[window].model_dump(mode="json"),
            # Before the spike and with it: whichever is livelier sets the stop.
            "volatility_pct": max(context["volatility_pct"], hour.volatility_pct),
            "stability": stability,
            "context": context,
            "breaker": breaker_fields(self._client.breaker_snapshot()),
        }

    def _objections(self, warm: spike_tasks.WarmCrew, run: RunContext, spike: Spike) -> list[str]:
        """Everything that stands against an entry so far; one is enough."""
        against = []
        if spike.direction is not SpikeDirection.UP:
            against.append("a falling spike is not bought: spot is long only")
        for name in spike_tasks.REQUIRED:
            if name not in warm.tasks:
                against.append(f"{spike_tasks.OWNERS[name].name} is switched off")
        for name, task in warm.tasks.items():
            if task.output is None or (isinstance(task, ConditionalTask) and not task.output.raw):
                continue  # not its turn yet, or skipped because of an earlier objection
            output = output_of(task)
            if problems := problems_of(name, output, run, spike):
                against.append(f"{name}: {'; '.join(problems)}")
            elif output and (reason := objection(output, self._agents.policy, spike)):
                against.append(reason)
        return against

    def _record(
        self, warm: spike_tasks.WarmCrew, run: RunContext, spike: Spike, data: dict[str, Any]
    ) -> None:
        for name, task in warm.tasks.items():
            decision = build_decision(
                task,
                spike_tasks.OWNERS[name].name,
                decided_by=self._decided_by,
                problems=problems_of(name, output_of(task), run, spike),
                input_data={"spike_id": spike.id, "epoch": run.epoch, "breaker": data["breaker"]},
                spike_id=spike.id,
            )
            record_decision(self._client, decision)


def _required(tool: TradingTool, **arguments: Any) -> dict[str, Any]:
    """A tool's result; its refusal ends the run before any model is asked."""
    result: dict[str, Any] = json.loads(tool.run(**arguments))
    if result["ok"]:
        return result
    if result["error"] == TradingHaltedError.__name__:
        raise TradingHaltedError(result["message"])
    raise CrewError(f"{tool.name}: {result['error']}: {result['message']}")
