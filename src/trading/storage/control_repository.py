"""What operators have stopped: a row is there for as long as it is in force."""

from __future__ import annotations

from trading.clock import iso
from trading.model.operations import Control, Controls
from trading.storage.audit_log import append_audit
from trading.storage.database import transaction
from trading.storage.repository import Repository


class ControlRepository(Repository):
    """Writes and reads operating_controls; every change is an entry of the audit log, too."""

    def set(self, name: str, reason: str, now_ms: int, *, actor: str) -> bool:
        """Put ``name`` in force; False when it is already, and then the first reason stands."""
        with transaction(self._connection, f"setting {name}"):
            cursor = self._execute(
                "INSERT INTO operating_controls (name, reason, actor, since, since_ms)"
                " VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING",
                (name, reason, actor, iso(now_ms), now_ms),
            )
            self._audit("set", name, reason, now_ms, actor, changed=cursor.rowcount == 1)
        return cursor.rowcount == 1

    def lift(self, name: str, reason: str, now_ms: int, *, actor: str) -> bool:
        """Take ``name`` out of force; False when it was not in force."""
        with transaction(self._connection, f"lifting {name}"):
            cursor = self._execute("DELETE FROM operating_controls WHERE name = ?", (name,))
            self._audit("lifted", name, reason, now_ms, actor, changed=cursor.rowcount == 1)
        return cursor.rowcount == 1

    def load(self) -> Controls:
        rows = self._rows("SELECT * FROM operating_controls ORDER BY since_ms, name")
        return Controls(
            active=tuple(
                Control(
                    name=row["name"],
                    reason=row["reason"],
                    actor=row["actor"],
                    since_ms=row["since_ms"],
                )
                for row in rows
            )
        )

    def _audit(
        self, what: str, name: str, reason: str, now_ms: int, actor: str, *, changed: bool
    ) -> None:
        payload = {"what": what, "reason": reason, "changed": changed}
        append_audit(self._connection, "control", name, payload, now_ms, actor=actor)
