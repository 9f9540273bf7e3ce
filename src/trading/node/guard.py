"""The deterministic guardian: market and feed on one side, breaker on the other.

It asks nobody. A crash rule, data that cannot be trusted or a lost feed trips the breaker on the
spot; what the rules may ease, they ease here, with the facts of market and books in hand.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from trading.events import CrashDetected, EventBus
from trading.market.engine import MarketEngine
from trading.model.breaker import Actor, BreakerStatus, Quiet
from trading.model.metrics import MarketSnapshot
from trading.node.pulse import Pulse
from trading.risk.breaker_state import RecoveryInputs
from trading.risk.circuit_breaker import CircuitBreaker

UNSAFE_DATA = "unsafe_data"
HEARTBEAT = "heartbeat"


class Guard:
    """Feeds the breaker. ``advance`` and the bus handlers run on the market engine's thread."""

    def __init__(
        self,
        market: MarketEngine,
        breaker: CircuitBreaker,
        bus: EventBus,
        *,
        unknown_orders: Callable[[], int],
        reconciled: Callable[[], bool],
        quiet: Callable[[], Quiet],
        halted_elsewhere: Callable[[], str | None],
        start_grace_ms: int,
    ) -> None:
        self._market = market
        self._breaker = breaker
        self._unknown_orders = unknown_orders
        self._reconciled = reconciled
        self._quiet = quiet
        self._halted_elsewhere = halted_elsewhere
        self._start_grace_ms = start_grace_ms
        self._started_ms: int | None = None
        self._data_was_healthy = True
        self._snapshot: MarketSnapshot | None = None
        self.pulse = Pulse("the guardian")  # beaten by whoever calls ``advance`` in real time
        bus.subscribe(CrashDetected, self._on_crash)

    @property
    def snapshot(self) -> MarketSnapshot | None:
        """The snapshot of the last ``advance``."""
        return self._snapshot

    def data_is_fresh(self) -> bool:
        """Whether an entry may be based on the market data as it is now. From any thread."""
        snapshot = self._snapshot
        return snapshot is not None and snapshot.healthy and not self.pulse.is_silent

    def advance(self, now_ms: int) -> None:
        """Once per second or so of market time."""
        if self._started_ms is None:
            self._started_ms = now_ms
        self._snapshot = self._market.advance(now_ms)
        self._watch_data(self._snapshot, now_ms)
        self._breaker.advance(now_ms, self.facts())

    def facts(self) -> RecoveryInputs:
        """What the breaker's rules judge by, as of now."""
        recovery = self._market.recovery_facts()
        return RecoveryInputs(
            market=self._snapshot,
            further_fall_30m_pct=recovery.further_fall_30m_pct,
            btc_regained_share=recovery.btc_regained_share,
            flat_minutes=recovery.flat_minutes,
            volume_share_of_normal=recovery.volume_share_of_normal,
            liquidations_1h_usd=self._market.liquidations_1h_usd(),
            unknown_orders=self._unknown_orders(),
            reconciled=self._reconciled(),
            quiet=self._quiet(),
            healthy=self.data_is_fresh(),
            halted_elsewhere=self._halted_elsewhere(),
        )

    def trip_if_silent(self, pulse: Pulse) -> None:
        """A loop of the core that hangs, or a core that was paused, is a trip. From any thread."""
        if not pulse.is_silent or self._breaker.snapshot.status is BreakerStatus.TRIGGERED:
            return
        self._breaker.trigger(
            f"no heartbeat: {pulse.name} stood still for {pulse.silent_ms / 1000:.1f} s",
            actor=Actor.SYSTEM,
            rule=HEARTBEAT,
        )

    def trip_blind(self, reason: str) -> None:
        """The core cannot watch market or orders any more: unsafe from now on."""
        self._breaker.trigger(
            f"a duty of the core failed: {reason}", actor=Actor.SYSTEM, rule=UNSAFE_DATA
        )

    def _on_crash(self, event: CrashDetected) -> None:
        def evidence() -> tuple[dict[str, Any], MarketSnapshot]:
            market = event.market()
            details = {"share_of_limit": market.share_of_limit}
            liquidations_usd = self._market.liquidations_1h_usd()
            if liquidations_usd is not None and math.isfinite(liquidations_usd):
                details["liquidations_1h_usd"] = liquidations_usd
            return details, market

        self._breaker.trigger(event.reason, actor=Actor.RULE, rule=event.rule, evidence=evidence)

    def _watch_data(self, snapshot: MarketSnapshot, now_ms: int) -> None:
        """A trip when data turns unsafe; one per episode, and none while the start fills up."""
        assert self._started_ms is not None
        if snapshot.healthy:
            self._data_was_healthy = True
            return
        filling = snapshot.feed_age_ms is None and now_ms - self._started_ms < self._start_grace_ms
        if filling or not self._data_was_healthy:
            return
        self._data_was_healthy = False
        if self._breaker.snapshot.status is BreakerStatus.TRIGGERED:
            return
        self._breaker.trigger(
            f"market data is unsafe: {snapshot.problem}",
            {},
            snapshot,
            actor=Actor.SYSTEM,
            rule=UNSAFE_DATA,
        )
