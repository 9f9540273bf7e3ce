"""Records that cannot be written halt nothing, and are not lost in silence."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from trading.clock import SystemClock
from trading.node import records as module
from trading.node.records import Records, RecordTables
from trading.risk.breaker_store import create_store
from trading.storage.config import StorageConfig
from trading.storage.database import translated_errors


@pytest.fixture
def storage(tmp_path: Path) -> StorageConfig:
    config = StorageConfig(path=tmp_path / "store.sqlite3", busy_timeout_ms=50)
    create_store(config, SystemClock())
    return config


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def records(storage: StorageConfig, said: list[str]) -> Iterator[Records]:
    records = Records(storage)
    records.tell(said.append)
    yield records
    records.close()


async def settled(records: Records) -> None:
    await records.call(lambda _: None)


def audited(tables: RecordTables) -> None:
    tables.audit.append("operator", "test", {}, 1)


async def test_a_store_that_takes_no_records_is_told_once_and_shown(
    storage: StorageConfig, records: Records, said: list[str]
) -> None:
    with closing(sqlite3.connect(storage.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for _ in range(3):
            records.write(audited)
        await settled(records)
    assert "database is locked" in records.problem
    assert len(said) == 1


async def test_records_that_are_written_again_for_a_while_are_told_of(
    storage: StorageConfig,
    records: Records,
    said: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with closing(sqlite3.connect(storage.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        records.write(audited)
        await settled(records)
    records.write(audited)
    await settled(records)
    assert records.problem, "one row that fits does not mean that the disk has room"
    monkeypatch.setattr(module, "WRITES_AGAIN_AFTER_S", 0.0)
    records.write(audited)
    await settled(records)
    assert (records.problem, said[1:]) == ("", [""])


async def test_a_row_whose_parent_was_lost_is_no_trouble_of_the_store(
    records: Records, said: list[str]
) -> None:
    def orphan(_: RecordTables) -> None:
        with translated_errors("a tool's run"):
            raise sqlite3.IntegrityError("FOREIGN KEY constraint failed")

    records.write(orphan)
    await settled(records)
    assert said == []
