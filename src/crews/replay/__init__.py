"""`replay`: recorded data through the same detectors, crews and gateway on a virtual clock."""

from __future__ import annotations

import logging
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from decimal import Decimal
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from crews.config_loader import LoadedConfig
from crews.replay.options import ReplayOptions
from crews.replay.report import ReplayReport
from crews.report import write_report
from crews.report.content import Asked
from crews.times import time_option
from trading.clock import SystemClock, iso
from trading.errors import ConfigurationError
from trading.storage.database import open_database, transaction
from trading.storage.equity_point_repository import EquityPointRepository

if TYPE_CHECKING:
    from crews.replay.driver import PassResult
    from trading.simulator.recorded_market import RecordedMarket


def run_replay(loaded: LoadedConfig, options: ReplayOptions) -> ReplayReport:
    """Replay the chosen span twice: with the breaker as configured, and with it switched off.

    Raises:
        MarketDataError: the folder has no data for the span.
        ConfigurationError: the configured model cannot be used.
    """
    from trading.simulator.recorded_market import RecordedMarket

    started = time.monotonic()
    start_ms, end_ms = time_option("--from", options.start), time_option("--to", options.end)
    if start_ms is not None and end_ms is not None and start_ms >= end_ms:
        raise ConfigurationError(f"--to = {options.end!r}: not after --from = {options.start!r}")
    _require_places(options)
    source = RecordedMarket.load(
        options.data, window=options.window, start_ms=start_ms, end_ms=end_ms
    )
    with tempfile.TemporaryDirectory(prefix="spikeguard-report-") as folder:
        store = options.store
        if store is None and options.report is not None:
            store = Path(folder) / "replay.sqlite3"
        report = _replay(loaded, source, options, store, started)
        if store is not None and options.report is not None:
            _write_page(loaded, store, options.report)
    return report


def _require_places(options: ReplayOptions) -> None:
    """Where the results go must be there before the minutes that it takes to have them."""
    places = {"--report": options.report, "--store": options.store, "--trace": options.trace}
    for option, path in places.items():
        if path is not None and not path.absolute().parent.is_dir():
            raise ConfigurationError(f"{option} = {path}: there is no folder {path.parent}")
    if options.store is not None and options.store.exists():
        raise ConfigurationError(f"--store = {options.store}: is there already; name a new file")


def _replay(
    loaded: LoadedConfig,
    source: RecordedMarket,
    options: ReplayOptions,
    store: Path | None,
    started: float,
) -> ReplayReport:
    """Both passes; ``store`` keeps that with the breaker, and the other's equity beside it."""
    from crews.replay.driver import ReplayPass

    first = ReplayPass(loaded, source, options, breaker_enabled=True, store=store)
    first.require_usable_models()
    # The passes share nothing, so the second runs beside the first, in a process of its own.
    with ProcessPoolExecutor(1, get_context("spawn"), initializer=_without_log) as beside:
        without = beside.submit(ReplayPass(loaded, source, options, breaker_enabled=False).run)
        halting = first.run(show_progress=True)
        free = without.result()
    tally = halting.tally
    cents = Decimal("0.00000001")
    report = ReplayReport(
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
        agent_failures=halting.failures,
        last_failure=halting.last_failure,
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
    if store is not None:
        _keep(loaded, store, halting, free, report)
    return report


def _keep(
    loaded: LoadedConfig, store: Path, halting: PassResult, free: PassResult, report: ReplayReport
) -> None:
    """Put into the store what only both passes together tell."""
    storage = loaded.config.storage.model_copy(update={"path": store})
    connection = open_database(storage, durable=False, check=False)
    try:
        with transaction(connection, "keeping the replay"):
            points = EquityPointRepository(connection)
            without = [(point.time_ms, point.equity) for point in free.equity_points]
            points.set_without_breaker(halting.venue, without)
            points.add_replay(report.model_dump_json(), SystemClock().now_ms())
    finally:
        connection.close()


def _write_page(loaded: LoadedConfig, store: Path, out: Path) -> None:
    market = loaded.config.market
    storage = loaded.config.storage.model_copy(update={"path": store})
    write_report(storage, Asked(market.quote_asset, market.btc_symbol), out)


def _without_log() -> None:
    """The second pass trips as often as the first, and nobody is halted by it."""
    logging.getLogger().addHandler(logging.NullHandler())
