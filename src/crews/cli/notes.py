"""Notes of the safety desk on request: the stored one, or a new one. `explain` and `compliance
report --explain` show them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from crews.cli.core import BREAKER_TIMEOUT_S, find_core, running_core
from crews.cli.output import facts, show

if TYPE_CHECKING:
    import sqlite3

    from rich.text import Text

    from crews.config_loader import LoadedConfig
    from trading.api.client import RecordClient
    from trading.model.desk import DeskKind, DeskNote, DeskSubject, StoredNote
    from trading.model.recovery import RecoveryStatus

LABEL = "Words for people, by a model or by rules as named above. Nothing acts on them."


def note_on(
    connection: sqlite3.Connection,
    loaded: LoadedConfig,
    kind: DeskKind,
    subject_id: str | None,
    *,
    again: bool = False,
) -> tuple[DeskSubject, StoredNote]:
    """What there is to explain, and the note on it; a stored one of the same facts will do unless
    ``again``.

    Raises:
        RecordNotFoundError: the store has no such subject.
    """
    from trading.model.desk import DeskKind, NoteOutcome
    from trading.storage.desk_note_repository import DeskNoteRepository
    from trading.storage.desk_reader import DeskReader

    recovery = _recovery(loaded) if kind is DeskKind.ERRORS else None
    subject = DeskReader(connection).subject(kind, subject_id, recovery)
    notes = DeskNoteRepository(connection)
    stored = None if again else notes.newest(kind, subject.id, subject.key)
    if stored is None or stored.outcome is NoteOutcome.FAILED:
        from crews.desk.crew import DeskCrew

        config = loaded.config
        with _records(connection, loaded) as records:
            crew = DeskCrew(
                records,
                config.agents,
                config.crews.desk,
                environment=loaded.worker_environment(),
            )
            records.record_desk_note(crew.explain(subject, "request"))
        stored = notes.newest(kind, subject.id, subject.key)
        assert stored is not None
    return subject, stored


def show_note(note: DeskNote) -> None:
    """For people, with who wrote it."""
    rows: dict[str, str | Text] = {
        "about": f"{note.kind} {note.subject_id}: {note.subject_title}",
        "by": f"{note.agent_name}, {note.decided_by} (prompt {note.prompt_version} "
        f"{note.prompt_hash})",
        "outcome": note.outcome.value,
    }
    if note.summary:
        rows["summary"] = note.summary
    for name, points in (
        ("causes", note.causes),
        ("to check", note.what_to_check),
        ("may be done", note.proposed_steps),
    ):
        if points:
            rows[name] = "\n".join(f"- {point}" for point in points)
    if note.problem:
        rows["problem"] = note.problem
    show(facts(rows), LABEL)


def note_fields(note: DeskNote | None) -> dict[str, Any] | None:
    """A note for programs, labelled."""
    return None if note is None else {**note.model_dump(mode="json"), "label": LABEL}


def _recovery(loaded: LoadedConfig) -> RecoveryStatus | None:
    """What a running core knows of failing calls; None without one."""
    if find_core(loaded.config) is None:
        return None
    with running_core(loaded.config, BREAKER_TIMEOUT_S) as core:
        return core.status().recovery


@contextmanager
def _records(connection: sqlite3.Connection, loaded: LoadedConfig) -> Iterator[RecordClient]:
    """The running core, which keeps the budgets' sums; the store itself where none runs."""
    if find_core(loaded.config) is not None:
        with running_core(loaded.config) as core:
            yield core
        return
    from crews.desk.store_records import StoreRecords

    yield StoreRecords(connection)
