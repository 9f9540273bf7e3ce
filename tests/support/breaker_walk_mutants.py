"""Breakers that must not pass for a sound one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from trading.errors import StaleEpochError
from trading.model.breaker import Actor, BreakerSnapshot, Latch, TripReceipt
from trading.risk.circuit_breaker import CircuitBreaker


class EasesForModels(CircuitBreaker):
    """Takes a model's clear for an operator's."""

    def clear(self, *args: Any, **kwargs: Any) -> BreakerSnapshot:
        if kwargs["actor"] is Actor.LLM:
            kwargs["actor"] = Actor.OPERATOR
        return super().clear(*args, **kwargs)


class IgnoresTheEpoch(CircuitBreaker):
    """Lets an operator clear with whatever epoch they saw last."""

    def clear(self, *args: Any, **kwargs: Any) -> BreakerSnapshot:
        try:
            return super().clear(*args, **kwargs)
        except StaleEpochError:
            return super().clear(*args, **{**kwargs, "epoch": self.snapshot.epoch})


class ClearsByRule(CircuitBreaker):
    """Takes a calm market for the end of a halt."""

    def clear(self, *args: Any, **kwargs: Any) -> BreakerSnapshot:
        if kwargs["actor"] is Actor.RULE and self.snapshot.status == "TRIGGERED":
            kwargs |= {"actor": Actor.OPERATOR, "force": True}
        return super().clear(*args, **kwargs)


class DeafInRecovery(CircuitBreaker):
    """Does not halt again for a model during a recovery."""

    def trigger(self, *args: Any, **kwargs: Any) -> Any:
        if self.snapshot.status == "RECOVERING" and kwargs.get("actor") is Actor.LLM:
            return TripReceipt(epoch=self.snapshot.epoch, newly_triggered=True)
        return super().trigger(*args, **kwargs)


class NeverLatches(CircuitBreaker):
    """Takes an operator's trip for a rule's."""

    def trigger(self, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("actor") is Actor.OPERATOR:
            kwargs["actor"] = Actor.RULE
        return super().trigger(*args, **kwargs)


class ForgetsTheLatch(CircuitBreaker):
    """Comes back from a restart without it."""

    def _restore_locked(self, last_run: BreakerSnapshot | None) -> None:
        super()._restore_locked(last_run)
        self._publish_locked(replace(self._state, latch=Latch.NONE))


class BelievesTheStoreAlone(CircuitBreaker):
    """Forgets at a restart what the store has never taken."""

    def _restore_locked(self, last_run: BreakerSnapshot | None) -> None:
        super()._restore_locked(None)


MUTANTS = (
    EasesForModels,
    IgnoresTheEpoch,
    ClearsByRule,
    DeafInRecovery,
    NeverLatches,
    ForgetsTheLatch,
    BelievesTheStoreAlone,
)
