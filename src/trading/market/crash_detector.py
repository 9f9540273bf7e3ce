"""Decides when the market has crashed.

A rule is breached when its metric reaches the hard limit, and stays breached until the metric has
been back below ``rearm_share`` of it for ``rearm_after_s``. BTC and ETH are looked at on every
trade that may matter, against the price at which their nearest limit lies; index and breadth once
a second.
"""

from __future__ import annotations

from dataclasses import dataclass

from trading.market.config import CrashDetectionConfig, LeaderFallConfig
from trading.market.symbol_state import SymbolState
from trading.market.windows import FIVE_MINUTES, FOUR_HOURS, ONE_HOUR
from trading.model.metrics import Metric

_SPAN_TEXT = {FIVE_MINUTES: "5 min", ONE_HOUR: "1 h", FOUR_HOURS: "4 h"}
MARKET_INDEX_RULE = "market_index_4h"
BREADTH_RULE = "breadth_1h"


@dataclass(slots=True)
class LeaderRule:
    """One limit on one leader: its window and how far its confirmation has got."""

    name: str
    window: int
    limit_pct: float
    streak: int = 0
    streak_tick: int = -1  # tick count of the leader's last trade beyond the limit


@dataclass(slots=True)
class Leader:
    """BTC or ETH with its limits."""

    label: str
    state: SymbolState
    rules: tuple[LeaderRule, ...]


@dataclass(frozen=True, slots=True)
class Breach:
    """A rule that has just been breached."""

    rule: str
    reason: str


@dataclass(slots=True)
class _MarketWide:
    """Index and breadth as last measured."""

    index_fall_pct: float = 0.0
    index_ready: bool = False
    falling: int = 0
    tracked: int = 0


