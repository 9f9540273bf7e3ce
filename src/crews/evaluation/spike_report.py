"""The shape of what ``evaluate spikes --json`` prints, from which its tables are made, too."""

from __future__ import annotations

from typing import NotRequired, TypedDict

Spread = dict[str, float]
"""Count, extremes and percentiles of some values, by name."""


class PumpEvent(TypedDict):
    """One labelled pump; seconds count from its announcement."""

    event: str
    visible: bool
    peak_pct: float
    onset_s: float | None
    peak_s: float | None
    alert_s: float | None
    delay_s: float | None
    rise_gone: float | None
    false_alerts_before: int
    type: str | None
    severity: str | None
    co_movement: str | None
    confidence: float | None
    pump_likelihood: float | None


class EarlyAlert(TypedDict):
    """An alert before a pump's own time, which counts as false; seconds from the announcement."""

    event: str
    alert_s: float
    type: str
    direction: str
    move_pct: float
    minutes: int
    z_score: float
    volume_multiple: float
    confidence: float
    pump_likelihood: float | None


class DayBefore(TypedDict):
    """Alerts on the pumps' pairs the day before."""

    alerts: int
    pair_days: float
    alerts_per_pair_day: float | None


class PumpFigures(TypedDict):
    """All labelled pumps together."""

    labelled: int
    visible: int
    detected: int
    recall: float | None
    detected_before_peak: int
    false_alerts_before: int
    hours_before: float
    precision: float | None
    false_share: float | None
    false_share_95: tuple[float, float] | None
    early_alerts: list[EarlyAlert]
    unpriced: int
    unpriced_false_alerts: int
    delay_s: Spread | None
    after_announcement_s: Spread | None
    share_of_rise_gone: Spread | None
    day_before: DayBefore
    events: list[PumpEvent]


class PairCounts(TypedDict):
    """Natural moves of one pair."""

    labelled: int
    with_enough_past: int
    detected: int


class NaturalFigures(TypedDict):
    """All labelled natural moves together."""

    labelled: int
    with_enough_past: int
    detected: int
    recall: float | None
    unlabelled_alerts_of_the_labels_size: int
    precision_of_the_labels_size: float | None
    delay_s_after_the_minute_began: Spread | None
    by_pair: dict[str, PairCounts]


class QuietTime(TypedDict):
    """One quiet time."""

    name: str
    pairs: int
    pair_days: float
    alerts: int
    alerts_per_pair_day: float | None
    by_type: dict[str, int]
    by_pair: dict[str, int]


class QuietFigures(TypedDict):
    """All quiet times together."""

    pair_days: float
    alerts: int
    alerts_per_pair_day: float | None
    by_type: dict[str, int]
    times: list[QuietTime]


class CrashTape(TypedDict):
    """One crash, trade by trade."""

    name: str
    trades: int
    pairs: int
    alerts: int
    by_type: dict[str, int]
    down: int
    by_severity: dict[str, int]
    by_co_movement: dict[str, int]
    plays: int
    arrival_to_alert_us: Spread | None
    arrival_to_alert_processor_us: Spread | None
    arrival_to_alert_worst_play_us: Spread | None


class Separation(TypedDict):
    """How well the likelihood tells pumps from other rises: areas under the curve."""

    auc_shipped_weights: float | None
    auc_out_of_fold: float | None


class ShareAboveHalf(TypedDict):
    """Shares of what the shipped weights call a pump."""

    pumps: float
    other_rises: float


class LikelihoodReport(Separation):
    """The pump-and-dump likelihood, on labelled pumps and all other rises."""

    pumps: int
    other_rises: dict[str, int]
    by_source: dict[str, Separation]
    shipped_weights: dict[str, float]
    fitted_weights: dict[str, float]
    fitted_weights_by_fold: list[dict[str, float]]
    share_above_half: ShareAboveHalf


class TrialFigures(TypedDict):
    """What one candidate did."""

    recall: float
    false_share: float
    quiet_alerts_per_pair_day: float
    score: float
    meets_target: bool


class ChosenFigures(TrialFigures):
    """What a candidate did on all blocks, and its settings."""

    settings: dict[str, float]


class ConfiguredFigures(ChosenFigures):
    """The same of the configured settings, and block by block."""

    by_block: list[TrialFigures]


class BlockReport(TypedDict):
    """What a block of the search holds."""

    pumps: list[str]
    natural_moves: int
    quiet_pair_days: float


class FoldReport(TypedDict):
    """The best candidate on the blocks before one, judged on that one."""

    trained_on_blocks: list[int]
    tested_on_block: int
    settings: dict[str, float]
    in_fold: TrialFigures
    out_of_fold: TrialFigures
    configured: TrialFigures


class TuningReport(TypedDict):
    """The search for thresholds."""

    trials: int
    seed: int
    blocks: list[BlockReport]
    configured: ConfiguredFigures
    folds: list[FoldReport]
    best: ChosenFigures


class SpikeReport(TypedDict):
    """Everything; ``tuning`` where a search was asked for."""

    directory: str
    absent: list[str]
    rows_left_out: dict[str, int]
    pumps: PumpFigures
    natural_moves: NaturalFigures
    quiet: QuietFigures
    pump_likelihood: LikelihoodReport | None
    crash_tapes: list[CrashTape]
    limits: list[str]
    tuning: NotRequired[TuningReport]
