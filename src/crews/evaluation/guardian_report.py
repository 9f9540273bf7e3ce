"""What ``evaluate guardian`` finds, as plain values."""

from __future__ import annotations

from pydantic import computed_field

from crews.evaluation.outcome import Outcome
from trading.model.base import ValueModel

IN_TIME_S = 60.0  # a required event must be caught this soon after its crossing
REQUIRED_PCT = 15.0  # events this deep by close must be caught


class Trip(ValueModel):
    """Breaches close together: the breaker would have been TRIGGERED once, and stayed so."""

    time_ms: int
    rules: tuple[str, ...]
    reason: str
    after: Outcome


class EventResult(ValueModel):
    """A labelled crash, and what the detector made of it. Times in seconds of market time.

    ``seconds`` is from the trade that crossed the threshold (of the first close beyond it, where
    there is one) to the trip, negative when the trip came first; ``required`` events are those
    that must be caught within a minute. A rule that was breached earlier and is not yet armed
    again counts as tripped, from its own time on.
    """

    asset: str
    threshold_pct: float
    crossed_ms: int
    by_close: bool
    required: bool
    tripped: bool
    rule: str | None
    seconds: float | None
    warned_seconds: float | None  # from the crossing to the first warning of the fall
    saved_at_low_pct: float | None  # by the trip, see Outcome
    saved_after_24h_pct: float | None

    @computed_field  # type: ignore[prop-decorator]  # pydantic's own form
    @property
    def in_time(self) -> bool:
        return self.tripped and self.seconds is not None and self.seconds <= IN_TIME_S


class WindowResult(ValueModel):
    """A named window of the record."""

    name: str
    is_crash: bool
    pairs: int
    hourly_pairs: int
    start_ms: int
    trips: int
    false_trips: int
    first_trip_ms: int | None
    rules: tuple[str, ...]
    saved_at_low_pct: float | None
    saved_after_24h_pct: float | None


class Rate(ValueModel):
    """Trips over a part of the record."""

    name: str
    months: float
    trips: int
    false_trips: int
    has_crash: bool

    @computed_field  # type: ignore[prop-decorator]  # pydantic's own form
    @property
    def false_a_month(self) -> float:
        return self.false_trips / self.months if self.months else 0.0


class Ablation(ValueModel):
    """What a choice of rules catches by itself."""

    rules: str
    required_in_time: int
    required: int
    windows_tripped: int
    windows: int
    trips: int
    false_a_month: float
    saved_at_low_pct: float  # mean over all trips


class Figures(ValueModel):
    """What limits did over some years."""

    required_in_time: int = 0
    required: int = 0
    windows_tripped: int = 0
    windows: int = 0
    trips: int = 0
    false_trips: int = 0
    months: float = 0.0

    def __add__(self, other: Figures) -> Figures:
        return Figures(
            **{name: getattr(self, name) + getattr(other, name) for name in Figures.model_fields}
        )

    @computed_field  # type: ignore[prop-decorator]  # pydantic's own form
    @property
    def score(self) -> float:
        kinds = ((self.required_in_time, self.required), (self.windows_tripped, self.windows))
        recalls = [caught / there for caught, there in kinds if there]
        recall = sum(recalls) / len(recalls) if recalls else 0.0
        return recall - (self.false_trips / self.months if self.months else 0.0)


class Fold(ValueModel):
    """Limits chosen on the years before ``year``, there and then."""

    year: int
    limits: dict[str, float]
    in_fold: Figures
    out_of_fold: Figures
    configured: Figures  # what the configured limits did in that year


class Variation(ValueModel):
    """One limit moved and all others as configured, over all years."""

    name: str
    value: float
    is_configured: bool
    all_years: Figures


class GuardianTuning(ValueModel):
    """The search's report."""

    candidates: int
    seed: int
    folds: tuple[Fold, ...]
    configured: Figures
    configured_limits: dict[str, float]
    best: Figures
    best_limits: dict[str, float]
    variations: tuple[Variation, ...]


class GuardianReport(ValueModel):
    """Everything that ``evaluate guardian`` finds."""

    data: str
    pairs: int
    rows_left_out: dict[str, int]  # by file: what is no bar
    rules_without_data: tuple[str, ...]  # because BTC or ETH is not recorded
    months: float
    heard_hours: float  # market time that the detector itself was run over
    fee_pct: float
    events: tuple[EventResult, ...]
    events_without_data: int
    windows: tuple[WindowResult, ...]
    trips: tuple[Trip, ...]
    rates: tuple[Rate, ...]  # all, years without a crash, then each year
    ablation: tuple[Ablation, ...]
    tuning: GuardianTuning | None = None  # where it was asked for

    @computed_field  # type: ignore[prop-decorator]  # pydantic's own form
    @property
    def missed(self) -> tuple[EventResult, ...]:
        """Required events that were not caught in time."""
        return tuple(event for event in self.events if event.required and not event.in_time)
