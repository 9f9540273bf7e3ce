"""Chooses the spike thresholds by a search with walk-forward folds.

The labelled pumps and natural moves are cut into blocks by time, and the quiet days likewise. A
fixed set of candidates, drawn by optuna's random sampler from the ranges below (the configured
settings are the first), is scored on every block. For each fold the candidate that is best on the
blocks *before* it is chosen and judged on the fold: the figures out of fold, beside those of the
configured settings there. The candidate set does not depend on any score, so nothing of a later
block enters an earlier choice.

The score of a candidate is the mean recall of the two labelled sets (a pump counts when it is seen
before its peak), less what their false alerts exceed a tenth of all, less a tenth of the alerts per
pair and quiet day.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TypeVar

from crews.evaluation.spike_report import BlockReport, FoldReport, TrialFigures, TuningReport
from crews.evaluation.spike_trials import DAY_MS, QuietSpan, SpikeArchive
from trading.clock import MINUTE_MS
from trading.errors import MarketDataError
from trading.market.config import SpikeDetectionConfig, SpikeThresholds
from trading.model.market import Bar

T = TypeVar("T")

BLOCKS = 4
SEED = 20251010
_QUIET_DAYS_A_BLOCK = 1  # of every quiet stretch; a search over all of them takes hours
_FALSE_SHARE, _ALERT_WEIGHT = 0.10, 0.10


@dataclass(frozen=True, slots=True)
class Counts:
    """What one candidate did on one block; blocks add up."""

    pumps: int = 0
    pumps_seen: int = 0
    moves: int = 0
    moves_seen: int = 0
    false_alerts: int = 0
    quiet_alerts: int = 0
    pair_days: float = 0.0

    def __add__(self, other: Counts) -> Counts:
        mine, others = asdict(self), asdict(other)
        return Counts(**{name: mine[name] + others[name] for name in mine})

    @property
    def recall(self) -> float:
        parts = [(self.pumps_seen, self.pumps), (self.moves_seen, self.moves)]
        shares = [seen / there for seen, there in parts if there]
        return sum(shares) / len(shares) if shares else 0.0

    @property
    def false_share(self) -> float:
        alerts = self.pumps_seen + self.moves_seen + self.false_alerts
        return self.false_alerts / alerts if alerts else 0.0

    @property
    def alerts_per_pair_day(self) -> float:
        return self.quiet_alerts / self.pair_days if self.pair_days else 0.0

    @property
    def score(self) -> float:
        excess = max(0.0, self.false_share - _FALSE_SHARE)
        return self.recall - excess - _ALERT_WEIGHT * self.alerts_per_pair_day

    def figures(self) -> TrialFigures:
        return {
            "recall": round(self.recall, 3),
            "false_share": round(self.false_share, 3),
            "quiet_alerts_per_pair_day": round(self.alerts_per_pair_day, 3),
            "score": round(self.score, 3),
        }


@dataclass(frozen=True, slots=True)
class Candidate:
    """The tuned settings, by their names in the configuration.

    ``thresholds_factor`` multiplies the price thresholds of all pairs: their proportions to each
    other, for which there are far too few events, are not searched.
    """

    thresholds_factor: float
    min_z_score: float
    price_min_volume_multiple: float
    min_notional_usd: float
    volume_multiple: float
    volume_min_move_share: float
    min_confidence: float

    def applied(self, config: SpikeDetectionConfig) -> SpikeDetectionConfig:
        values = asdict(self)
        factor = values.pop("thresholds_factor")
        return SpikeDetectionConfig.model_validate(
            {
                **config.model_dump(),
                **values,
                "default_thresholds": _times(config.default_thresholds, factor),
                "pair_thresholds": {
                    symbol: _times(of_pair, factor)
                    for symbol, of_pair in config.pair_thresholds.items()
                },
            }
        )


def _times(thresholds: SpikeThresholds, factor: float) -> dict[str, float]:
    return {name: value * factor for name, value in thresholds.model_dump().items()}


def tune(
    archive: SpikeArchive,
    config: SpikeDetectionConfig,
    trials: int,
    progress: Callable[[str], None] = lambda _: None,
) -> TuningReport:
    """The search's report: every fold in and out, and the best candidate on all blocks.

    Raises ValueError for fewer than two trials, MarketDataError without a labelled event.
    """
    if trials < 2:
        raise ValueError(f"trials must be at least 2, not {trials}")
    blocks = _blocks(archive)
    if not any(block.events for block in blocks):
        raise MarketDataError(f"{archive.archive.directory} holds no labelled pump or natural move")
    candidates = [_of(config), *_drawn(trials - 1)]
    scored: list[tuple[Candidate, list[Counts]]] = []
    for number, candidate in enumerate(candidates):
        applied = candidate.applied(config)
        counts = [block.count(archive, applied) for block in blocks]
        scored.append((candidate, counts))
        progress(f"{number + 1} of {trials}: {_total(counts).figures()} {asdict(candidate)}")
    best, counts = _best(scored, range(len(blocks)))
    return {
        "trials": trials,
        "seed": SEED,
        "blocks": [block.describe() for block in blocks],
        "configured": {
            **_total(scored[0][1]).figures(),
            "settings": _rounded(candidates[0]),
            "by_block": [of_block.figures() for of_block in scored[0][1]],
        },
        "folds": [_fold(scored, number) for number in range(1, len(blocks))],
        "best": {**_total(counts).figures(), "settings": _rounded(best)},
    }


def _fold(scored: Sequence[tuple[Candidate, list[Counts]]], number: int) -> FoldReport:
    chosen, counts = _best(scored, range(number))
    return {
        "trained_on_blocks": list(range(number)),
        "tested_on_block": number,
        "settings": _rounded(chosen),
        "in_fold": _total(counts[:number]).figures(),
        "out_of_fold": counts[number].figures(),
        "configured": scored[0][1][number].figures(),
    }


def _best(
    scored: Sequence[tuple[Candidate, list[Counts]]], numbers: Iterable[int]
) -> tuple[Candidate, list[Counts]]:
    chosen = list(numbers)
    return max(scored, key=lambda one: _total([one[1][at] for at in chosen]).score)


def _total(counts: Iterable[Counts]) -> Counts:
    return sum(counts, Counts())


def _rounded(candidate: Candidate) -> dict[str, float]:
    return {name: float(f"{value:.3g}") for name, value in asdict(candidate).items()}


def _of(config: SpikeDetectionConfig) -> Candidate:
    searched = [name for name in Candidate.__dataclass_fields__ if name != "thresholds_factor"]
    return Candidate(1.0, **{name: getattr(config, name) for name in searched})


def _drawn(count: int) -> Iterable[Candidate]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=SEED))
    for _ in range(count):
        trial = study.ask()
        yield Candidate(
            thresholds_factor=trial.suggest_float("thresholds_factor", 0.8, 1.6),
            min_z_score=trial.suggest_float("min_z_score", 3.0, 10.0),
            price_min_volume_multiple=trial.suggest_float(
                "price_min_volume_multiple", 1.0, 20.0, log=True
            ),
            min_notional_usd=trial.suggest_float("min_notional_usd", 5e3, 1e5, log=True),
            volume_multiple=trial.suggest_float("volume_multiple", 3.0, 20.0, log=True),
            volume_min_move_share=trial.suggest_float("volume_min_move_share", 0.5, 1.0),
            min_confidence=trial.suggest_float("min_confidence", 0.5, 0.8),
        )


class _Block:
    """A part of the labelled events and of the quiet days."""

    def __init__(self, archive: SpikeArchive, number: int) -> None:
        self.pumps = _part(archive.pumps, number)
        self.natural = _part([m for m in archive.natural if archive.has_past(m)], number)
        self.quiet = [day for span in archive.quiet for day in _days(span, number)]

    @property
    def events(self) -> int:
        return len(self.pumps) + len(self.natural)

    def describe(self) -> BlockReport:
        return {
            "pumps": [pump.name for pump in self.pumps],
            "natural_moves": len(self.natural),
            "quiet_pair_days": round(sum(day.pair_days for day in self.quiet), 1),
        }

    def count(self, archive: SpikeArchive, config: SpikeDetectionConfig) -> Counts:
        pumps = [archive.judge_pump(pump, config, alone=True) for pump in self.pumps]
        visible = [pump for pump in pumps if pump.visible]
        moves = [archive.judge_natural(move, config) for move in self.natural]
        return Counts(
            pumps=len(visible),
            pumps_seen=sum(pump.before_peak for pump in visible),
            moves=len(moves),
            moves_seen=sum(move.alert is not None for move in moves),
            false_alerts=sum(pump.false_alerts for pump in pumps),
            quiet_alerts=sum(len(archive.play_quiet(day, config)) for day in self.quiet),
            pair_days=sum(day.pair_days for day in self.quiet),
        )


def _blocks(archive: SpikeArchive) -> list[_Block]:
    return [_Block(archive, number) for number in range(BLOCKS)]


def _part(events: Sequence[T], number: int) -> list[T]:
    count = len(events)
    return list(events[count * number // BLOCKS : count * (number + 1) // BLOCKS])


def _days(span: QuietSpan, number: int) -> Iterable[QuietSpan]:
    """The block's first days of the span, each with the day before as history."""
    begins_ms = span.start_ms + (span.end_ms - span.start_ms) * number // BLOCKS
    begins_ms -= begins_ms % DAY_MS
    for day in range(_QUIET_DAYS_A_BLOCK):
        start_ms = max(span.start_ms, begins_ms + day * DAY_MS)
        end_ms = min(span.end_ms, start_ms + DAY_MS)
        if end_ms - start_ms < 60 * MINUTE_MS:
            continue
        yield QuietSpan(
            span.name,
            start_ms,
            end_ms,
            {s: _between(bars, start_ms, end_ms) for s, bars in span.bars.items()},
            {s: _between(bars, start_ms - DAY_MS, start_ms) for s, bars in span.history.items()},
        )


def _between(bars: Sequence[Bar], start_ms: int, end_ms: int) -> tuple[Bar, ...]:
    return tuple(bar for bar in bars if start_ms <= bar.open_time_ms < end_ms)
