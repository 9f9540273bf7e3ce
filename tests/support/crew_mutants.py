"""Crews, tools and cores with one safety step taken out, each as a context."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest

from crews.run_guard import RunGuard
from tools.base import TradingTool
from tools.framework import HookAborted
from tools.run_context import RunContext
from trading.execution import gateway
from trading.execution.gate import Gate
from trading.execution.gateway import OrderGateway
from trading.execution.journal import Journal
from trading.model.breaker import BreakerStatus
from trading.model.decision import TradeProposal
from trading.risk.circuit_breaker import CircuitBreaker
from trading.risk.limits import RiskLimits


@contextmanager
def everything_is_cached() -> Iterator[None]:
    def cached(tool: TradingTool, *arguments: Any, **fields: Any) -> None:
        real(tool, *arguments, **fields)
        tool.cache_function = lambda *_: True

    real = TradingTool.__init__
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TradingTool, "__init__", cached)
        yield


@contextmanager
def no_hooks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunGuard, "hooks", lambda _: nullcontext())
        yield


@contextmanager
def hooks_fail_open() -> Iterator[None]:
    """The guard raises an exception of its own, as any hook would; the core takes late orders."""
    check = RunGuard.check

    def swallowed(guard: RunGuard) -> None:
        try:
            check(guard)
        except HookAborted as stop:
            raise RuntimeError(stop.reason) from stop

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunGuard, "check", swallowed)
        patch.setattr(TradingTool, "refusal", lambda *_: None)
        patch.setattr(TradingTool, "_answer", _answer_of_any_epoch)
        with gate_open_for_everything():
            yield


def _answer_of_any_epoch(
    tool: TradingTool, kwargs: dict[str, Any], snapshot: Any, run: RunContext | None
) -> dict[str, Any]:
    return {"ok": True, **tool.perform(tool.args_schema.model_validate(kwargs), snapshot)}


@contextmanager
def no_epoch_check() -> Iterator[None]:
    """A core that takes every decision for one of the present."""
    submit = OrderGateway.submit_entry

    async def restamped(self: OrderGateway, proposal: TradeProposal, *consent: Any) -> Any:
        now_ms = self._clock.now_ms()
        update = {"epoch": self._snapshot().epoch, "deadline_ms": now_ms + 30_000}
        return await submit(self, proposal.model_copy(update=update), *consent)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OrderGateway, "submit_entry", restamped)
        yield


@contextmanager
def gate_open_for_everything() -> Iterator[None]:
    """A core that asks neither breaker nor store before it sends."""
    submit = OrderGateway.submit_entry

    async def unaware(self: OrderGateway, proposal: TradeProposal, *consent: Any) -> Any:
        safe = self._snapshot().model_copy(
            update={"status": BreakerStatus.SAFE, "size_multiplier": 1.0}
        )
        patch.setattr(self, "_snapshot", lambda: safe)
        patch.setattr(self._sizer, "_snapshot", lambda: safe)
        return await submit(self, proposal.model_copy(update={"epoch": safe.epoch}), *consent)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OrderGateway, "submit_entry", unaware)
        patch.setattr(CircuitBreaker, "entries_blocked", property(lambda _: False))
        patch.setattr(Journal, "_check_breaker_row", lambda *_: None)
        patch.setattr(Gate, "_check_entry", lambda *_: None)
        patch.setattr(Gate, "_check_still_valid", lambda *_: None)
        yield


@contextmanager
def no_identity() -> Iterator[None]:
    """Every proposal is a new intent, to the tool, the journal and the limits."""
    numbers, identity = itertools.count(), gateway.entry_identity

    def unlike_any(*arguments: str) -> dict[str, str]:
        return {**identity(*arguments), "number": str(next(numbers))}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunContext, "claim_order", lambda _: True)
        patch.setattr(gateway, "entry_identity", unlike_any)
        patch.setattr(RiskLimits, "_check", lambda *_: None)
        yield
