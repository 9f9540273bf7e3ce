"""Rows of agent_decisions, and their roll-up into agent_performance."""

from __future__ import annotations

import sqlite3
from typing import Any

from trading.clock import iso
from trading.model.decision import AgentDecision
from trading.storage.audit_log import append_audit
from trading.storage.database import atomically
from trading.storage.repository import Repository, digest_of, to_json

HASHED_COLUMNS = ("reasoning", "input_data", "output_data")
"""Long texts, of which the audit log keeps a hash."""

_ROLL_UP = """
SELECT
    count(*) AS total,
    avg(d.confidence) AS confidence,
    avg(d.execution_time_ms) AS duration_ms,
    coalesce(sum(s.outcome = 'profitable'), 0) AS correct,
    coalesce(sum(s.outcome = 'unprofitable'), 0) AS incorrect,
    count(DISTINCT CASE WHEN d.decision_type = 'spike_detection' THEN s.id END) AS spikes,
    coalesce(sum(d.decision_type = 'spike_detection' AND s.outcome = 'profitable'), 0) AS true_pos,
    coalesce(sum(d.decision_type = 'spike_detection' AND s.outcome = 'unprofitable'), 0)
        AS false_pos,
    count(DISTINCT CASE WHEN s.untraded_outcome = 'won' AND (d.decision IN ('not confirmed',
        'unsafe', 'critical', 'vetoed', 'abstain', 'failed', 'invalid output')
        OR d.decision LIKE '%, not favourable') THEN s.id END) AS false_neg,
    count(DISTINCT CASE WHEN b.actor = 'llm' THEN b.id END) AS trips,
    count(DISTINCT CASE WHEN b.actor = 'llm' AND b.status = 'false_trigger' THEN b.id END)
        AS false_trips
FROM agent_decisions AS d
LEFT JOIN spike_events AS s ON s.id = d.spike_event_id
LEFT JOIN circuit_breaker_events AS b ON b.id = d.circuit_breaker_event_id
WHERE d.agent_name = :agent AND d.timestamp_ms >= :start AND d.timestamp_ms < :end
"""

_UPSERT = """
INSERT INTO agent_performance (timestamp, timestamp_ms, agent_name, period, total_decisions,
    correct_decisions, incorrect_decisions, accuracy_percent, avg_confidence,
    avg_execution_time_ms, total_spikes_detected, true_positives, false_positives, false_negatives,
    circuit_breaker_triggers, false_circuit_breaker_triggers)
VALUES (:timestamp, :timestamp_ms, :agent, :period, :total, :correct, :incorrect, :accuracy,
    :confidence, :duration_ms, :spikes, :true_pos, :false_pos, :false_neg, :trips, :false_trips)
ON CONFLICT (agent_name, period) DO UPDATE SET timestamp = excluded.timestamp,
    timestamp_ms = excluded.timestamp_ms, total_decisions = excluded.total_decisions,
    correct_decisions = excluded.correct_decisions,
    incorrect_decisions = excluded.incorrect_decisions,
    accuracy_percent = excluded.accuracy_percent, avg_confidence = excluded.avg_confidence,
    avg_execution_time_ms = excluded.avg_execution_time_ms,
    total_spikes_detected = excluded.total_spikes_detected,
    true_positives = excluded.true_positives, false_positives = excluded.false_positives,
    false_negatives = excluded.false_negatives,
    circuit_breaker_triggers = excluded.circuit_breaker_triggers,
    false_circuit_breaker_triggers = excluded.false_circuit_breaker_triggers
"""


class DecisionRepository(Repository):
    """Writes and reads agent_decisions and agent_performance."""

    def record(self, decision: AgentDecision, now_ms: int) -> int:
        """Add one decision; returns its id. Raises StoreError when it refers to nothing.

        ``trade_id`` follows when the trade that came of the spike is closed.
        """
        values = {
            "timestamp": iso(now_ms),
            "timestamp_ms": now_ms,
            "agent_name": decision.agent_name,
            "agent_role": decision.agent_role,
            "decision_type": decision.decision_type,
            "decision": decision.decision,
            "confidence": decision.confidence,
            "reasoning": decision.reasoning,
            "input_data": to_json(decision.input_data),
            "output_data": to_json(decision.output_data),
            "execution_time_ms": decision.execution_time_ms,
            "spike_event_id": decision.spike_event_id,
            "circuit_breaker_event_id": decision.circuit_breaker_event_id,
            "decided_by": decision.decided_by,
            "prompt_version": decision.prompt_version,
            "prompt_hash": decision.prompt_hash,
            "model_calls": decision.model_calls,
            "tokens": decision.tokens,
            "cost_micro_usd": decision.cost_micro_usd,
        }
        with atomically(self._connection, "recording a decision"):
            decision_id = self._insert("agent_decisions", values)
            payload = {
                "type": decision.decision_type,
                "decision": decision.decision,
                "confidence": decision.confidence,
                "spike": decision.spike_event_id,
                "sha256": digest_of(values[column] for column in HASHED_COLUMNS),
            }
            append_audit(
                self._connection,
                "decision",
                str(decision_id),
                payload,
                now_ms,
                actor=decision.agent_name,
            )
        return decision_id

    def latest(self, limit: int = 50, agent_name: str | None = None) -> list[sqlite3.Row]:
        """The newest decisions, newest first; of one agent where named."""
        return self._rows(
            "SELECT * FROM agent_decisions WHERE :agent IS NULL OR agent_name = :agent"
            " ORDER BY id DESC LIMIT :limit",
            {"agent": agent_name, "limit": limit},
        )

    def agents_between(self, start_ms: int, end_ms: int) -> tuple[str, ...]:
        """Names of the agents that decided anything from ``start_ms`` up to ``end_ms``."""
        rows = self._rows(
            "SELECT DISTINCT agent_name FROM agent_decisions"
            " WHERE timestamp_ms >= ? AND timestamp_ms < ? ORDER BY agent_name",
            (start_ms, end_ms),
        )
        return tuple(row["agent_name"] for row in rows)

    def performance(self, agent_name: str, start_ms: int, end_ms: int) -> dict[str, Any]:
        """The sums of ``roll_up``, without storing them; ``accuracy`` in per cent, or None."""
        row = self._row(_ROLL_UP, {"agent": agent_name, "start": start_ms, "end": end_ms})
        sums = dict(row) if row is not None else {}
        judged = sums["correct"] + sums["incorrect"]
        return {**sums, "accuracy": 100.0 * sums["correct"] / judged if judged else None}

    def roll_up(
        self, agent_name: str, period: str, start_ms: int, end_ms: int, now_ms: int
    ) -> sqlite3.Row:
        """Sum up an agent's decisions from ``start_ms`` up to ``end_ms`` under ``period``.

        A decision counts as correct or not once the spike it belongs to was traded and closed:
        profitable is correct. A false negative is a spike that this agent said no to (or had no
        answer on) and that was not traded, though a trade would have won (``node.hindsight``).
        Rolling the same period up again replaces its row.
        """
        sums = self.performance(agent_name, start_ms, end_ms)
        self._execute(
            _UPSERT,
            {
                **sums,
                "timestamp": iso(now_ms),
                "timestamp_ms": now_ms,
                "agent": agent_name,
                "period": period,
            },
        )
        return self._rows(
            "SELECT * FROM agent_performance WHERE agent_name = ? AND period = ?",
            (agent_name, period),
        )[0]
