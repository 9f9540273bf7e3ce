"""What a report tells: what the store has of a period, and the figures that follow from it."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any

from crews.report.curves import Curve, Curves, curves_of
from crews.report.figures import CurveFigures, TradeFigures, curve_figures, trade_figures
from trading.clock import iso
from trading.errors import ConfigurationError
from trading.model.desk import StoredNote
from trading.model.quality import QualitySummary
from trading.storage.desk_note_repository import DeskNoteRepository
from trading.storage.equity_point_repository import EquityPointRepository
from trading.storage.order_chain import OrderChains
from trading.storage.report_reader import Period, ReportReader, Row

DECISIONS_SHOWN = 100
SAFE = "SAFE"
_ALL_TIME = Period(0, 2**62)


@dataclass(frozen=True, slots=True)
class Asked:
    """What to report on. Times in ms; None: as far as the store goes. ``benchmark`` is a symbol."""

    quote_asset: str
    benchmark: str
    start_ms: int | None = None
    end_ms: int | None = None
    venue: str | None = None


@dataclass(frozen=True, slots=True)
class Zone:
    """A time in which the breaker was in one state."""

    status: str
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class SpikeSummary:
    """Spikes of one type, by what became of them."""

    spike_type: str
    detected: int
    traded: int
    profitable: int
    unprofitable: int
    pnl: Decimal


@dataclass(frozen=True, slots=True)
class Report:
    """Rows are the store's. ``trips`` began a halt, ``retrips`` are further causes while one
    lasted; ``zones`` are the times in which the breaker was not SAFE."""

    venue: str | None
    other_venues: Sequence[str]
    quote_asset: str
    benchmark: str
    start: str | None
    end: str | None
    replay: Row | None
    accounts: int
    accounts_overlap: bool
    equity_start: float | None
    equity_end: float | None
    account: CurveFigures | None
    without_breaker: CurveFigures | None
    holding: CurveFigures | None
    round_trips: TradeFigures
    fees: Decimal
    minutes_by_status: dict[str, float]
    trips: int
    retrips: int
    capital_saved: Decimal
    zones: Sequence[Zone]
    transitions: Sequence[Row]
    trades: Sequence[Row]
    spike_types: Sequence[SpikeSummary]
    spikes: Sequence[Row]
    agents: Sequence[Row]
    decisions: Sequence[Row]
    models: Sequence[Row]
    refusals: Sequence[Row]
    execution: Sequence[QualitySummary]
    notes: Sequence[StoredNote]
    curves: Curves
    period: Period | None

    @property
    def empty(self) -> bool:
        """Whether the store has nothing at all of the period."""
        return self.curves.empty and not any(
            (
                self.transitions,
                self.trades,
                self.spikes,
                self.agents,
                self.refusals,
                self.execution,
                self.notes,
            )
        )

    def for_programs(self) -> dict[str, Any]:
        """Everything but the curves, for JSON."""
        left_out = ("curves", "period")
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in left_out}


def build_report(connection: sqlite3.Connection, asked: Asked) -> Report:
    """Read everything; writes nothing.

    Raises:
        StoreError: the store cannot be read.
        ConfigurationError: the store knows nothing of the venue.
    """
    reader, points = ReportReader(connection), EquityPointRepository(connection)
    venues = tuple(dict.fromkeys((*points.venues(), *reader.venues())))
    if asked.venue is not None and asked.venue not in venues:
        known = f"it knows {', '.join(venues)}" if venues else "it knows no venue yet"
        raise ConfigurationError(f"--venue = {asked.venue!r}: not in this store; {known}")
    venue = asked.venue or (venues[0] if venues else None)
    period = _period(reader.span(), asked)
    if period is None:
        return _report(asked, venue, venues, None, Curves([], [], [], [], [], 0))
    replay = reader.replay()
    curves = curves_of(
        points.measures(venue, *period.bounds) if venue is not None else [],
        reader.account_beginnings(period),
    )
    transitions = reader.breaker_events(period)
    trades = reader.trades(venue, period) if venue is not None else []
    spikes = reader.spikes(period)
    asked_for_a_part = asked.start_ms is not None or asked.end_ms is not None
    return _report(
        asked,
        venue,
        venues,
        period,
        curves,
        replay=replay,
        accounts_overlap=reader.accounts_overlap(),
        transitions=transitions,
        zones=_zones(reader.breaker_status_at(period.start_ms), transitions, period),
        trades=trades,
        spikes=spikes,
        agents=reader.agents(period),
        decisions=reader.traded_decisions(period, DECISIONS_SHOWN),
        # A replay's market time is not the time in which its models were asked.
        models=reader.models(period if asked_for_a_part and replay is None else _ALL_TIME),
        refusals=reader.refusals(period),
        notes=DeskNoteRepository(connection).between(*period.bounds),
        execution=OrderChains(connection).quality_between(*period.bounds, venue) if venue else (),
    )


def _report(
    asked: Asked,
    venue: str | None,
    venues: Sequence[str],
    period: Period | None,
    curves: Curves,
    *,
    replay: Row | None = None,
    accounts_overlap: bool = False,
    transitions: Sequence[Row] = (),
    zones: Sequence[Zone] = (),
    trades: Sequence[Row] = (),
    spikes: Sequence[Row] = (),
    agents: Sequence[Row] = (),
    decisions: Sequence[Row] = (),
    models: Sequence[Row] = (),
    refusals: Sequence[Row] = (),
    execution: Sequence[QualitySummary] = (),
    notes: Sequence[StoredNote] = (),
) -> Report:
    return Report(
        venue=venue,
        other_venues=[name for name in venues if name != venue],
        quote_asset=asked.quote_asset,
        benchmark=asked.benchmark,
        start=iso(period.start_ms) if period else None,
        end=iso(period.end_ms) if period else None,
        replay=replay,
        accounts=curves.accounts,
        accounts_overlap=accounts_overlap,
        equity_start=curves.equity[0][1] if curves.equity else None,
        equity_end=curves.equity[-1][1] if curves.equity else None,
        account=_figures(curves.growth),
        without_breaker=_figures(curves.without_breaker_growth),
        holding=_figures(curves.holding),
        round_trips=trade_figures([float(trade["pnl"]) for trade in trades]),
        fees=sum((Decimal(trade["fees"]) for trade in trades), Decimal(0)),
        minutes_by_status=_minutes(zones, period),
        trips=sum(row["kind"] in ("trip", "relapse") for row in transitions),
        retrips=sum(row["kind"] == "retrip" for row in transitions),
        capital_saved=sum(
            (Decimal(row["capital_saved"]) for row in transitions if row["capital_saved"]),
            Decimal(0),
        ),
        zones=[zone for zone in zones if zone.status != SAFE],
        transitions=transitions,
        trades=trades,
        spike_types=_spike_types(spikes),
        spikes=spikes,
        agents=agents,
        decisions=decisions,
        models=models,
        refusals=refusals,
        execution=execution,
        notes=notes,
        curves=curves,
        period=period,
    )


def _period(span: Period | None, asked: Asked) -> Period | None:
    """What was asked for, or what the store has; None where neither says."""
    start_ms, end_ms = asked.start_ms, asked.end_ms
    if span is not None:
        start_ms = span.start_ms if start_ms is None else start_ms
        end_ms = span.end_ms if end_ms is None else end_ms
    if start_ms is None or end_ms is None:
        return None
    return Period(start_ms, max(start_ms, end_ms))


def _figures(curve: Curve) -> CurveFigures | None:
    return curve_figures([time_ms for time_ms, _ in curve], [value for _, value in curve])


def _zones(first_status: str, transitions: Sequence[Row], period: Period) -> list[Zone]:
    """The whole period, cut where the breaker's status changed."""
    zones: list[Zone] = []
    status, since_ms = first_status, period.start_ms
    for row in transitions:
        if row["to_status"] != status:
            zones.append(Zone(status, since_ms, row["triggered_at_ms"]))
            status, since_ms = row["to_status"], row["triggered_at_ms"]
    zones.append(Zone(status, since_ms, period.end_ms))
    return [zone for zone in zones if zone.end_ms > zone.start_ms]


def _minutes(zones: Sequence[Zone], period: Period | None) -> dict[str, float]:
    minutes: Counter[str] = Counter()
    for zone in zones:
        minutes[zone.status] += zone.end_ms - zone.start_ms
    return {status: round(time_ms / 60_000, 1) for status, time_ms in sorted(minutes.items())}


def _spike_types(spikes: Sequence[Row]) -> list[SpikeSummary]:
    found: list[SpikeSummary] = []
    for spike_type in sorted({spike["spike_type"] for spike in spikes}):
        rows = [spike for spike in spikes if spike["spike_type"] == spike_type]
        found.append(
            SpikeSummary(
                spike_type=spike_type,
                detected=len(rows),
                traded=sum(row["status"] == "traded" for row in rows),
                profitable=sum(row["outcome"] == "profitable" for row in rows),
                unprofitable=sum(row["outcome"] == "unprofitable" for row in rows),
                pnl=sum((Decimal(row["pnl"]) for row in rows if row["pnl"]), Decimal(0)),
            )
        )
    return found
