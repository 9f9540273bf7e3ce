"""One core for one account over one store, wherever its runtime files are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from trading.errors import ConfigurationError
from trading.node.instance import AccountLock


def test_a_second_core_on_the_same_store_and_account_is_refused_by_process_id(
    tmp_path: Path,
) -> None:
    store = tmp_path / "store.sqlite3"
    first, second = AccountLock(store, "sim"), AccountLock(store, "sim")
    first.acquire()
    with pytest.raises(ConfigurationError, match=str(os.getpid())):
        second.acquire()
    first.release()
    second.acquire()
    second.release()


def test_two_venues_may_share_a_store(tmp_path: Path) -> None:
    store = tmp_path / "store.sqlite3"
    locks = [AccountLock(store, account) for account in ("testnet", "testnet-paper", "sim")]
    for lock in locks:
        lock.acquire()
    for lock in locks:
        lock.release()
