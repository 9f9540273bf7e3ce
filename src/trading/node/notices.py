"""What the messages say."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal

from trading.clock import utc
from trading.events import FundingCameLate, PositionChanged
from trading.model.breaker import BreakerSnapshot, BreakerStatus, Latch
from trading.model.operations import Approval, LiquidationReport, LiquidationStatus
from trading.model.order import Position
from trading.model.portfolio import Portfolio
from trading.node.notifier import Notification
from trading.node.notify_config import NotificationLevel
from trading.risk.breaker_config import CircuitBreakerConfig, PositionsPolicy
from trading.storage.audit_chain import AuditHead

SHOWN_PRICES = 5
LONGEST_LINE = 500

_DONE_TO_POSITIONS = {
    PositionsPolicy.KEEP_WITH_TIGHT_STOPS: "positions stay, their stops move up to {tight} % below "
    "the price",
    PositionsPolicy.CLOSE_AT_MARKET: "positions are sold at market",
    PositionsPolicy.LEAVE: "positions and their stops stay as they are",
}


def halted(
    snapshot: BreakerSnapshot,
    config: CircuitBreakerConfig,
    venue: str,
    prices: dict[str, float],
    portfolio: Portfolio | None,
    head: AuditHead | None,
) -> Notification:
    """When and why, prices, positions, what was done, what happens next.

    The audit log's head goes along: a copy of it where nobody at the machine can change it.
    """
    done = _DONE_TO_POSITIONS[config.positions_policy].format(tight=config.tight_stop_pct)
    entries = "open entries are cancelled" if config.trip_cancels_entries else "open entries stay"
    lines = [
        f"Time: {_moment(snapshot.changed_at_ms)}",
        f"Reason: {snapshot.reason} ({snapshot.actor})",
        f"Prices: {_prices(prices)}",
        f"Positions: {_positions(portfolio)}",
        f"Done: no new entry is sent; {entries}; {done}.",
        f"Next: {_next(snapshot)}",
        _audited(head),
    ]
    return Notification(
        NotificationLevel.CRITICAL,
        f"HALTED on {venue}: {snapshot.reason}"[:120],
        "\n".join(lines),
        key=f"halted {snapshot.epoch}",
    )


def at_rest(snapshot: BreakerSnapshot, cancelled: int, positions: int) -> Notification:
    """The halt's work is done and confirmed."""
    return Notification(
        NotificationLevel.HIGH,
        f"The halt of epoch {snapshot.epoch} has come to rest",
        f"{cancelled} entries cancelled, {positions} positions handled; the venue's account "
        f"agrees.\nNext: {_next(snapshot)}",
        key=f"rest {snapshot.epoch}",
    )


def recovering(snapshot: BreakerSnapshot) -> Notification:
    return Notification(
        NotificationLevel.HIGH,
        f"Recovery stage {snapshot.stage}: sizes at {snapshot.size_multiplier:.0%}",
        f"{snapshot.reason}\nA soft breach halts again.",
        key=f"recovering {snapshot.epoch} {snapshot.stage}",
    )


def recovered(
    snapshot: BreakerSnapshot,
    began_ms: int | None,
    saved: Decimal | None,
    head: AuditHead | None,
) -> Notification:
    """Time, result, capital saved. ``began_ms`` is when the halt began, where that is known."""
    ended_ms = snapshot.changed_at_ms
    took, since = "", ""
    if began_ms is not None:
        took = f" after {timedelta(seconds=(ended_ms - began_ms) // 1000)}"
        since = f"; halted since {_moment(began_ms)}"
    worth = "not known" if saved is None else f"{saved:+,.2f} against no breaker, in quote asset"
    return Notification(
        NotificationLevel.HIGH,
        f"Trading again{took}",
        f"Time: {_moment(ended_ms)}{since}\n"
        f"Result: SAFE, {snapshot.reason} ({snapshot.actor})\nCapital saved: {worth}\n"
        f"{_audited(head)}",
        key=f"recovered {snapshot.epoch}",
    )


def warned(snapshot: BreakerSnapshot) -> Notification:
    return Notification(
        NotificationLevel.WARNING,
        f"WARNING: sizes at {snapshot.size_multiplier:.0%}",
        f"{snapshot.reason} ({snapshot.actor})",
        key=f"warned {snapshot.reason}",
    )


