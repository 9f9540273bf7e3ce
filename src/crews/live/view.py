"""The terminal view of a running instance: one screen, drawn from one ``CoreStatus``."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from rich.console import (
    Console,
    ConsoleOptions,
    Group,
    JustifyMethod,
    RenderableType,
    RenderResult,
)
from rich.layout import Layout
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from trading.api.schemas import CoreStatus, Portfolio, SpikeView
from trading.clock import utc
from trading.model.breaker import BreakerStatus, Latch
from trading.model.metrics import Metric
from trading.model.spike import SpikeDirection, SpikeStatus, SpikeType

STATE_STYLE = {
    BreakerStatus.SAFE: "bold white on green4",
    BreakerStatus.WARNING: "bold black on yellow3",
    BreakerStatus.TRIGGERED: "bold white on red3",
    BreakerStatus.RECOVERING: "bold white on dodger_blue3",
}
LEVEL_STYLE = {"notice": "cyan", "warning": "yellow", "critical": "bold red"}
SPIKE_STYLE = {
    SpikeStatus.DETECTED: "yellow",
    SpikeStatus.ANALYZED: "cyan",
    SpikeStatus.TRADED: "green",
    SpikeStatus.SKIPPED: "bright_black",
}
BAR_WIDTH = 18  # at most
METRIC_TEXT_WIDTH = 33  # a metric's name and value, with the panel's frame
WIDE = 110  # columns from which two columns of panels fit
# What was seen where that is no move over a span of time.
TRIGGER_NAMES = {
    SpikeType.VOLUME: "vol",
    SpikeType.DIVERGENCE: "fut",
    SpikeType.IMBALANCE: "book",
    SpikeType.LIQUIDATION: "liq",
    SpikeType.NEWS: "news",
}
LEFT_WIDTH = 60  # the spikes with their outcome, when wide


def render(status: CoreStatus, note: str = "") -> RenderableType:
    """The whole screen for ``status``, for any terminal from 80 columns and 24 rows on; ``note``
    is what the supervisor did last."""
    return _Screen(status, note)


@dataclass(frozen=True, slots=True)
class _Screen:
    """Lays its panels out for the terminal it is drawn on, at every drawing anew."""

    status: CoreStatus
    note: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width, height = options.max_width, options.height or console.height
        status, wide = self.status, width >= WIDE
        left = max(LEFT_WIDTH, width * 4 // 10) if wide else width // 2 - 2
        metrics = Layout(_metrics(status, left - METRIC_TEXT_WIDTH), size=left)
        portfolio = Layout(_portfolio(status.portfolio, brief=not wide))
        spikes, activity = _spikes(status.spikes, header=height >= 30), _activity(status)
        middle, bottom = Layout(size=_middle_height(status, height)), Layout()
        middle.split_row(metrics, portfolio)
        if wide:
            bottom.split_row(Layout(spikes, size=left), Layout(activity))
        else:
            bottom.split_column(Layout(spikes, ratio=2), Layout(activity, ratio=3))
        screen = Layout()
        screen.split_column(
            Layout(_header(status, self.note), size=5),
            middle,
            bottom,
            Layout(_counts(status), size=1),
        )
        yield from console.render(screen, options)


def _middle_height(status: CoreStatus, height: int) -> int:
    """Rows for metrics and portfolio: what they need, with half the screen as the limit."""
    market, portfolio = status.breaker.market, status.portfolio
    held = len(portfolio.positions) + len(portfolio.open_orders) if portfolio else 0
    needed = max(len(market.metrics) if market else 0, held + 4)
    return min(needed + 2, max(height // 2, 5))


def state_text(status: CoreStatus) -> Text:
    """The breaker's state in its colour, with epoch, latch and stage."""
    snapshot = status.breaker.snapshot
    text = Text(f" {snapshot.status} ", style=STATE_STYLE[snapshot.status])
    text.append(f"  epoch {snapshot.epoch}", style="default")
    if snapshot.latch is Latch.MANUAL:
        text.append("  MANUAL latch: an operator must clear it", style="bold red")
    if snapshot.status is BreakerStatus.RECOVERING:
        text.append(f"  stage {snapshot.stage}")
    text.append(f"  size × {snapshot.size_multiplier:g}")
    return text