class CrashDetector:
    """Knows the limits, and which of them are breached now."""

    def __init__(self, config: CrashDetectionConfig, btc: SymbolState, eth: SymbolState) -> None:
        self._config = config
        self.btc = Leader("BTC", btc, _rules("btc", config.btc))
        self.eth = Leader("ETH", eth, _rules("eth", config.eth))
        self._active: dict[str, int | None] = {}  # rule → since when it has been easing
        self._metrics: dict[str, Metric] = {}  # as built last, for reuse while nothing changes
        self._wide = _MarketWide()

    @property
    def active(self) -> tuple[str, ...]:
        """Rules breached and not yet armed again, oldest first."""
        return tuple(self._active)

    @property
    def breadth(self) -> tuple[int, int]:
        """Pairs falling, pairs tracked."""
        return self._wide.falling, self._wide.tracked

    def leader_of(self, state: SymbolState) -> Leader | None:
        if state is self.btc.state:
            return self.btc
        return self.eth if state is self.eth.state else None

    def trip_price(self, leader: Leader) -> float:
        """At or below this price a limit that is not yet breached is reached; 0 if none is left."""
        windows = leader.state.windows
        return max(
            (
                windows.high(rule.window) * (1.0 - rule.limit_pct / 100.0)
                for rule in leader.rules
                if rule.name not in self._active
            ),
            default=0.0,
        )

    def on_leader_trade(self, leader: Leader, now_ms: int) -> list[Breach]:
        """Look at a trade at or below ``trip_price``; the leader's windows must be current."""
        windows = leader.state.windows
        tick = leader.state.tick_count
        breaches = []
        for rule in leader.rules:
            if rule.name in self._active:
                continue
            fall_pct = windows.drawdown_pct(rule.window)
            if fall_pct < rule.limit_pct:
                continue
            rule.streak = rule.streak + 1 if rule.streak_tick == tick - 1 else 1
            rule.streak_tick = tick
            if rule.streak < self._config.confirmation_ticks and not self._other_confirms(
                leader, rule, now_ms
            ):
                continue
            self._active[rule.name] = None
            high = windows.high(rule.window)
            reason = (
                f"{leader.label} fell {fall_pct:.1f} % within {_SPAN_TEXT[rule.window]}"
                f" ({high:.8g} → {windows.last_price:.8g}), limit {rule.limit_pct:g} %"
            )
            breaches.append(Breach(rule.name, reason))
        return breaches

    def on_market(
        self, index_fall_pct: float, index_ready: bool, falling: int, tracked: int, now_ms: int
    ) -> list[Breach]:
        """Take index and breadth; also arms rules whose fall is over."""
        wide = self._wide
        wide.index_fall_pct, wide.index_ready = index_fall_pct, index_ready
        wide.falling, wide.tracked = falling, tracked
        self._rearm(now_ms)
        breaches = []
        for metric in (self._index_metric(), self._breadth_metric()):
            if metric.is_breached and metric.name not in self._active:
                self._active[metric.name] = None
                breaches.append(Breach(metric.name, self._wide_reason(metric)))
        return breaches

    def metrics(self) -> tuple[Metric, ...]:
        """All metrics with their limits, as of the windows' last expiry."""
        return (
            *(self._leader_metric(self.btc, rule) for rule in self.btc.rules),
            *(self._leader_metric(self.eth, rule) for rule in self.eth.rules),
            self._index_metric(),
            self._breadth_metric(),
        )

    def _other_confirms(self, leader: Leader, rule: LeaderRule, now_ms: int) -> bool:
        other = self.eth if leader is self.btc else self.btc
        if not other.state.has_price:
            return False
        other.state.windows.expire(now_ms)
        limit = next(r.limit_pct for r in other.rules if r.window == rule.window)
        return (
            other.state.windows.drawdown_pct(rule.window) >= limit * self._config.confirming_share
        )

    def _rearm(self, now_ms: int) -> None:
        if not self._active:
            return
        for metric in self.metrics():
            if metric.name not in self._active:
                continue
            if metric.share_of_limit >= self._config.rearm_share:
                self._active[metric.name] = None
                continue
            since_ms = self._active[metric.name]
            if since_ms is None:
                self._active[metric.name] = since_ms = now_ms
            if now_ms - since_ms >= self._config.rearm_after_s * 1000:
                del self._active[metric.name]

    def _leader_metric(self, leader: Leader, rule: LeaderRule) -> Metric:
        state = leader.state
        if not state.has_price:
            return self._metric(rule.name, 0.0, rule.limit_pct, ready=False)
        return self._metric(
            rule.name,
            state.windows.drawdown_pct(rule.window),
            rule.limit_pct,
            ready=state.windows.is_ready(rule.window),
        )

    def _index_metric(self) -> Metric:
        limit = self._config.market_index.fall_4h_pct
        wide = self._wide
        return self._metric(MARKET_INDEX_RULE, wide.index_fall_pct, limit, ready=wide.index_ready)

    def _breadth_metric(self) -> Metric:
        breadth, wide = self._config.breadth, self._wide
        ready = wide.tracked >= breadth.min_pairs
        share_pct = 100.0 * wide.falling / wide.tracked if ready else 0.0
        return self._metric(BREADTH_RULE, share_pct, breadth.share * 100.0, ready=ready)

    def _metric(self, name: str, value: float, limit: float, *, ready: bool) -> Metric:
        """A fall already beyond the soft limit counts, however little of the window is known."""
        soft = limit * self._config.warning_share
        ready = ready or value >= soft
        known = self._metrics.get(name)
        if known is not None and known.value == value and known.ready == ready:
            return known
        # All values come from our own arithmetic; building without validation keeps a trip fast.
        metric = Metric.model_construct(
            name=name, value=value, hard_limit=limit, soft_limit=soft, unit="%", ready=ready
        )
        self._metrics[name] = metric
        return metric

    def _wide_reason(self, metric: Metric) -> str:
        if metric.name == MARKET_INDEX_RULE:
            return (
                f"the market index fell {metric.value:.1f} % within 4 h,"
                f" limit {metric.hard_limit:g} %"
            )
        wide, breadth = self._wide, self._config.breadth
        return (
            f"{wide.falling} of {wide.tracked} pairs fell {breadth.fall_pct:g} % or more within"
            f" 1 h, limit {metric.hard_limit:g} % of the pairs"
        )


def _rules(prefix: str, falls: LeaderFallConfig) -> tuple[LeaderRule, ...]:
    return (
        LeaderRule(f"{prefix}_drawdown_5m", FIVE_MINUTES, falls.fall_5m_pct),
        LeaderRule(f"{prefix}_drawdown_1h", ONE_HOUR, falls.fall_1h_pct),
        LeaderRule(f"{prefix}_drawdown_4h", FOUR_HOURS, falls.fall_4h_pct),
    )
