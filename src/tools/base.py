"""What every tool does: read the breaker first, refuse by class, answer in JSON, leave a record."""

from __future__ import annotations

import json
import logging
import time
from abc import abstractmethod
from enum import StrEnum
from typing import Any, ClassVar

from pydantic import ConfigDict, Field, PrivateAttr, ValidationError

from tools.cached_schema import CachedSchema
from tools.framework import BaseTool
from tools.run_context import RunContext, ToolRecord, current_run
from trading.api.client import TradingClient
from trading.errors import SpikeguardError, StaleEpochError, TradingHaltedError
from trading.model.breaker import BreakerSnapshot, BreakerStatus
from trading.model.decision import ToolExecution

logger = logging.getLogger(__name__)


class ToolClass(StrEnum):
    """What a tool can do, and so when it is refused.

    READ works always. ANALYSE prepares entries and INCREASE_RISK makes them: both need a breaker
    that allows entries. REDUCE_RISK and CONTROL need one that is not TRIGGERED: then the core
    sheds risk by its own policy, and there is nothing left for a model to tighten.
    """

    READ = "read"
    ANALYSE = "analyse"
    INCREASE_RISK = "increase_risk"
    REDUCE_RISK = "reduce_risk"
    CONTROL = "control"


SYMBOL_PATTERN = r"^[A-Z0-9]{3,20}$"


class ToolArguments(CachedSchema):
    """Base of all argument schemas: nothing unknown, nothing infinite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class NoArguments(ToolArguments):
    """For tools that need none."""


class SymbolArguments(ToolArguments):
    """One pair. Which pairs there are, the core says."""

    symbol: str = Field(pattern=SYMBOL_PATTERN, description="Pair, such as ETHUSDT.")


def as_text(answer: dict[str, Any]) -> str:
    """An answer as JSON in plain ASCII, without angle brackets: no text in it can hide, or look
    like the end of a data block."""
    text = json.dumps(answer, default=str, allow_nan=False, ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e")


def never_cache(_arguments: Any = None, _result: Any = None) -> bool:
    """A market answer is old as soon as it is given; CrewAI must not serve it twice."""
    return False


class TradingTool(BaseTool):
    """A CrewAI tool over a ``TradingClient``.

    Subclasses set ``name``, ``description``, ``args_schema`` and ``tool_class`` and implement
    ``perform``. Answers are JSON objects with ``ok``, ``breaker`` (status and epoch as read before
    anything else) and either the result's fields or ``error`` and ``message``.
    """

    tool_class: ClassVar[ToolClass] = ToolClass.READ
    cache_function: Any = never_cache

    _client: TradingClient = PrivateAttr()
    _agent_name: str | None = PrivateAttr(default=None)

    def __init__(self, client: TradingClient, agent_name: str | None = None, **fields: Any) -> None:
        super().__init__(**fields)
        self._client = client
        self._agent_name = agent_name

    @abstractmethod
    def perform(self, arguments: Any, snapshot: BreakerSnapshot) -> dict[str, Any]:
        """Do the work. Raises SpikeguardError for anything that is to be told to the agent."""

    def refusal(self, snapshot: BreakerSnapshot) -> str | None:
        """Why a tool of this class may not work under ``snapshot``; None when it may."""
        state = f"the circuit breaker is {snapshot.status} (epoch {snapshot.epoch})"
        if self.tool_class in (ToolClass.ANALYSE, ToolClass.INCREASE_RISK):
            return None if snapshot.allows_entries else f"{state}: no entries"
        if self.tool_class in (ToolClass.REDUCE_RISK, ToolClass.CONTROL):
            halted = snapshot.status is BreakerStatus.TRIGGERED
            return f"{state}: the core acts by its own policy" if halted else None
        return None

    def _validate_kwargs(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        # CrewAI would check the arguments before `_run`; the breaker comes first here.
        return kwargs

    def _run(self, **kwargs: Any) -> str:
        started_ns = time.perf_counter_ns()
        run = current_run()
        snapshot = self._client.breaker_snapshot()
        answer = self._answer(kwargs, snapshot, run)
        answer["breaker"] = {"status": snapshot.status.value, "epoch": snapshot.epoch}
        text = as_text(answer)
        self._record(kwargs, json.loads(text), snapshot, run, started_ns)
        return text

    def _answer(
        self, kwargs: dict[str, Any], snapshot: BreakerSnapshot, run: RunContext | None
    ) -> dict[str, Any]:
        try:
            if (reason := self.refusal(snapshot)) is not None:
                raise TradingHaltedError(reason)
            risky = self.tool_class is ToolClass.INCREASE_RISK
            if risky and run is not None and snapshot.epoch != run.epoch:
                raise StaleEpochError(
                    f"this run began in epoch {run.epoch}, the breaker is at {snapshot.epoch}"
                )
            arguments = self.args_schema.model_validate(kwargs)
            return {"ok": True, **self.perform(arguments, snapshot)}
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()
            )
            return {"ok": False, "error": "InvalidArguments", "message": problems}
        except SpikeguardError as error:
            return {"ok": False, "error": type(error).__name__, "message": str(error)}

    def _record(
        self,
        arguments: dict[str, Any],
        result: dict[str, Any],
        snapshot: BreakerSnapshot,
        run: RunContext | None,
        started_ns: int,
    ) -> None:
        arguments = json.loads(json.dumps(arguments, default=str))
        if run is not None:
            run.add(ToolRecord(self.name, arguments, result))
        execution = ToolExecution(
            tool_name=self.name,
            agent_name=self._agent_name,
            tool_class=self.tool_class.value,
            arguments=arguments,
            result=result,
            ok=result["ok"],
            breaker_status=snapshot.status.value,
            breaker_epoch=snapshot.epoch,
            execution_time_ms=(time.perf_counter_ns() - started_ns) / 1e6,
            spike_event_id=run.spike_id if run else None,
        )
        try:
            self._client.record_tool_execution(execution)
        except SpikeguardError as error:
            # The action itself has happened (or been refused); its answer must still arrive.
            logger.warning("tool execution of %s not recorded: %s", self.name, error)
