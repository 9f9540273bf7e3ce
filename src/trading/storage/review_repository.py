"""Closed trades that wait for their look back, and what came of it."""

from __future__ import annotations

from trading.clock import MINUTE_MS, iso
from trading.model.review import TradeReview, TradeToReview
from trading.storage.repository import Repository, from_json, to_json

# The figures of the detector and the risk engine; no text that a model wrote.
_NEXT = """
SELECT t.id, t.spike_event_id, t.symbol, t.entry_price, t.exit_price, t.quantity, t.pnl, t.fees,
    t.exit_reason, t.opened_at_ms, t.closed_at_ms, s.spike_type, s.magnitude_percent,
    s.timeframe_minutes, s.volume_multiplier, s.confidence_score, s.isolated_share,
    s.pump_likelihood, s.severity, s.co_movement, s.risk_assessment
FROM trades AS t JOIN spike_events AS s ON s.id = t.spike_event_id
WHERE t.reviewed_at_ms IS NULL AND t.closed_at_ms >= ?
ORDER BY t.closed_at_ms, t.id LIMIT 1
"""


class ReviewRepository(Repository):
    """Reads trades, writes the outcome of their reviews."""

    def next(self, since_ms: int) -> TradeToReview | None:
        """The oldest trade closed since then and not reviewed yet."""
        row = self._row(_NEXT, (since_ms,))
        if row is None:
            return None
        entry, exit_price = float(row["entry_price"]), float(row["exit_price"])
        quantity, pnl = float(row["quantity"]), float(row["pnl"])
        spent = entry * quantity
        risk = from_json(row["risk_assessment"]) or {}
        return TradeToReview(
            trade_id=row["id"],
            spike_id=row["spike_event_id"],
            symbol=row["symbol"],
            entry_price=entry,
            exit_price=exit_price,
            quantity=quantity,
            pnl=round(pnl, 8),
            pnl_pct=round(pnl / spent * 100, 4) if spent else 0.0,
            fees=float(row["fees"]),
            exit_reason=row["exit_reason"],
            held_minutes=max(
                0.0, round((row["closed_at_ms"] - row["opened_at_ms"]) / MINUTE_MS, 2)
            ),
            spike={
                "type": row["spike_type"],
                "magnitude_pct": row["magnitude_percent"],
                "timeframe_minutes": row["timeframe_minutes"],
                "volume_multiple": row["volume_multiplier"],
                "confidence": row["confidence_score"],
                "isolated_share": row["isolated_share"],
                "pump_likelihood": row["pump_likelihood"],
                "severity": row["severity"],
                "co_movement": row["co_movement"],
                "stop_loss_pct": risk.get("stop_loss_pct"),
                "take_profit_pct": risk.get("take_profit_pct"),
            },
        )

    def finish(self, review: TradeReview, now_ms: int) -> None:
        """Close a review; one that found nothing is not tried again."""
        self._execute(
            "UPDATE trades SET reviewed_at = ?, reviewed_at_ms = ? WHERE id = ?",
            (iso(now_ms), now_ms, review.trade_id),
        )
        content = review.analysis or {"analysis": None, "reason": review.reason}
        self._execute(
            "UPDATE spike_events SET post_trade_analysis = ? WHERE id = ?",
            (to_json(content), review.spike_id),
        )
        self._execute(
            "UPDATE agent_decisions SET trade_id = ? WHERE spike_event_id = ? AND trade_id IS NULL",
            (review.trade_id, review.spike_id),
        )
