"""Decides when the market has crashed.

A rule is breached when its metric reaches the hard limit and the breach is confirmed
(``confirmation``), and stays breached until the metric has been back below ``rearm_share`` of the
limit for ``rearm_after_s``. BTC and ETH are looked at on every trade that may matter, against the
price at which their nearest limit lies; everything else once a second.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from trading.market.confirmation import TradeHold, ValueHold
from trading.market.crash_config import CrashDetectionConfig, LeaderFallConfig
from trading.market.crash_signals import Reading
from trading.market.symbol_state import SymbolState
from trading.market.windows import FIVE_MINUTES, FOUR_HOURS, ONE_HOUR
from trading.model.metrics import Metric

_SPAN_TEXT = {FIVE_MINUTES: "5 min", ONE_HOUR: "1 h", FOUR_HOURS: "4 h"}
LEADER_RULES = tuple(
    f"{leader}_drawdown_{span}" for leader in ("btc", "eth") for span in ("5m", "1h", "4h")
)
INDEX_RULES = {ONE_HOUR: "market_index_1h", FOUR_HOURS: "market_index_4h"}
BREADTH_RULE = "breadth_1h"
VOLUME_RULE = "volume_collapse"

# How far a leader's futures price is below its high: pair, window, now; None where not known.
FuturesFall = Callable[[str, int, int], float | None]


@dataclass(slots=True)
class LeaderRule:
    """One limit on one leader: its window and how far its confirmation has got."""

    name: str
    window: int
    limit_pct: float
    hold: TradeHold


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


@dataclass(frozen=True, slots=True)
class MarketView:
    """The market beyond BTC and ETH, as measured once a second."""

    index_falls_pct: dict[int, float]  # by window
    index_ready: dict[int, bool]
    falling: int = 0  # pairs beyond the breadth rule's fall
    tracked: int = 0
    volume_times_below: float | None = None  # of the busier of BTC and ETH; None: not known
    readings: tuple[Reading, ...] = ()


_UNSEEN = MarketView(dict.fromkeys(INDEX_RULES, 0.0), dict.fromkeys(INDEX_RULES, False))


class CrashDetector:
    """Knows the limits, and which of them are breached now."""

    def __init__(
        self,
        config: CrashDetectionConfig,
        btc: SymbolState,
        eth: SymbolState,
        futures_fall_pct: FuturesFall = lambda symbol, window, now_ms: None,
    ) -> None:
        self._config = config
        self._futures_fall_pct = futures_fall_pct
        self.btc = Leader("BTC", btc, _rules("btc", config.btc, config))
        self.eth = Leader("ETH", eth, _rules("eth", config.eth, config))
        self._active: dict[str, int | None] = {}  # rule → since when it has been easing
        self._metrics: dict[str, Metric] = {}  # as built last, for reuse while nothing changes
        self._index_holds = {window: ValueHold(config) for window in INDEX_RULES}
        self._view = _UNSEEN

    @property
    def active(self) -> tuple[str, ...]:
        """Rules breached and not yet armed again, oldest first."""
        return tuple(self._active)

    @property
    def breadth(self) -> tuple[int, int]:
        """Pairs falling, pairs tracked."""
        return self._view.falling, self._view.tracked

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
        breaches = []
        for rule in leader.rules:
            if rule.name in self._active:
                continue
            fall_pct = windows.drawdown_pct(rule.window)
            if fall_pct < rule.limit_pct:
                continue
            has_held = rule.hold.confirms(windows, rule.window, rule.limit_pct, now_ms)
            if not (has_held or self._has_witness(leader, rule, now_ms)):
                continue
            rule.hold.clear()
            self._active[rule.name] = None
            high = windows.high(rule.window)
            reason = (
                f"{leader.label} fell {fall_pct:.1f} % within {_SPAN_TEXT[rule.window]}"
                f" ({high:.8g} → {windows.last_price:.8g}), limit {rule.limit_pct:g} %"
            )
            breaches.append(Breach(rule.name, reason))
        return breaches

    def on_market(self, view: MarketView, now_ms: int) -> list[Breach]:
        """Take what is measured once a second; also arms rules whose breach is over."""
        self._view = view
        self._rearm(now_ms)
        texts = {reading.rule: reading.text for reading in view.readings}
        breaches = []
        for metric in self._market_metrics():
            if self._is_new_breach(metric, now_ms) and metric.name not in self._active:
                self._active[metric.name] = None
                reason = texts.get(metric.name) or self._market_reason(metric)
                breaches.append(Breach(metric.name, reason))
        return breaches

    def metrics(self) -> tuple[Metric, ...]:
        """All metrics with their limits, as of the windows' last expiry."""
        return (
            *(self._leader_metric(self.btc, rule) for rule in self.btc.rules),
            *(self._leader_metric(self.eth, rule) for rule in self.eth.rules),
            *self._market_metrics(),
        )

    def _has_witness(self, leader: Leader, rule: LeaderRule, now_ms: int) -> bool:
        """Whether the other leader, the futures or the other pairs fall too."""
        share = self._config.confirming_share
        other = self.eth if leader is self.btc else self.btc
        if other.state.has_price:
            other.state.windows.expire(now_ms)
            limit = next(r.limit_pct for r in other.rules if r.window == rule.window)
            if other.state.windows.drawdown_pct(rule.window) >= limit * share:
                return True
        futures = self._futures_fall_pct(leader.state.symbol, rule.window, now_ms)
        if futures is not None and futures >= rule.limit_pct * share:
            return True
        breadth = self._breadth_metric()
        return breadth.ready and breadth.share_of_limit >= share

    def _is_new_breach(self, metric: Metric, now_ms: int) -> bool:
        for window, name in INDEX_RULES.items():
            if metric.name == name:  # a few heavy pairs can move it, so it is confirmed as well
                has_held = self._index_holds[window].confirms(metric.share_of_limit, now_ms)
                return metric.is_breached and (has_held or self._both_fall(window, metric))
        return metric.is_breached

    def _both_fall(self, window: int, index: Metric) -> bool:
        wanted_pct = index.hard_limit * self._config.confirming_share
        return all(
            leader.state.has_price and leader.state.windows.drawdown_pct(window) >= wanted_pct
            for leader in (self.btc, self.eth)
        )

    def _rearm(self, now_ms: int) -> None:
        if not self._active:
            return
        for metric in self.metrics():
            if metric.name not in self._active:
                continue
            if metric.share_of_limit >= self._config.rearm_share or not metric.ready:
                self._active[metric.name] = None  # what is not known any more is not over
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

    def _market_metrics(self) -> tuple[Metric, ...]:
        view, config = self._view, self._config
        limits = {
            ONE_HOUR: config.market_index.fall_1h_pct,
            FOUR_HOURS: config.market_index.fall_4h_pct,
        }
        below = view.volume_times_below
        return (
            *(
                self._metric(
                    name,
                    view.index_falls_pct[window],
                    limits[window],
                    ready=view.index_ready[window],
                )
                for window, name in INDEX_RULES.items()
            ),
            self._breadth_metric(),
            self._metric(
                VOLUME_RULE,
                below or 0.0,
                config.volume_collapse.times_below,
                unit="×",
                ready=below is not None,
            ),
            *(
                self._metric(one.rule, one.value, one.limit, unit=one.unit, ready=one.ready)
                for one in view.readings
            ),
        )

    def _breadth_metric(self) -> Metric:
        breadth, view = self._config.breadth, self._view
        ready = view.tracked >= breadth.min_pairs
        share_pct = 100.0 * view.falling / view.tracked if ready else 0.0
        return self._metric(BREADTH_RULE, share_pct, breadth.share * 100.0, ready=ready)

    def _metric(
        self, name: str, value: float, limit: float, *, ready: bool, unit: str = "%"
    ) -> Metric:
        """A figure already beyond the soft limit counts, however little of its time is known."""
        soft = limit * self._config.warning_share
        ready = ready or value >= soft
        known = self._metrics.get(name)
        if known is not None and known.value == value and known.ready == ready:
            return known
        metric = Metric(
            name=name, value=value, hard_limit=limit, soft_limit=soft, unit=unit, ready=ready
        )
        self._metrics[name] = metric
        return metric

    def _market_reason(self, metric: Metric) -> str:
        if metric.name == BREADTH_RULE:
            view, breadth = self._view, self._config.breadth
            return (
                f"{view.falling} of {view.tracked} pairs fell {breadth.fall_pct:g} % or more within"
                f" 1 h, limit {metric.hard_limit:g} % of the pairs"
            )
        if metric.name == VOLUME_RULE:
            return (
                f"BTC and ETH trade {metric.value:.0f} times less than usual, limit"
                f" {metric.hard_limit:g} times"
            )
        span = "1 h" if metric.name == INDEX_RULES[ONE_HOUR] else "4 h"
        return (
            f"the market index fell {metric.value:.1f} % within {span},"
            f" limit {metric.hard_limit:g} %"
        )


def _rules(
    prefix: str, falls: LeaderFallConfig, config: CrashDetectionConfig
) -> tuple[LeaderRule, ...]:
    limits = (
        ("5m", FIVE_MINUTES, falls.fall_5m_pct),
        ("1h", ONE_HOUR, falls.fall_1h_pct),
        ("4h", FOUR_HOURS, falls.fall_4h_pct),
    )
    return tuple(
        LeaderRule(f"{prefix}_drawdown_{span}", window, limit_pct, TradeHold(config))
        for span, window, limit_pct in limits
    )
