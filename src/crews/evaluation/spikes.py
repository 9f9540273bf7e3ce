"""``evaluate spikes``: plays everything that a directory holds for the spike detectors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from crews.evaluation.spike_outcome import NaturalOutcome, PumpOutcome
from crews.evaluation.spike_tape import TapeResult, play_tape
from crews.evaluation.spike_trials import QuietSpan, SpikeArchive
from trading.market.config import SpikeDetectionConfig
from trading.model.spike import Spike

# More rises of thin pairs to hold the pumps against than the detector would ever report.
_LOOSE = {"min_notional_usd": 1_000.0, "price_min_volume_multiple": 1.0, "min_confidence": 0.5}


@dataclass(frozen=True, slots=True)
class SpikeResults:
    """Everything the report and the plots are made of."""

    archive: SpikeArchive
    pumps: tuple[PumpOutcome, ...]
    loose_before: tuple[tuple[Spike, ...], ...]  # rises before each pump, with loose thresholds
    days_before: tuple[tuple[Spike, ...], ...]
    days: float
    natural: tuple[NaturalOutcome, ...]
    quiet: tuple[tuple[QuietSpan, tuple[Spike, ...]], ...]
    tapes: tuple[TapeResult, ...]


def evaluate_spikes(
    archive: SpikeArchive,
    config: SpikeDetectionConfig,
    progress: Callable[[str], None] = lambda _: None,
) -> SpikeResults:
    """Play everything there is."""

    def told(text: str) -> None:
        progress(f"playing {text}")

    pumps, before, loose_before = [], [], []
    loose = config.model_copy(update=_LOOSE)
    for pump in archive.pumps:
        told(pump.name)
        pumps.append(archive.judge_pump(pump, config))
        loose_before.append(tuple(archive.rises_before(pump, loose)))
        before.append(archive.play_days_before(pump, config))
    quiet = []
    for span in archive.quiet:
        told(span.name)
        quiet.append((span, tuple(archive.play_quiet(span, config))))
    told("natural moves and tapes")
    return SpikeResults(
        archive=archive,
        pumps=tuple(pumps),
        loose_before=tuple(loose_before),
        days_before=tuple(tuple(spikes) for spikes, _ in before),
        days=sum(days for _, days in before),
        natural=tuple(
            archive.judge_natural(move, config)
            for move in archive.natural
            if archive.has_past(move)
        ),
        quiet=tuple(quiet),
        tapes=tuple(play_tape(tape, config) for tape in archive.tapes),
    )
