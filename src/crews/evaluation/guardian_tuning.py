"""Chooses the crash limits by a search with walk-forward folds.

The limits of BTC and ETH are given (they are what the owner of the money asked for) and stay; the
search is for the rules that must see what BTC and ETH miss. Candidates are whole, round figures,
drawn by optuna's random sampler; the configured limits are the first of them and win ties. The
candidates do not depend on any score, so nothing of a later year enters an earlier choice.

A block is a calendar year. For each fold the candidate that is best on the years *before* it is
chosen and judged on the fold's own year, which it has not seen: the figures out of fold.

The score is the mean of two recalls (required events of crashes.csv caught in time; dated windows
with a trip), less the false trips a month. Years that hold nothing to be caught count by their
false trips alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass

from crews.evaluation.archive import Archive, year_of
from crews.evaluation.guardian import trips_of
from crews.evaluation.guardian_events import is_required, judge
from crews.evaluation.guardian_report import Figures, Fold, GuardianTuning, Variation
from crews.evaluation.guardian_tape import BREADTH_LEVELS, Tape, record, signals_of
from crews.evaluation.outcome import Outcomes
from crews.evaluation.runner import Listened
from crews.evaluation.screening import stretches
from trading.errors import MarketDataError
from trading.market.config import CrashDetectionConfig

SEED = 20251010
INDEX_1H = tuple(float(pct) for pct in range(8, 17))
INDEX_4H = tuple(float(pct) for pct in range(12, 25))
BREADTH_SHARES = (0.3, 0.4, 0.5, 0.6, 0.7)
CONFIRMING_SHARES = (0.3, 0.4, 0.5, 0.6, 0.7)
_CLOSE_TO_HARD = 0.99  # tapes are only needed where a candidate could trip


@dataclass(frozen=True, slots=True)
class Candidate:
    """The limits that are searched for."""

    breadth_fall_pct: float
    breadth_share: float
    index_fall_1h_pct: float
    index_fall_4h_pct: float
    confirming_share: float

    def applied(self, config: CrashDetectionConfig) -> CrashDetectionConfig:
        breadth = {"fall_pct": self.breadth_fall_pct, "share": self.breadth_share}
        index = {"fall_1h_pct": self.index_fall_1h_pct, "fall_4h_pct": self.index_fall_4h_pct}
        return config.model_copy(
            update={
                "breadth": config.breadth.model_copy(update=breadth),
                "market_index": config.market_index.model_copy(update=index),
                "confirming_share": self.confirming_share,
            }
        )


def tune_guardian(
    archive: Archive,
    config: CrashDetectionConfig,
    candidates: int,
    outcomes: Outcomes,
    progress: Callable[[str], None] = lambda _: None,
) -> GuardianTuning:
    """Search among ``candidates`` limits.

    Raises:
        ValueError: fewer than two candidates.
        MarketDataError: no two years are recorded, so that nothing could be held back.
    """
    if candidates < 2:
        raise ValueError(f"candidates must be at least 2, not {candidates}")
    years = _Years(archive, config, outcomes, progress)
    if len(years.names) < 2:
        raise MarketDataError(f"{archive.directory} holds no two years of BTC and ETH")
    first = _of(config)
    scored: list[tuple[Candidate, dict[int, Figures]]] = []
    for number, one in enumerate((first, *_drawn(candidates - 1)), 1):
        progress(f"candidate {number} of {candidates}")
        scored.append((one, years.figures(one.applied(config))))
    names = years.names
    best, best_years = _best(scored, names)
    return GuardianTuning(
        candidates=candidates,
        seed=SEED,
        folds=tuple(_fold(scored, names[:at], year) for at, year in enumerate(names) if at > 0),
        configured=_total(scored[0][1], names),
        configured_limits=asdict(first),
        best=_total(best_years, names),
        best_limits=asdict(best),
        variations=tuple(_variations(first, config, years)),
    )


class _Years:
    """The tapes of everything that could trip any candidate, and what is to be caught, by year."""

    def __init__(
        self,
        archive: Archive,
        config: CrashDetectionConfig,
        outcomes: Outcomes,
        progress: Callable[[str], None],
    ) -> None:
        self._archive, self._outcomes = archive, outcomes
        loosest = Candidate(
            min(BREADTH_LEVELS), min(BREADTH_SHARES), min(INDEX_1H), min(INDEX_4H), 1.0
        ).applied(config)
        loosest = loosest.model_copy(update={"warning_share": _CLOSE_TO_HARD})
        parts = []
        for span in archive.spans:
            parts += stretches(archive.cut(span.start_ms, span.end_ms), span, loosest)
        self._tapes: list[Tape] = []
        for number, part in enumerate(parts, 1):
            progress(f"recording stretch {number} of {len(parts)}")
            self._tapes.append(record(archive, part, config))
        self._months = archive.months()
        self.names = tuple(sorted(self._months))

    def figures(self, config: CrashDetectionConfig) -> dict[int, Figures]:
        heard = [Listened(tape.span, signals_of(tape, config)) for tape in self._tapes]
        signals = sorted(
            (one for part in heard for one in part.signals), key=lambda one: one.time_ms
        )
        result = {year: Figures(months=months) for year, months in self._months.items()}
        for event in filter(is_required, self._archive.events):
            if (found := judge(self._archive, event, heard)) is not None:
                caught = Figures(required=1, required_in_time=int(found.in_time))
                result[year_of(found.crossed_ms)] += caught
        for window in (one for one in self._archive.windows if one.is_crash):
            hit = any(window.start_ms <= one.time_ms < window.end_ms for one in signals)
            result[year_of(window.start_ms)] += Figures(windows=1, windows_tripped=int(hit))
        for trip in trips_of(signals, self._outcomes):
            false = int(trip.after.is_false)
            result[year_of(trip.time_ms)] += Figures(trips=1, false_trips=false)
        return result


def _fold(
    scored: Sequence[tuple[Candidate, dict[int, Figures]]], before: Sequence[int], year: int
) -> Fold:
    chosen, years = _best(scored, before)
    return Fold(
        year=year,
        limits=asdict(chosen),
        in_fold=_total(years, before),
        out_of_fold=years[year],
        configured=scored[0][1][year],
    )


def _best(
    scored: Sequence[tuple[Candidate, dict[int, Figures]]], names: Sequence[int]
) -> tuple[Candidate, dict[int, Figures]]:
    return max(scored, key=lambda one: _total(one[1], names).score)


def _total(years: dict[int, Figures], names: Iterable[int]) -> Figures:
    return sum((years[name] for name in names), Figures())


def _variations(
    first: Candidate, config: CrashDetectionConfig, years: _Years
) -> Iterable[Variation]:
    ranges = {
        "breadth_fall_pct": BREADTH_LEVELS,
        "breadth_share": BREADTH_SHARES,
        "index_fall_1h_pct": INDEX_1H,
        "index_fall_4h_pct": INDEX_4H,
        "confirming_share": CONFIRMING_SHARES,
    }
    limits = asdict(first)
    for name, values in ranges.items():
        for value in values:
            figures = years.figures(Candidate(**{**limits, name: value}).applied(config))
            yield Variation(
                name=name,
                value=value,
                is_configured=value == limits[name],
                all_years=_total(figures, years.names),
            )


def _of(config: CrashDetectionConfig) -> Candidate:
    return Candidate(
        breadth_fall_pct=config.breadth.fall_pct,
        breadth_share=config.breadth.share,
        index_fall_1h_pct=config.market_index.fall_1h_pct,
        index_fall_4h_pct=config.market_index.fall_4h_pct,
        confirming_share=config.confirming_share,
    )


def _drawn(count: int) -> Iterable[Candidate]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=SEED))
    for _ in range(count):
        trial = study.ask()
        yield Candidate(
            breadth_fall_pct=trial.suggest_categorical("breadth_fall_pct", BREADTH_LEVELS),
            breadth_share=trial.suggest_categorical("breadth_share", BREADTH_SHARES),
            index_fall_1h_pct=trial.suggest_categorical("index_fall_1h_pct", INDEX_1H),
            index_fall_4h_pct=trial.suggest_categorical("index_fall_4h_pct", INDEX_4H),
            confirming_share=trial.suggest_categorical("confirming_share", CONFIRMING_SHARES),
        )
