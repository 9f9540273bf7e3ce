"""The spike-trading crew: one run per spike, from the claim to a report."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Mapping
from typing import Any

from agents.config import AgentsConfig, FailurePolicy
from agents.llm import crew_errors
from agents.models.recording import recorder_of
from agents.prompt_data import data_block
from crews.crew_config import SpikeCrewConfig
from crews.crew_run import CrewRun
from crews.decisions import build_decision, output_of, record_decision
from crews.spike_trading import tasks as spike_tasks
from crews.spike_trading.outside import TOOLS as OUTSIDE_TOOLS
from crews.spike_trading.outside import gather_outside
from crews.spike_trading.tasks import OWNERS
from crews.spike_trading.validation import approval_wanted, entry_result, objection
from tools.analysis_tools import window_for
from tools.base import TradingTool
from tools.circuit_breaker_tools import breaker_fields
from tools.framework import ConditionalTask, HookAborted
from tools.proposals import require_price_near_alert
from tools.registry import tools_named
from tools.run_context import RunContext
from trading.api.client import TradingClient
from trading.api.schemas import SpikeClaim
from trading.errors import CrewError, DecisionRejectedError, SpikeguardError, TradingHaltedError
from trading.model.decision import AgentDecision, SpikeRunReport, SpikeRunStatus
from trading.model.history import SpikePattern
from trading.model.spike import Spike, SpikeDirection

_CREW = "spike_trading"
_SOURCE = "spike_crew"
_RECORDED_OF_SPIKE = {"id", "symbol", "detected_at_ms", "magnitude_pct", "price_to"}


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
        self._prompts = spike_tasks.prompt_set()
        self._busy = threading.Lock()
        self._warm: spike_tasks.WarmCrew | None = None
        self._outside = tools_named(client, OUTSIDE_TOOLS, _SOURCE)
        self._recorder = recorder_of(agents.llm)
        self._decided: list[AgentDecision] = []
        self._stability, self._context = tools_named(
            client, ("check_market_stability", "analyze_spike_context"), _SOURCE
        )

    def warm_up(self) -> None:
        """Build the crew now rather than at the first spike. Raises ConfigurationError."""
        if self._warm is None:
            self._warm = spike_tasks.build_crew(self._client, self._agents, self._environment)

    def run(self, claim: SpikeClaim) -> SpikeRunReport:
        """One run. Whatever goes wrong in it is in the report, never raised.

        Its deadline counts from the spike: what came of a move that long ago is no longer known.
        """
        started_ns = time.perf_counter_ns()
        spike = claim.spike
        limit_ms = spike.detected_at_ms + int(self._config.run_deadline_s * 1000)
        context = RunContext(
            crew=_CREW,
            epoch=claim.epoch,
            deadline_ms=min(claim.deadline_ms, limit_ms),
            spike=spike,
            proposal_ttl_ms=int(self._config.proposal_ttl_s * 1000),
            max_price_move_pct=self._agents.policy.max_slippage_pct,
        )
        run = CrewRun.of(
            self._client,
            context,
            self._agents.llm.budgets,
            max_model_calls=self._config.max_model_calls,
            prompt_hashes=self._prompts.hashes,
        )
        with self._busy, run.scope():
            self._decided = []
            try:
                with crew_errors(_CREW):
                    status, reason = self._run(run, spike)
            except (HookAborted, TradingHaltedError) as stop:
                status, reason = SpikeRunStatus.ABORTED, str(stop)
            except SpikeguardError as error:
                status, reason = SpikeRunStatus.FAILED, str(error)
            if (sent := entry_result(context)) is not None:
                # What left, left: an abort or a garbled answer afterwards does not undo it.
                status, reason = SpikeRunStatus.TRADED, f"order {sent['client_order_id']}"
            elif (wanted := approval_wanted(context)) is not None:
                status, reason = SpikeRunStatus.AWAITING_APPROVAL, wanted["reason"]
            if self._recorder is not None:
                self._recorder.run(
                    spike=spike.model_dump(mode="json", include=_RECORDED_OF_SPIKE),
                    status=status.value,
                    reason=reason,
                    decisions={d.decision_type: d.decision for d in self._decided},
                    refused={n: p for n in OWNERS if (p := run.state.refusals(n))},
                    rejected={n: p for n in OWNERS if (p := run.state.problems(n))},
                    failed=run.state.failures,
                    tokens=run.meter.tokens,
                    cost_micro_usd=sum(d.cost_micro_usd for d in self._decided),
                    prompt_version=self._prompts.version,
                    prompt_hashes=self._prompts.hashes,
                    decided_by=sorted({d.decided_by for d in self._decided}),
                )
            move = f"{spike.symbol} {spike.magnitude_pct:+.2f} %"
            return SpikeRunReport(
                spike_id=spike.id,
                status=status,
                reason=f"{move}: {reason}",
                context_analysis=context.last("analyze_spike_context"),
                risk_assessment=context.last("evaluate_trade_risk"),
                duration_ms=(time.perf_counter_ns() - started_ns) / 1e6,
            )

    def _run(self, run: CrewRun, spike: Spike) -> tuple[SpikeRunStatus, str]:
        run.guard.check()
        age_s = (self._client.now_ms() - spike.detected_at_ms) / 1000
        if age_s > self._config.max_spike_age_s:
            return SpikeRunStatus.SKIPPED, f"the spike is {age_s:.0f} s old"
        if (stale := self._price_left(run.context)) is not None:
            return SpikeRunStatus.SKIPPED, stale
        self.warm_up()
        if self._warm is None:
            return SpikeRunStatus.SKIPPED, "all agents are switched off"
        data = self._gather(spike)
        run.state.facts.update(data)
        warm, finished = self._warm, False
        for task in warm.tasks.values():
            task.output = None
            if isinstance(task, ConditionalTask):
                task.condition = lambda _output: not self._objections(warm, run, spike, moved=True)
        blocks = {name: data_block(name, value) for name, value in data.items()}
        try:
            with run.guard.hooks():
                warm.crew.kickoff(inputs=blocks)
            finished = run.state.is_reusable
        finally:
            if not finished:
                # Tasks of a stopped run may still be winding down in their own threads.
                self._warm = None
            self._record(warm, run, spike, data)
        if run.state.stop_reason is not None:
            return SpikeRunStatus.ABORTED, run.state.stop_reason
        against = self._objections(warm, run, spike)
        has_failed = any(name in run.state.failures for name in self._counted(warm))
        status = SpikeRunStatus.FAILED if has_failed else SpikeRunStatus.SKIPPED
        return status, "; ".join(against) or "no entry was placed"

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
            "past_spikes": self._similar(spike),
            "context": context,
            "outside": gather_outside(self._outside, spike),
            "breaker": breaker_fields(self._client.breaker_snapshot()),
        }

    def _similar(self, spike: Spike) -> list[dict[str, Any]]:
        """What became of similar spikes, in figures: never what a model wrote about them."""
        limit = self._config.similar_spikes
        if limit == 0:
            return []
        pattern = SpikePattern(
            symbol=spike.symbol,
            type=spike.type,
            direction=spike.direction,
            magnitude_pct=spike.magnitude_pct,
            timeframe_minutes=spike.timeframe_minutes,
            volume_multiple=spike.volume_multiple,
            before_ms=spike.detected_at_ms,
            limit=limit,
        )
        kept = {
            "symbol",
            "magnitude_pct",
            "volume_multiple",
            "pump_likelihood",
            "status",
            "outcome",
            "pnl",
        }
        past = self._client.past_spikes(pattern).spikes
        return [one.model_dump(mode="json", include=kept) for one in past]

    def _counted(self, warm: spike_tasks.WarmCrew) -> list[str]:
        """Tasks whose failure means no trade: all but those that may be left out."""
        return [
            name
            for name in warm.tasks
            if spike_tasks.OWNERS[name].settings(self._agents).on_failure
            is not FailurePolicy.LEAVE_OUT
        ]

    def _price_left(self, context: RunContext) -> str | None:
        """Why the alert is stale, by the price; None when it is not."""
        try:
            require_price_near_alert(self._client, context)
        except DecisionRejectedError as stale:
            return str(stale)
        return None

    def _objections(
        self, warm: spike_tasks.WarmCrew, run: CrewRun, spike: Spike, *, moved: bool = False
    ) -> list[str]:
        """Everything that stands against an entry so far; one is enough.

        ``moved`` asks for the price again, too.
        """
        against = []
        if spike.direction is not SpikeDirection.UP:
            against.append("a falling spike is not bought: spot is long only")
        if moved and (stale := self._price_left(run.context)) is not None:
            run.state.note(stale)
        against += run.state.notes
        for name in spike_tasks.REQUIRED:
            if name not in warm.tasks:
                against.append(f"{spike_tasks.OWNERS[name].name} is switched off")
        counted = self._counted(warm)
        for name, task in warm.tasks.items():
            failure = run.state.failure(name)
            if failure is not None:
                if name in counted:
                    against.append(f"{name} failed: {failure}")
                continue
            if task.output is None or (isinstance(task, ConditionalTask) and not task.output.raw):
                continue  # not its turn yet, or skipped because of an earlier objection
            output = output_of(task)
            if problems := run.state.problems(name):
                against.append(f"{name}: {'; '.join(problems)}")
            elif output is None:
                against.append(f"{name}: gave no answer of the right form")
            elif reason := objection(output, self._agents.policy, spike):
                against.append(reason)
        return against

    def _record(
        self, warm: spike_tasks.WarmCrew, run: CrewRun, spike: Spike, data: dict[str, Any]
    ) -> None:
        for name, task in warm.tasks.items():
            decision = build_decision(
                task,
                spike_tasks.OWNERS[name].name,
                run,
                self._prompts,
                label=warm.labels[name],
                input_data={
                    "spike_id": spike.id,
                    "epoch": run.context.epoch,
                    "breaker": data["breaker"],
                },
            )
            record_decision(self._client, decision)
            if decision is not None:
                self._decided.append(decision)


def _required(tool: TradingTool, **arguments: Any) -> dict[str, Any]:
    """A tool's result; its refusal ends the run before any model is asked."""
    result: dict[str, Any] = json.loads(tool.run(**arguments))
    if result["ok"]:
        return result
    if result["error"] == TradingHaltedError.__name__:
        raise TradingHaltedError(result["message"])
    raise CrewError(f"{tool.name}: {result['error']}: {result['message']}")
