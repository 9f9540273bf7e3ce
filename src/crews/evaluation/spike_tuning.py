"""Chooses the spike thresholds by a search with walk-forward folds.

The labelled pumps and natural moves are cut into blocks by time, and the quiet days likewise. A
fixed set of candidates, drawn by optuna's random sampler from the ranges below (the configured
settings are the first), is scored on every block. For each fold the candidate that is best on the
blocks *before* it is chosen and judged on the fold: the figures out of fold, beside those of the
configured settings there. The candidate set does not depend on any score, so nothing of a later
block enters an earlier choice.

Candidates that meet the target go first: a recall of ``TARGET_RECALL`` or more on each labelled
set (a pump counts when it is seen before its peak), with a false share below
``TARGET_FALSE_SHARE``. The false share is that of the alerts on pumps, the only set whose time
without an event is recorded: alerts on natural moves are no part of it, for they would thin it out.
Among candidates that meet it, and where none does, the score decides: the mean recall of the sets,
less the false share, less a tenth of the alerts per pair and quiet day. Quiet days take nearly all
of the time and can only cost, so they are played for those candidates alone that would be the best
without any alert in them; no other can be chosen.

Ranges reach well beyond the configured settings: a choice at the end of its range says only that
the range was too short.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Protocol, TypeVar

from crews.evaluation.spike_report import BlockReport, FoldReport, TrialFigures, TuningReport
from crews.evaluation.spike_trials import DAY_MS, QuietSpan, SpikeArchive
from trading.clock import MINUTE_MS
from trading.errors import MarketDataError
from trading.market.config import SpikeDetectionConfig, SpikeThresholds
from trading.model.market import Bar

T = TypeVar("T")
P = TypeVar("P", bound="Played")

BLOCKS = 4
SEED = 20251010
_QUIET_DAYS_A_BLOCK = 1  # of every quiet stretch; a search over all of them takes hours
_ALERT_WEIGHT = 0.10
TARGET_RECALL, TARGET_FALSE_SHARE = 0.85, 0.10


@dataclass(frozen=True, slots=True)
class Counts:
    """What one candidate did on one block; blocks add up."""

    pumps: int = 0
    pumps_seen: int = 0  # before their peak
    pumps_alerted: int = 0  # at any time, and of known notional, as the false alerts
    moves: int = 0
    moves_seen: int = 0
    false_alerts: int = 0
    quiet_alerts: int = 0
    pair_days: float = 0.0

    def __add__(self, other: Counts) -> Counts:
        mine, others = asdict(self), asdict(other)
        return Counts(**{name: mine[name] + others[name] for name in mine})

    @property
    def recalls(self) -> list[float]:
        """Of each labelled set that is there."""
        parts = [(self.pumps_seen, self.pumps), (self.moves_seen, self.moves)]
        return [seen / there for seen, there in parts if there]

    @property
    def recall(self) -> float:
        return sum(self.recalls) / len(self.recalls) if self.recalls else 0.0

    @property
    def false_share(self) -> float:
        alerts = self.pumps_alerted + self.false_alerts
        return self.false_alerts / alerts if alerts else 0.0

    @property
    def meets_target(self) -> bool:
        seen = bool(self.recalls) and min(self.recalls) >= TARGET_RECALL
        return seen and self.false_share < TARGET_FALSE_SHARE

    @property
    def alerts_per_pair_day(self) -> float:
        return self.quiet_alerts / self.pair_days if self.pair_days else 0.0

    @property
    def score(self) -> float:
        return self.recall - self.false_share - _ALERT_WEIGHT * self.alerts_per_pair_day

    @property
    def rank(self) -> tuple[bool, float]:
        """What the best candidate has most of."""
        return self.meets_target, self.score

    def figures(self) -> TrialFigures:
        return {
            "recall": round(self.recall, 3),
            "false_share": round(self.false_share, 3),
            "quiet_alerts_per_pair_day": round(self.alerts_per_pair_day, 3),
            "score": round(self.score, 3),
            "meets_target": self.meets_target,
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
    scored: list[Trial] = []
    for number, candidate in enumerate(candidates):
        trial = Trial(candidate, archive, candidate.applied(config), blocks)
        scored.append(trial)
        found = trial.labelled(len(blocks))
        progress(
            f"{number + 1} of {trials}: recall {found.recall:.3f},"
            f" false share {found.false_share:.3f} with {asdict(candidate)}"
        )
    configured, best = scored[0], best_of(scored, len(blocks))
    return {
        "trials": trials,
        "seed": SEED,
        "blocks": [block.describe() for block in blocks],
        "configured": {
            **configured.total(len(blocks)).figures(),
            "settings": _rounded(configured.candidate),
            "by_block": [configured.block(number).figures() for number in range(len(blocks))],
        },
        "folds": [_fold(scored, number) for number in range(1, len(blocks))],
        "best": {**best.total(len(blocks)).figures(), "settings": _rounded(best.candidate)},
    }


class Trial:
    """One candidate on all blocks. The first ``count`` of them are what comes before a fold."""

    def __init__(
        self,
        candidate: Candidate,
        archive: SpikeArchive,
        config: SpikeDetectionConfig,
        blocks: Sequence[_Block],
    ) -> None:
        self.candidate = candidate
        self._archive, self._config, self._blocks = archive, config, blocks
        self._labelled = [block.count_labelled(archive, config) for block in blocks]
        self._quiet: dict[int, Counts] = {}

    def labelled(self, count: int) -> Counts:
        """Without quiet days: nothing ranks lower for their absence."""
        return sum(self._labelled[:count], Counts())

    def block(self, number: int) -> Counts:
        """One block, its quiet days included."""
        if number not in self._quiet:
            self._quiet[number] = self._blocks[number].count_quiet(self._archive, self._config)
        return self._labelled[number] + self._quiet[number]

    def total(self, count: int) -> Counts:
        return sum((self.block(number) for number in range(count)), Counts())


def _fold(scored: Sequence[Trial], number: int) -> FoldReport:
    chosen = best_of(scored, number)
    return {
        "trained_on_blocks": list(range(number)),
        "tested_on_block": number,
        "settings": _rounded(chosen.candidate),
        "in_fold": chosen.total(number).figures(),
        "out_of_fold": chosen.block(number).figures(),
        "configured": scored[0].block(number).figures(),
    }


class Played(Protocol):
    """A candidate's counts on the first blocks, without and with their quiet days."""

    def labelled(self, count: int) -> Counts: ...

    def total(self, count: int) -> Counts: ...


