"""The spikes' section of the page on detection."""

from __future__ import annotations

from crews.evaluation.guardian_text import TextTable, markdown
from crews.evaluation.spike_report import SpikeReport
from crews.evaluation.spike_text import spike_tables, tuning_tables
from trading.market.config import SpikeDetectionConfig
from trading.model.spike import SpikeType


def all_tables(report: SpikeReport) -> tuple[TextTable, ...]:
    """What was found, and what the search found if there was one."""
    tuning = report.get("tuning")
    return spike_tables(report) + (tuning_tables(tuning) if tuning else ())


def spike_page(report: SpikeReport, config: SpikeDetectionConfig) -> str:
    """The section as Markdown."""
    command = "python -m crews.run evaluate spikes --data DIR --report docs/detection.md"
    if report.get("tuning"):
        command += f" --tune {report['tuning']['trials']}"
    return f"""## Spikes

Written by `{command}`,
which plays labelled events, quiet times and a crash's raw trades through the core's own market
engine. Files are found by their names; other pairs, events and years need nothing but files named
alike, and what is absent is left out.

{markdown((_kinds(config), *all_tables(report)))}"""


def _kinds(config: SpikeDetectionConfig) -> TextTable:
    pair, book, futures = config.default_thresholds, config.imbalance, config.divergence
    asked = f"of {config.min_notional_usd:,.0f} USD or more"
    rows = {
        SpikeType.PRICE: (
            f"{pair.one_minute_pct:g} % in 1 min, {pair.five_minutes_pct:g} % in 5,"
            f" {pair.fifteen_minutes_pct:g} % in 15 (less for BTC and ETH), at least"
            f" {config.min_z_score:g} deviations, on {config.price_min_volume_multiple:g} times the"
            f" usual volume, {asked}",
            "trades; at the trade",
        ),
        SpikeType.VOLUME: (
            f"a minute {config.volume_sigma:g} deviations above the day's and"
            f" {config.volume_multiple:g} times the usual, {asked}, with"
            f" {config.volume_min_move_share:.0%} of a price threshold's move",
            "trades; at the trade",
        ),
        SpikeType.IMBALANCE: (
            f"{book.ratio:g} to 1 in the best {book.levels} levels with"
            f" {book.min_notional_usd / 1e6:g} M USD, held {book.hold_s:g} s",
            "partial order books, a view a second",
        ),
        SpikeType.DIVERGENCE: (
            f"{futures.pct:g} % between perpetual and spot, held {futures.hold_s:g} s",
            "futures prices",
        ),
        SpikeType.LIQUIDATION: (
            f"{config.liquidation.usd_5m / 1e6:g} M USD of one asset within 5 min",
            "forced futures orders",
        ),
        SpikeType.NEWS: (
            f"a move of more than {config.news.move_pct:g} % within {config.news.within_s} s, no"
            " farther than that from a headline of the pair",
            "headlines and trades; at the headline, then once a second",
        ),
    }
    return TextTable(
        title="What is a spike",
        note=(
            "A kind whose feed the venue does not have, or that is switched off, gives no spikes;"
            " nothing else hangs on it. A pair and direction stays quiet for"
            f" {config.cooldown_s} s after a spike of any kind. Deviations and usual volume are"
            " those of the last 24 h, or of as much of them as is known since the start."
        ),
        header=("kind", "limits, as configured", "feed it needs"),
        rows=tuple((kind.value, *row) for kind, row in rows.items()),
    )
