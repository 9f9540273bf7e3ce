"""A report as one HTML file that needs nothing else.

Symbols, reasons and rationales come from venues, operators and models: the template escapes
everything but the charts, whose own texts are escaped where they are drawn. The page forbids itself
scripts and requests (Content-Security-Policy), so that nothing that got through could do anything.
"""

from __future__ import annotations

from decimal import Decimal
from importlib.metadata import version
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from crews.report.chart import Line, Mark, line_chart
from crews.report.content import Report
from crews.report.curves import Curve
from crews.report.figures import MIN_RETURNS
from trading.clock import duration_text, utc

ROWS_SHOWN = 500
NOTHING = "–"


def render(report: Report) -> str:
    """The whole page."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        money=_money,
        signed=_signed,
        percent=_percent,
        number=_number,
        moment=_moment,
        duration=_duration,
        time_taken=duration_text,
    )
    return environment.get_template("page.html.j2").render(
        report=report,
        equity_chart=_equity_chart(report),
        growth_chart=_growth_chart(report),
        rows_shown=ROWS_SHOWN,
        min_returns=MIN_RETURNS,
        version=version("spikeguard"),
    )


def _equity_chart(report: Report) -> Markup | None:
    curves = report.curves
    if curves.empty or report.period is None:
        return None
    lines = [Line(curves.equity, "equity")]
    if curves.without_breaker:
        lines.insert(0, Line(curves.without_breaker, "twin"))
    return line_chart(
        lines,
        report.zones,
        _marks(report),
        start_ms=report.period.start_ms,
        end_ms=report.period.end_ms,
        label=f"Equity in {report.quote_asset} with the states of the circuit breaker",
        unit=_axis_amount,
    )


def _growth_chart(report: Report) -> Markup | None:
    curves = report.curves
    if not curves.holding or report.period is None:
        return None
    lines = [
        Line(_gains(curves.holding), "holding"),
        Line(_gains(curves.without_breaker_growth), "twin"),
        Line(_gains(curves.growth), "equity"),
    ]
    return line_chart(
        [line for line in lines if line.curve],
        report.zones,
        (),
        start_ms=report.period.start_ms,
        end_ms=report.period.end_ms,
        label=f"Gain since the start against holding {report.benchmark}, in per cent",
        unit=lambda value: f"{value:+.4g} %",
    )


def _axis_amount(value: float) -> str:
    """With as many decimals as it has: 9,997.5 between 9,995 and 10,000."""
    return f"{value:,.6f}".rstrip("0").rstrip(".")


def _gains(growth: Curve) -> Curve:
    return [(time_ms, (level - 1) * 100) for time_ms, level in growth]


def _marks(report: Report) -> list[Mark]:
    return [
        Mark(
            trade["closed_at_ms"],
            "won" if Decimal(trade["pnl"]) > 0 else "lost",
            f"{trade['symbol']} {_signed(trade['pnl'])}, {trade['exit_reason']}, "
            f"{_moment(trade['closed_at_ms'])}",
        )
        for trade in report.trades
    ]


def _money(value: float | Decimal | str | None) -> str:
    return NOTHING if value is None else f"{Decimal(str(value)):,.2f}"


def _signed(value: float | Decimal | str | None) -> str:
    return NOTHING if value is None else f"{Decimal(str(value)):+,.2f}"


def _percent(fraction: float | None, digits: int = 2) -> str:
    return NOTHING if fraction is None else f"{fraction * 100:.{digits}f} %"


def _number(value: float | Decimal | str | None, digits: int = 2) -> str:
    return NOTHING if value is None else f"{Decimal(str(value)):,.{digits}f}"


def _duration(minutes: float) -> str:
    """Two units at the most: 12.5 min, 3 h 20 min, 2 d 5 h."""
    if minutes < 60:
        return f"{minutes:.1f} min"
    whole = round(minutes)
    if whole < 24 * 60:
        return f"{whole // 60} h {whole % 60} min"
    return f"{whole // 1440} d {whole % 1440 // 60} h"


def _moment(time_ms: int | None) -> str:
    return NOTHING if time_ms is None else f"{utc(time_ms):%Y-%m-%d %H:%M:%S}"
