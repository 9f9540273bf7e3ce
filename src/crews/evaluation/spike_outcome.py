"""What a labelled event was, and what the detector made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crews.evaluation.spike_data import NaturalMove, Pump
from trading.clock import MINUTE_MS
from trading.model.spike import Spike, SpikeDirection

# A pump may begin this long before its announcement: insiders know. It ends with the recorded hour,
# which the dump and its echoes fill.
LEAD_MS, TAIL_MS = 5 * MINUTE_MS, 60 * MINUTE_MS
PEAK_WITHIN_MS = 15 * MINUTE_MS
# An alert counts from this long before the onset on; what comes earlier is a false alert.
EARLY_MS = MINUTE_MS
# A pump is visible when it beats every price of the half hour before by this much.
VISIBLE_RISE = 1.03
MIN_TRADES = 50  # fewer in an hour and a half are no market


@dataclass(frozen=True, slots=True)
class PumpOutcome:
    """A labelled pump. Seconds count from the announcement unless the name says otherwise."""

    name: str
    announced_ms: int
    begins_ms: int  # of the pump's own time: alerts before are false
    visible: bool
    onset_s: float | None  # first trade VISIBLE_RISE above all prices before
    peak_s: float | None
    peak_pct: float  # highest price against the highest before
    alert: Spike | None  # the first rise reported in the pump's time
    alert_s: float | None
    delay_s: float | None  # after the onset; negative: before it
    rise_gone: float | None  # share of the way from the old high to the peak at the alert, 0 to 1
    early: tuple[Spike, ...]  # reported before the pump's own time: false alerts
    hours_before: float  # recorded time in which an alert is false
    is_priced: bool  # otherwise it was judged without the limit on notional

    @property
    def false_alerts(self) -> int:
        return len(self.early)

    @property
    def before_peak(self) -> bool:
        return self.alert_s is not None and self.peak_s is not None and self.alert_s < self.peak_s


def judge_pump(pump: Pump, spikes: Sequence[Spike]) -> PumpOutcome:
    """Hold the pair's spikes against the trades around the announcement."""
    begins_ms, ends_ms = pump.announced_ms - LEAD_MS, pump.announced_ms + TAIL_MS
    before = pump.prices[pump.times < begins_ms]
    during = (pump.times >= begins_ms) & (pump.times < ends_ms)
    ceiling = float(before.max()) if len(before) else float(pump.prices[0])
    near_peak = during & (pump.times < pump.announced_ms + PEAK_WITHIN_MS)
    at = np.flatnonzero(near_peak)
    peak_at = int(at[np.argmax(pump.prices[at])]) if len(at) else None
    peak = float(pump.prices[peak_at]) if peak_at is not None else ceiling
    risen = np.flatnonzero(during & (pump.prices >= ceiling * VISIBLE_RISE))
    visible = bool(len(risen)) and len(pump.times) >= MIN_TRADES
    onset_s = _seconds(pump, int(pump.times[risen[0]])) if visible else None
    own = [spike for spike in spikes if spike.symbol == pump.symbol]
    if visible:
        begins_ms = int(pump.times[risen[0]]) - EARLY_MS
    alert = next(
        (
            spike
            for spike in own
            if spike.direction is SpikeDirection.UP and begins_ms <= spike.detected_at_ms < ends_ms
        ),
        None,
    )
    alert_s = _seconds(pump, alert.detected_at_ms) if alert else None
    rise = peak - ceiling
    return PumpOutcome(
        name=pump.name,
        announced_ms=pump.announced_ms,
        begins_ms=begins_ms,
        visible=visible,
        onset_s=onset_s,
        peak_s=_seconds(pump, int(pump.times[peak_at])) if peak_at is not None else None,
        peak_pct=(peak / ceiling - 1.0) * 100.0,
        alert=alert,
        alert_s=alert_s,
        delay_s=alert_s - onset_s if alert_s is not None and onset_s is not None else None,
        rise_gone=(
            min(1.0, max(0.0, (alert.price_to - ceiling) / rise)) if alert and rise > 0 else None
        ),
        early=tuple(spike for spike in own if spike.detected_at_ms < begins_ms),
        hours_before=max(0, begins_ms - int(pump.times[0])) / (60 * MINUTE_MS),
        is_priced=pump.rate is not None,
    )


@dataclass(frozen=True, slots=True)
class NaturalOutcome:
    """A labelled minute with enough of its pair's past on record to be judged."""

    move: NaturalMove
    alert: Spike | None
    delay_s: float | None  # after the minute began; negative: the move was seen before
    unlabelled: frozenset[str]  # spikes as large as a label within a minute that none is near


def judge_natural(
    move: NaturalMove, spikes: Sequence[Spike], labelled: frozenset[tuple[str, int]], quiet_ms: int
) -> NaturalOutcome:
    """Hold the pair's spikes against the labelled minute.

    A move that was reported less than the cool-down ``quiet_ms`` before is the same one: the pair
    is quiet in that direction. ``labelled`` holds pairs with labelled minutes; a spike as large as
    the smallest label within one minute that is near none of them counts as unlabelled: labels go
    from close to close, so a move within a minute that is taken back has none.
    """
    ends_ms = move.minute_ms + MINUTE_MS
    alert = next(
        (
            spike
            for spike in reversed(spikes)
            if spike.symbol == move.symbol
            and spike.direction is move.direction
            and move.minute_ms - quiet_ms <= spike.detected_at_ms <= ends_ms
        ),
        None,
    )
    unlabelled = frozenset(
        spike.id
        for spike in spikes
        if spike.symbol == move.symbol
        and spike.timeframe_minutes == 1
        and abs(spike.magnitude_pct) >= LABEL_PCT
        and not _is_near(spike, labelled)
    )
    return NaturalOutcome(
        move=move,
        alert=alert,
        delay_s=(alert.detected_at_ms - move.minute_ms) / 1000 if alert else None,
        unlabelled=unlabelled,
    )


LABEL_PCT = 3.0  # the smallest move that the labelled sets call a spike


def _is_near(spike: Spike, labelled: frozenset[tuple[str, int]]) -> bool:
    minute = spike.detected_at_ms // MINUTE_MS
    return any((spike.symbol, minute + at) in labelled for at in (-1, 0, 1))


def _seconds(pump: Pump, time_ms: int) -> float:
    return (time_ms - pump.announced_ms) / 1000
