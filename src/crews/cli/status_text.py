"""The breaker and the running instance in words, for `breaker status` and `status`."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from crews.cli.output import facts
from trading.api.schemas import BreakerView, ComponentHealth, CoreStatus
from trading.clock import iso
from trading.model.breaker import BreakerSnapshot, BreakerStatus, Latch
from trading.model.recovery import RecoveryStatus, ServiceLevel

STYLES = {
    BreakerStatus.SAFE: "bold green",
    BreakerStatus.WARNING: "bold yellow",
    BreakerStatus.TRIGGERED: "bold red",
    BreakerStatus.RECOVERING: "bold blue",
}


def breaker_table(view: BreakerView, now_ms: int | None = None) -> Table:
    """State, reason, times, nearest limit and what holds recovery back."""
    snapshot = view.snapshot
    rows: dict[str, str | Text] = {"breaker": state_line(snapshot)}
    if snapshot.reason:
        rows["reason"] = f"{snapshot.reason} (by {snapshot.actor})"
    rows["since"] = iso(snapshot.changed_at_ms)
    if snapshot.triggered_at_ms is not None and snapshot.is_active:
        rows["tripped at"] = iso(snapshot.triggered_at_ms)
    if snapshot.cooldown_until_ms is not None and snapshot.status is BreakerStatus.TRIGGERED:
        rows["cool-down"] = f"until {iso(snapshot.cooldown_until_ms)}{_left(snapshot, now_ms)}"
    if snapshot.status is BreakerStatus.TRIGGERED:
        rows["quiescent"] = quiescence_text(view)
    if snapshot.causes:
        rows["causes"] = ", ".join(snapshot.causes)
    rows["trips in 24 h"] = str(snapshot.trips_24h)
    rows["sizes"] = f"× {snapshot.size_multiplier:g}"
    if view.market is not None and (worst := view.market.worst) is not None:
        rows["nearest limit"] = (
            f"{worst.name} {_amount(worst.value)} of {_amount(worst.hard_limit)} {worst.unit} "
            f"({worst.share_of_limit:.0%})"
        )
    if view.blockers:
        rows["recovery waits for"] = "; ".join(view.blockers)
    if not view.running:
        rows["core"] = "not running; this is the stored state"
    return facts(rows)


def instance_table(status: CoreStatus) -> Table:
    """The running instance on a few lines."""
    rows: dict[str, str | Text] = {
        "venue": f"{status.venue}{' (dry run)' if status.dry_run else ''}, {status.account}",
        "process": f"{status.process_id}, since {iso(status.started_at_ms)}",
        "market time": iso(status.time_ms),
    }
    if (portfolio := status.portfolio) is not None:
        asset = portfolio.quote_asset
        rows["equity"] = f"{portfolio.equity:,.2f} {asset} ({portfolio.free:,.2f} free)"
        rows["profit and loss"] = (
            f"{portfolio.realized_pnl:+,.2f} realised, {portfolio.unrealized_pnl:+,.2f} open"
        )
        rows["positions"] = (
            ", ".join(f"{p.symbol} {p.quantity.normalize():f}" for p in portfolio.positions)
            or "none"
        )
        rows["open orders"] = str(len(portfolio.open_orders))
    for approval in status.approvals:
        rows[f"approval {approval.id}"] = Text(
            f"waits for you until {iso(approval.expires_at_ms)}: buy "
            f"{approval.quantity.normalize():f} {approval.symbol} at most at "
            f"{approval.limit_price:.8g}; `approvals approve {approval.id}` or "
            f"`approvals refuse {approval.id}`",
            style="bold yellow",
        )
    level = f"{status.level}: {status.level_reason}" if status.level_reason else status.level
    rows["service"] = Text(level, style="" if status.level is ServiceLevel.FULL else "bold yellow")
    rows["recovered"] = _recovery_line(status.recovery)
    for pattern in status.recovery.patterns[:3]:
        rows[f"{pattern.count} × {pattern.kind}"] = (
            f"{pattern.service}: {pattern.last_message}. Look at {pattern.suggestion}"
        )
    for component in status.components:
        rows[component.name] = _health_text(component)
    rows["counters"] = ", ".join(f"{name} {count}" for name, count in status.counters.items())
    return facts(rows)


def _health_text(component: ComponentHealth) -> Text:
    if component.starting:
        return Text("starting", style="yellow")
    mark = ("ok", "green") if component.ok else ("FAILED", "bold red")
    return Text.assemble(mark, f" {component.detail}".rstrip())


def _amount(value: float) -> str:
    """With thousands set apart, and decimals where they matter."""
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.2f}".rstrip("0").rstrip(".")


def _recovery_line(recovery: RecoveryStatus) -> str:
    """How many calls that failed at first came right by repeating."""
    if recovery.recovery_rate is None:
        return "no call has failed"
    ended = recovery.recovered + recovery.given_up
    return f"{recovery.recovery_rate:.1%} of {ended} calls that failed at first"


def state_line(snapshot: BreakerSnapshot) -> Text:
    """State, stage, epoch and latch."""
    text = Text(snapshot.status.value, style=STYLES[snapshot.status])
    if snapshot.status is BreakerStatus.RECOVERING:
        text.append(f" stage {snapshot.stage}", style="default")
    text.append(f", epoch {snapshot.epoch}", style="default")
    if snapshot.latch is Latch.MANUAL:
        text.append(", MANUAL latch: an operator must clear it", style="bold red")
    return text


def quiescence_text(view: BreakerView) -> str:
    """Whether the trip has come to rest: nothing on its way, and two clean snapshots agree."""
    if view.quiescent_at_ms is None:
        return "not yet: orders and account are being settled"
    return f"since {iso(view.quiescent_at_ms)}"


def _left(snapshot: BreakerSnapshot, now_ms: int | None) -> str:
    left_ms = (snapshot.cooldown_until_ms or 0) - (now_ms or 0)
    return f" ({left_ms / 60_000:.1f} min left)" if now_ms is not None and left_ms > 0 else ""