def approval_wanted(approval: Approval) -> Notification:
    until = f"{utc(approval.expires_at_ms):%H:%M:%S} UTC"
    return Notification(
        NotificationLevel.HIGH,
        f"Approve? Buy {_plain(approval.quantity)} {approval.symbol}",
        f"At most at {approval.limit_price:.8g}, {approval.notional:,.2f} in all, until {until}.\n"
        f"{approval.proposal.reasoning[:LONGEST_LINE]}\n"
        f"spikeguard approvals approve {approval.id}   (or: refuse {approval.id})",
        key=f"approval {approval.id}",
    )


def liquidated(report: LiquidationReport) -> Notification:
    flat = report.status is LiquidationStatus.FLAT
    sold = ", ".join(
        f"{one.symbol} {_plain(one.sold)} of {_plain(one.quantity)}" for one in report.positions
    )
    lines = [f"Reason: {report.reason}", f"Sold: {sold or 'nothing was held'}"]
    lines.append(f"Slippage: {report.slippage_cost:,.2f} in quote asset")
    lines += [f"Left: {problem}" for problem in report.problems]
    lines.append("Entries stay halted until `emergency resume-entries`.")
    return Notification(
        NotificationLevel.HIGH if flat else NotificationLevel.CRITICAL,
        "Liquidation: flat" if flat else "Liquidation: NOT flat",
        "\n".join(lines),
        key=f"liquidation {report.started_at_ms}",
    )


def closing_pnl(event: PositionChanged) -> Decimal:
    """What a closed position earned: its trade's word, which reports and equity agree with."""
    return event.pnl if event.pnl is not None else event.position.realized_pnl


def position_closed(event: PositionChanged) -> Notification:
    position = event.position
    return Notification(
        NotificationLevel.INFO,
        f"{position.symbol} closed, P&L {closing_pnl(event):+.2f}",
        f"Bought at {position.average_entry_price:.8g} on {_moment(position.opened_at_ms)}; "
        f"fees {position.fees_paid:.2f}",
        key=f"closed {position.symbol} {position.opened_at_ms}",
    )


def funding_came_late(event: FundingCameLate) -> Notification:
    return Notification(
        NotificationLevel.INFO,
        f"{event.symbol}: funding of {event.amount:+.2f}, P&L {event.pnl:+.2f}",
        "It was told after the position had closed; the trade's P&L has it in now.",
        key=f"funding {event.symbol} {event.amount} {event.pnl}",
    )


def _next(snapshot: BreakerSnapshot) -> str:
    if snapshot.latch is Latch.MANUAL:
        return (
            "nothing until a person releases the latch: spikeguard breaker clear "
            f'--reason "…" --epoch {snapshot.epoch}'
        )
    if snapshot.status is BreakerStatus.TRIGGERED and snapshot.cooldown_until_ms is not None:
        until = f"{utc(snapshot.cooldown_until_ms):%H:%M} UTC"
        return f"cool-down until {until}, then recovery in stages once the causes are clear"
    return "recovery in stages once the causes are clear"


def _moment(time_ms: int) -> str:
    return f"{utc(time_ms):%Y-%m-%d %H:%M:%S} UTC"


def _audited(head: AuditHead | None) -> str:
    return f"Audit log: {head}" if head is not None else "Audit log: not noted yet"


def _prices(prices: dict[str, float]) -> str:
    shown = list(prices.items())[:SHOWN_PRICES]
    return ", ".join(f"{symbol} {price:,.6g}" for symbol, price in shown) or "not known"


def _positions(portfolio: Portfolio | None) -> str:
    if portfolio is None:
        return "not known at this moment"
    if not portfolio.positions:
        return f"none; equity {portfolio.equity:,.2f} {portfolio.quote_asset}"
    return "; ".join(_held(portfolio.positions, portfolio.prices))


def _held(positions: Iterable[Position], prices: dict[str, Decimal]) -> Iterable[str]:
    for held in positions:
        price = prices.get(held.symbol, held.average_entry_price)
        stop = f", stop {held.stop_price:.8g}" if held.stop_price is not None else ", no stop"
        yield (
            f"{held.symbol} {_plain(held.quantity)} at {held.average_entry_price:.8g} "
            f"(now {price:.8g}, {held.unrealized_pnl(price):+.2f}{stop})"
        )


def _plain(quantity: Decimal) -> str:
    return f"{quantity.normalize():f}"