def _header(status: CoreStatus, note: str) -> Panel:
    snapshot = status.breaker.snapshot
    first = state_text(status)
    second = Text()
    if snapshot.status is BreakerStatus.TRIGGERED:
        quiescent = status.breaker.quiescent_at_ms is not None
        second.append("quiescent   " if quiescent else "not quiescent yet   ")
    if snapshot.reason and snapshot.status is not BreakerStatus.SAFE:
        second.append(f"{snapshot.actor}: {snapshot.reason}", style="bold")
    remaining_ms = (snapshot.cooldown_until_ms or 0) - status.time_ms
    if snapshot.status is BreakerStatus.TRIGGERED and remaining_ms > 0:
        second.append(f"   cool-down {remaining_ms / 60_000:.1f} min")
    third = Text(overflow="ellipsis", no_wrap=True)
    for component in status.components:
        if component.starting:
            third.append(f"◌ {component.name} starting  ", style="yellow")
            continue
        third.append("● " if component.ok else "✖ ", style="green" if component.ok else "bold red")
        problem = f" {component.detail}" if component.detail and not component.ok else ""
        third.append(f"{component.name}{problem}  ", style="default" if component.ok else "red")
    title = (
        f"spikeguard · {status.venue}{' · dry run' if status.dry_run else ''} · "
        f"{utc(status.time_ms):%Y-%m-%d %H:%M:%S} UTC · pid {status.process_id}"
    )
    return Panel(
        Group(first, second, third),
        title=title,
        title_align="left",
        subtitle=Text(note, style="yellow") if note else None,
        subtitle_align="left",
    )


def _metrics(status: CoreStatus, free_width: int) -> Panel:
    market = status.breaker.market
    bar_width = max(0, min(free_width, BAR_WIDTH))
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, width=bar_width)
    table.add_column(justify="right", no_wrap=True)
    if market is None:
        return Panel(Text("no market data yet"), title="crash metrics", title_align="left")
    for metric in market.metrics:
        name = metric.name.replace("_drawdown_", " fall ").replace("_", " ")
        if metric.ready:
            value = f"{metric.value:.1f} of {metric.hard_limit:g} {metric.unit}"
            table.add_row(name, _bar(metric, bar_width), value)
        else:
            table.add_row(name, Text("─" * bar_width, style="bright_black"), "filling")
    health = "" if market.healthy else f" · UNSAFE DATA: {market.problem}"
    return Panel(table, title=Text(f"crash metrics{health}"), title_align="left")


def _bar(metric: Metric, width: int) -> Text:
    """A bar up to the hard limit, with a tick where WARNING begins."""
    share = max(0.0, min(metric.share_of_limit, 1.0))
    filled = round(share * width)
    soft_at = round(metric.soft_limit / metric.hard_limit * width) if metric.hard_limit else 0
    style = "red" if share >= 1 else "yellow" if metric.value >= metric.soft_limit else "green"
    text = Text()
    for cell in range(width):
        if cell < filled:
            text.append("█", style=style)
        else:
            text.append("┊" if cell == soft_at else "·", style="bright_black")
    return text


