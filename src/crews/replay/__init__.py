"""`replay`: recorded data through the same detectors, crews and gateway on a virtual clock."""

from __future__ import annotations

import logging
import time
from concurrent.futures import ProcessPoolExecutor
from decimal import Decimal
from multiprocessing import get_context

from crews.config_loader import LoadedConfig
from crews.replay.options import ReplayOptions
from crews.replay.report import ReplayReport
from crews.times import time_option
from trading.clock import iso
from trading.errors import ConfigurationError


def run_replay(loaded: LoadedConfig, options: ReplayOptions) -> ReplayReport:
    """Replay the chosen span twice: with the breaker as configured, and with it switched off.

    Raises:
        MarketDataError: the folder has no data for the span.
        ConfigurationError: the configured model cannot be used.
    """
    from crews.replay.driver import ReplayPass
    from trading.simulator.recorded_market import RecordedMarket

    started = time.monotonic()
    start_ms, end_ms = time_option("--from", options.start), time_option("--to", options.end)
    if start_ms is not None and end_ms is not None and start_ms >= end_ms:
        raise ConfigurationError(f"--to = {options.end!r}: not after --from = {options.start!r}")
    source = RecordedMarket.load(
        options.data, window=options.window, start_ms=start_ms, end_ms=end_ms
    )
    # The passes share nothing, so the second runs beside the first, in a process of its own.
    with ProcessPoolExecutor(1, get_context("spawn"), initializer=_without_log) as beside:
        without = beside.submit(ReplayPass(loaded, source, options, breaker_enabled=False).run)
        halting = ReplayPass(loaded, source, options, breaker_enabled=True).run(show_progress=True)
        free = without.result()
    tally = halting.tally
    cents = Decimal("0.00000001")
    return ReplayReport(
        market=source.name,
        start=iso(source.start_ms),
        end=iso(source.end_ms or source.start_ms),
        symbols=halting.symbols,
        llm=halting.llm,
        bars=halting.bars,
        ticks=tally.ticks,
        spikes=halting.counters.get("spikes", 0),
        crew_runs=halting.counters.get("crew runs", 0),
        guardian_runs=halting.guardian_runs,
        agent_decisions=halting.decisions,
        tool_calls=halting.tool_calls,
        orders_sent=halting.orders_sent,
        entries_sent=halting.entries_sent,
        fills=tally.fills,
        trades_closed=tally.trades_closed,
        trips=tuple(tally.trips),
        halted_minutes=round(tally.halted_ms / 60_000, 3),
        entries_after_trip_while_halted=halting.entries_while_halted,
        max_drawdown_pct=round(tally.max_drawdown_pct, 4),
        max_drawdown_pct_without_breaker=round(free.tally.max_drawdown_pct, 4),
        equity_start=halting.equity_start.quantize(cents),
        equity_end=halting.equity_end.quantize(cents),
        equity_end_without_breaker=free.equity_end.quantize(cents),
        capital_saved=(halting.equity_end - free.equity_end).quantize(cents),
        trace_sha256=halting.trace_sha256,
        wall_seconds=round(time.monotonic() - started, 2),
    )


def _without_log() -> None:
    """The second pass trips as often as the first, and nobody is halted by it."""
    logging.getLogger().addHandler(logging.NullHandler())
