"""What `live` was asked to do on the command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trading.simulator.server.fault_config import FaultScheduleConfig


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """Command-line options of `live`; None means: as the configuration says."""

    venue: str | None = None  # sim, testnet, demo, binance
    dry_run: bool = False
    data: Path | None = None  # recorded market for venue sim
    window: str | None = None  # window of --data to play
    start_ms: int | None = None  # market time within the window at which to begin
    scenario: str | None = None  # generated market for venue sim
    speed: float = 1.0  # market seconds per wall second, venue sim only
    faults: FaultScheduleConfig | None = None  # what goes wrong on venue sim, and when
    duration_s: float | None = None  # stop by itself after this many wall seconds
    json_lines: bool = False  # one JSON status per second instead of the view
    plain: bool = False  # log lines instead of the view (also when not a terminal)