def _portfolio(portfolio: Portfolio | None, *, brief: bool) -> Panel:
    if portfolio is None:
        return Panel(Text("account not read yet"), title="portfolio", title_align="left")
    summary = Text(
        f"equity {_money(portfolio.equity)} {portfolio.quote_asset}   "
        f"free {_money(portfolio.free)}   exposure {_money(portfolio.exposure)}\n"
    )
    for label, value in (
        ("realised ", portfolio.realized_pnl),
        ("   open ", portfolio.unrealized_pnl),
    ):
        summary.append(label)
        summary.append(f"{value:+,.2f}", style="green" if value >= 0 else "red")
    table = Table(expand=True, box=None, padding=(0, 1, 0, 0), header_style="bright_black")
    for column in ("", "symbol", "quantity", "price", "stop", "P&L"):
        justify: JustifyMethod = "left" if column in ("", "symbol") else "right"
        table.add_column(column, justify=justify, no_wrap=True)
    for position in portfolio.positions:
        price = portfolio.prices.get(position.symbol, position.average_entry_price)
        pnl = position.unrealized_pnl(price)
        table.add_row(
            "held",
            position.symbol,
            f"{position.quantity.normalize():f}",
            f"{position.average_entry_price:.6g}",
            f"{position.stop_price:.6g}" if position.stop_price else "none",
            Text(f"{pnl:+,.2f}", style="green" if pnl >= 0 else "red"),
        )
    for order in portfolio.open_orders:
        table.add_row(
            order.side.lower(),
            order.symbol,
            f"{order.quantity.normalize():f}",
            f"{order.limit_price:.6g}" if order.limit_price else "market",
            f"{order.trigger_price:.6g}" if order.trigger_price else "",
            order.type.lower().replace("_", " "),
            style="cyan",
        )
    if brief:
        del table.columns[3], table.columns[0]  # price, kind
    return Panel(Group(summary, table), title="equity, positions, orders", title_align="left")


def _spikes(spikes: tuple[SpikeView, ...], *, header: bool) -> Panel:
    table = Table(
        expand=True,
        box=None,
        padding=(0, 1, 0, 0),
        header_style="bright_black",
        show_header=header,
    )
    table.add_column("time", no_wrap=True, min_width=8)
    table.add_column("symbol", no_wrap=True, min_width=8)
    table.add_column("move", justify="right", no_wrap=True, min_width=12)
    table.add_column("vol", justify="right", no_wrap=True, min_width=4)
    table.add_column("conf", justify="right", no_wrap=True, min_width=4)
    table.add_column("outcome", no_wrap=True, overflow="ellipsis", ratio=1)
    for view in spikes:
        spike = view.spike
        why = view.note.rpartition(" %: ")[2]  # without pair and move, which the row shows
        arrow = "▲" if spike.direction is SpikeDirection.UP else "▼"
        seen = TRIGGER_NAMES.get(spike.type, f"{spike.timeframe_minutes}m")
        table.add_row(
            f"{utc(spike.detected_at_ms):%H:%M:%S}",
            spike.symbol,
            Text(
                f"{arrow} {spike.magnitude_pct:+.1f} % {seen}",
                style="green" if spike.direction is SpikeDirection.UP else "red",
            ),
            f"×{spike.volume_multiple:.1f}",
            f"{spike.confidence:.2f}",
            Text(f"{view.status} {why}".rstrip(), style=SPIKE_STYLE[view.status]),
        )
    return Panel(table, title="spikes", title_align="left")


def _activity(status: CoreStatus) -> Panel:
    table = Table.grid(padding=(0, 1, 0, 0), expand=True)
    table.add_column(style="bright_black", no_wrap=True, width=8)
    table.add_column(style="magenta", no_wrap=True, width=10)
    table.add_column(ratio=1)
    for entry in status.activity:
        text = Text(entry.text, style=LEVEL_STYLE.get(entry.level, "default"))
        table.add_row(f"{utc(entry.time_ms):%H:%M:%S}", entry.source, text)
    return Panel(table, title="agents and events", title_align="left")


def _counts(status: CoreStatus) -> Text:
    """What has been counted so far; what has not happened is left out."""
    counts = " · ".join(f"{name} {count}" for name, count in status.counters.items() if count)
    return Text(f"  {counts}", style="bright_black", overflow="ellipsis", no_wrap=True)


def _money(value: Decimal) -> str:
    return f"{value:,.2f}"