def best_of(scored: Sequence[P], count: int) -> P:
    """The highest rank on the first ``count`` blocks."""
    hopeful = sorted(scored, key=lambda trial: trial.labelled(count).rank, reverse=True)
    best = hopeful[0]
    for trial in hopeful[1:]:
        if trial.labelled(count).rank <= best.total(count).rank:
            break
        if trial.total(count).rank > best.total(count).rank:
            best = trial
    return best


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
            min_z_score=trial.suggest_float("min_z_score", 3.0, 20.0),
            price_min_volume_multiple=trial.suggest_float(
                "price_min_volume_multiple", 1.0, 20.0, log=True
            ),
            min_notional_usd=trial.suggest_float("min_notional_usd", 1e4, 3e5, log=True),
            volume_multiple=trial.suggest_float("volume_multiple", 2.0, 20.0, log=True),
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

    def count_labelled(self, archive: SpikeArchive, config: SpikeDetectionConfig) -> Counts:
        pumps = [archive.judge_pump(pump, config, alone=True) for pump in self.pumps]
        visible = [pump for pump in pumps if pump.visible]
        moves = [archive.judge_natural(move, config) for move in self.natural]
        return Counts(
            pumps=len(visible),
            pumps_seen=sum(pump.before_peak for pump in visible),
            pumps_alerted=sum(pump.alert is not None for pump in visible if pump.is_priced),
            moves=len(moves),
            moves_seen=sum(move.alert is not None for move in moves),
            false_alerts=sum(pump.false_alerts for pump in pumps if pump.is_priced),
        )

    def count_quiet(self, archive: SpikeArchive, config: SpikeDetectionConfig) -> Counts:
        return Counts(
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
