"""Every connection of a running core is durable where it must be, by what SQLite itself says."""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from connections import open_connections, watch_connections
from live_instance import eventually, live_instance, start_hanging_cores
from order_path import OrderPath
from proofs import Held, record

from trading.node.records import Records
from trading.storage import database

FULL, NORMAL = 2, 1
# Who opens the store, and how durable its commits are. Records serve analysis alone: a loss of
# power may take the last of them.
SYNCHRONOUS = {
    "trading.risk.breaker_store": FULL,
    "trading.execution.service": FULL,
    "trading.node.records": NORMAL,
}


def not_durable(connections: list[dict[str, Any]], store: Path) -> list[str]:
    """What is wrong with the connections of a core."""
    openers = [connection["opener"] for connection in connections]
    wrong = [] if sorted(openers) == sorted(SYNCHRONOUS) else [f"opened by {openers}"]
    for connection in connections:
        durable = connection["synchronous"] == SYNCHRONOUS.get(connection["opener"], FULL)
        kept = (connection["journal_mode"], connection["foreign_keys"]) == ("wal", 1)
        ours = connection["busy_timeout"] > 0 and connection["file"] == str(store)
        if not (durable and kept and ours):
            wrong.append(str(connection))
    return wrong


def connections_of_a_core(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[dict[str, Any]], int]:
    """What a core process tells of its connections, and how often it has the store's file open."""
    start_hanging_cores(monkeypatch)
    with live_instance(folder, with_workers=False) as running:
        (folder / "connections").touch()
        report = folder / "connections.json"
        eventually(report.exists, 10, "the core tells of its connections")
        descriptors = Path(f"/proc/{running.supervisor.process_id('core')}/fd").iterdir()
        store = str(folder / "store.sqlite3")
        opened = sum(os.readlink(descriptor) == store for descriptor in descriptors)
        return json.loads(report.read_text()), opened


async def connections_of_a_careless_core(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> list[dict[str, Any]]:
    """The mutant: every part opens the store as if it were for analysis alone."""
    apply = database._apply_pragmas
    monkeypatch.setattr(
        database, "_apply_pragmas", lambda connection, _, wait: apply(connection, "NORMAL", wait)
    )
    monkeypatch.setattr(sqlite3, "connect", sqlite3.connect)  # put back at the end
    watch_connections()
    async with OrderPath(folder) as path:
        records = Records(path.storage, inline=True)
        try:
            return open_connections()
        finally:
            records.close()


@pytest.mark.timeout(120)
async def test_every_connection_of_a_running_core_is_durable_where_it_must_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("sound", "careless"):
        (tmp_path / name).mkdir()
    connections, opened = connections_of_a_core(tmp_path / "sound", monkeypatch)
    careless = await connections_of_a_careless_core(tmp_path / "careless", monkeypatch)

    wrong = not_durable(connections, tmp_path / "sound" / "store.sqlite3")
    found = not_durable(careless, tmp_path / "careless" / "store.sqlite3")
    assert not wrong, "\n".join(wrong)
    assert opened == len(connections), "a connection that nobody told of"
    assert len(found) == 2
    record(
        Held(
            section="Crash",
            guarantee="every connection of a running core: WAL and foreign keys; the breaker's and "
            "the journal's commits reach the disk (synchronous = FULL)",
            trials=len(connections),
            unit="connections, PRAGMAs read back",
            violations=len(wrong),
            mutant="everything is opened as if for analysis alone",
            caught=f"{len(found)} connections not durable enough",
        )
    )
