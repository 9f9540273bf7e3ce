"""Random tamperings by somebody who knows how the audit log works: all are found."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from audited_store import NOW_MS, fill_store
from proofs import Held, record, rounds

from trading.clock import VirtualClock
from trading.risk.breaker_store import create_store
from trading.storage.audit_anchor import AuditAnchor
from trading.storage.audit_chain import AuditEntry, AuditFinding, AuditHead, entry_hash
from trading.storage.audit_check import AuditReport, check_audit_log
from trading.storage.audit_log import AuditLog
from trading.storage.config import StorageConfig
from trading.storage.database import open_database

ENTRIES = 40
TAMPERINGS = rounds(150, 1_000)
COLUMNS = (
    "seq",
    "timestamp",
    "timestamp_ms",
    "kind",
    "actor",
    "subject",
    "payload",
    "previous_hash",
    "hash",
)

# What the log speaks of, and which of its columns.
RECORDED = {
    "orders": ("symbol", "side", "type", "purpose", "quantity", "status", "filled_quantity"),
    "fills": ("symbol", "side", "price", "quantity", "fee", "fee_asset"),
    "circuit_breaker_events": ("trigger_reason", "actor", "epoch", "from_status", "to_status"),
    "agent_decisions": ("decision", "reasoning", "confidence", "agent_name"),
    "trades": ("symbol", "quantity", "entry_price", "exit_price", "pnl", "fees", "closed_at_ms"),
    "approvals": (
        "status",
        "symbol",
        "quantity",
        "notional",
        "limit_price",
        "last_price",
        "proposal",
        "reason",
        "result",
        "requested_at_ms",
        "decided_at_ms",
    ),
    "operating_controls": ("name", "reason", "actor", "since_ms"),
}
UNIQUE = ("name", "intent_hash", "client_order_id", "entry_client_order_id")

Tamper = Callable[[sqlite3.Connection, random.Random], None]
CheckChain = Callable[[Iterable[AuditEntry], Iterable[AuditHead]], Iterator[AuditFinding]]


class Stage:
    """A whole log with its head record; every tampering gets a copy of it."""

    def __init__(self, folder: Path) -> None:
        storage = StorageConfig(path=folder / "store.sqlite3")
        create_store(storage, VirtualClock(NOW_MS))
        self.whole = open_database(storage)
        fill_store(self.whole, storage)
        log = AuditLog(self.whole)
        for number in range(ENTRIES):
            kind = ("operator", "configuration", "risk")[number % 3]
            payload = {"number": number % 7, "why": "as it was"}
            log.append(kind, f"subject {number % 5}", payload, NOW_MS + number // 4)  # type: ignore[arg-type] # one of the kinds
        self.anchor = AuditAnchor(storage.path)
        self.anchor.advance(log)

    def tampered(self, tamper: Tamper, rng: random.Random) -> AuditReport:
        copy = sqlite3.connect(":memory:", isolation_level=None)
        copy.row_factory = sqlite3.Row
        self.whole.backup(copy)
        triggers = [
            (row["name"], row["sql"])
            for row in copy.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        ]
        for name, _ in triggers:
            copy.execute(f"DROP TRIGGER {name}")
        before = everything(copy)
        tamper(copy, rng)
        for _, sql in triggers:
            copy.execute(sql)
        assert everything(copy) != before, "this tampered with nothing"
        report = check_audit_log(copy, self.anchor)
        copy.close()
        return report


def everything(connection: sqlite3.Connection) -> list[list[tuple[Any, ...]]]:
    return [
        [tuple(row) for row in connection.execute(f"SELECT * FROM {table} ORDER BY rowid")]
        for table in ("audit_log", *RECORDED)
    ]


def rows(connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
    order = ", ".join(COLUMNS)
    return [tuple(row) for row in connection.execute(f"SELECT {order} FROM audit_log ORDER BY seq")]


def replace_rows(connection: sqlite3.Connection, entries: list[tuple[Any, ...]]) -> None:
    """Write the table anew, the counter of its numbers included."""
    connection.execute("DELETE FROM audit_log")
    marks = ", ".join("?" * len(COLUMNS))
    connection.executemany(
        f"INSERT INTO audit_log ({', '.join(COLUMNS)}) VALUES ({marks})", entries
    )
    connection.execute(
        "UPDATE sqlite_sequence SET seq = (SELECT max(seq) FROM audit_log) WHERE name = 'audit_log'"
    )


def numbered(entries: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [(number, *entry[1:]) for number, entry in enumerate(entries, start=1)]


def rehashed(entries: list[tuple[Any, ...]], *, links: bool) -> list[tuple[Any, ...]]:
    """Every hash fits its own entry again; with ``links`` the whole chain does."""
    done: list[tuple[Any, ...]] = []
    for entry in entries:
        previous = done[-1][-1] if links and done else entry[-2]
        done.append((*entry[:-2], previous, entry_hash(*entry[:-2], previous)))
    return done


def edit_a_column(connection: sqlite3.Connection, rng: random.Random) -> None:
    column = rng.choice(COLUMNS[1:])
    seq = rng.randrange(1, ENTRIES + 3)
    value = rng.choice(["0", 0, 12.5, "x" * 64, b"\xff\xfe", "", '{"number":3}'])
    connection.execute(f"UPDATE audit_log SET {column} = ? WHERE seq = ?", (value, seq))


def edit_and_rehash_the_entry(connection: sqlite3.Connection, rng: random.Random) -> None:
    entries = rows(connection)
    at = rng.randrange(len(entries))
    forged = (*entries[at][:6], '{"forged":1}', *entries[at][7:])
    entries[at] = rehashed([forged], links=False)[0]
    replace_rows(connection, entries)


def edit_and_rehash_all_that_follows(connection: sqlite3.Connection, rng: random.Random) -> None:
    entries = rows(connection)
    at = rng.randrange(len(entries))
    entries[at] = (*entries[at][:4], "somebody else", *entries[at][5:])
    replace_rows(connection, entries[:at] + rehashed(entries, links=True)[at:])


def delete_one(connection: sqlite3.Connection, rng: random.Random) -> None:
    entries = rows(connection)
    del entries[rng.randrange(len(entries))]
    replace_rows(connection, entries)


def delete_some_and_renumber(connection: sqlite3.Connection, rng: random.Random) -> None:
    entries = rows(connection)
    at = rng.randrange(len(entries) - 1)
    del entries[at : at + rng.randrange(1, 5)]
    replace_rows(connection, rehashed(numbered(entries), links=rng.random() < 0.5))


def cut_the_end(connection: sqlite3.Connection, rng: random.Random) -> None:
    entries = rows(connection)
    replace_rows(connection, entries[: rng.randrange(len(entries))])


def swap_two(connection: sqlite3.Connection, rng: random.Random) -> None:
    entries = rows(connection)
    one, other = rng.sample(range(len(entries)), 2)
    entries[one], entries[other] = entries[other], entries[one]
    replace_rows(connection, numbered(entries))


def move_and_rehash(connection: sqlite3.Connection, rng: random.Random) -> None:
    entries = rows(connection)
    one, other = rng.sample(range(len(entries)), 2)
    entries.insert(other, entries.pop(one))
    replace_rows(connection, rehashed(numbered(entries), links=False))


def insert_a_forged_one(connection: sqlite3.Connection, rng: random.Random) -> None:
    entries = rows(connection)
    at = rng.randrange(1, len(entries))
    forged = (0, *entries[at][1:6], '{"forged":1}', *entries[at][7:])
    entries.insert(at, forged)
    replace_rows(connection, rehashed(numbered(entries), links=rng.random() < 0.5))


def edit_a_row(connection: sqlite3.Connection, rng: random.Random) -> None:
    """Something else than it says now, in one column of one row of one table."""
    table = rng.choice(list(RECORDED))
    column = rng.choice(RECORDED[table])
    ids = [row[0] for row in connection.execute(f"SELECT rowid FROM {table}")]
    connection.execute("PRAGMA ignore_check_constraints = ON")
    connection.execute(
        f"UPDATE {table} SET {column} = ? WHERE rowid = ?",
        (rng.choice(["7.25", "forged", 3]), rng.choice(ids)),
    )


def delete_a_row(connection: sqlite3.Connection, rng: random.Random) -> None:
    connection.execute("PRAGMA foreign_keys = OFF")
    table = rng.choice(list(RECORDED))
    ids = [row[0] for row in connection.execute(f"SELECT rowid FROM {table}")]
    connection.execute(f"DELETE FROM {table} WHERE rowid = ?", (rng.choice(ids),))


def add_a_row(connection: sqlite3.Connection, rng: random.Random) -> None:
    """A copy of one that is there, with keys of its own."""
    table = rng.choice(list(RECORDED))
    row = dict(connection.execute(f"SELECT * FROM {table} ORDER BY random()").fetchone())
    for key in ("id", *UNIQUE):
        if key in row:
            row[key] = rng.randrange(1_000, 9_000) if key == "id" else f"forged {row[key]}"
    marks = ", ".join("?" * len(row))
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute(
        f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", tuple(row.values())
    )


TAMPERS: tuple[Tamper, ...] = (
    edit_a_column,
    edit_and_rehash_the_entry,
    edit_and_rehash_all_that_follows,
    delete_one,
    delete_some_and_renumber,
    cut_the_end,
    swap_two,
    move_and_rehash,
    insert_a_forged_one,
    edit_a_row,
    delete_a_row,
    add_a_row,
)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    stage.whole.close()


def missed(stage: Stage, tamperings: int = TAMPERINGS) -> list[str]:
    """The tamperings that the check took for an intact log."""
    rng = random.Random(20251010)
    chosen = [TAMPERS[number % len(TAMPERS)] for number in range(tamperings)]
    return [
        tamper.__name__  # type: ignore[attr-defined] # they are plain functions
        for tamper in chosen
        if stage.tampered(tamper, rng).intact
    ]


def test_the_log_that_nobody_touched_is_intact(stage: Stage) -> None:
    assert check_audit_log(stage.whole, stage.anchor).intact


def test_every_tampering_is_found(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    assert missed(stage) == []
    monkeypatch.setattr("trading.storage.audit_check.check_chain", _without_links)
    record(
        Held(
            section="Audit",
            guarantee="entries and rows edited, added, removed, moved and cut off, all hashes that "
            "can be recomputed recomputed: found",
            trials=TAMPERINGS,
            unit=f"tamperings of {len(TAMPERS)} kinds",
            violations=0,
            mutant="each entry is checked by its own hash alone",
            caught=f"{len(missed(stage, 100))} of 100 not noticed",
        )
    )


def _without_links(
    entries: Iterable[AuditEntry], heads: Iterable[AuditHead] = ()
) -> Iterator[AuditFinding]:
    """Mutant: each entry is checked by its own hash alone."""
    for entry in entries:
        if entry.hash != entry.right_hash:
            yield AuditFinding("edited", entry.seq, "")


def _without_heads(
    entries: Iterable[AuditEntry], heads: Iterable[AuditHead] = ()
) -> Iterator[AuditFinding]:
    """Mutant: nobody noted where the log ended."""
    from trading.storage.audit_chain import check_chain

    return check_chain(entries)


@pytest.mark.parametrize(
    ("mutant", "misses"),
    [(_without_links, "move_and_rehash"), (_without_heads, "cut_the_end")],
    ids=["without links", "without the head record"],
)
def test_a_check_without_links_or_head_record_misses_some(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, mutant: CheckChain, misses: str
) -> None:
    monkeypatch.setattr("trading.storage.audit_check.check_chain", mutant)
    assert misses in missed(stage, 100)
