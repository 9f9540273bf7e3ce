"""What the supervisor tells its processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from crews.cli.market_options import fault_schedule
from crews.config_loader import load_config
from crews.live.options import LiveOptions
from crews.live.supervisor import Supervisor
from trading.clock import SystemClock, VirtualClock
from trading.risk.breaker_store import create_store
from trading.storage.database import open_database
from trading.storage.risk_event_repository import RiskEventRepository


@pytest.mark.parametrize(
    ("generator", "listed"),
    [("", ("BTCUSDT", "ETHUSDT", "SOLUSDT")), ("  symbols: [BTCUSDT, ETHUSDT]\n", None)],
)
def test_the_generated_market_has_its_own_pairs_or_those_that_are_watched(
    tmp_path: Path, generator: str, listed: tuple[str, ...] | None
) -> None:
    path = tmp_path / "config.yaml"
    section = f"market_generator:\n{generator}" if generator else ""
    path.write_text(f"market:\n  symbols: [BTCUSDT, ETHUSDT, SOLUSDT]\n{section}")
    settings = Supervisor(load_config(path), LiveOptions()).exchange_settings()
    assert settings.generator.symbols == (listed or ("BTCUSDT", "ETHUSDT"))


def test_the_exchange_has_the_bad_day_that_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("market:\n  symbols: [BTCUSDT, ETHUSDT]\n")
    loaded = load_config(path)
    day = fault_schedule("7")
    assert Supervisor(loaded, LiveOptions(faults=day)).exchange_settings().faults == day
    assert Supervisor(loaded, LiveOptions()).exchange_settings().faults is None


@pytest.mark.parametrize(("ahead_ms", "is_late"), [(3_600_000, True), (-3_600_000, False)])
def test_a_generated_market_begins_after_what_its_store_has_of_faster_runs(
    tmp_path: Path, ahead_ms: int, is_late: bool
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"storage:\n  path: {tmp_path / 'store.sqlite3'}\n")
    loaded = load_config(path)
    supervisor = Supervisor(loaded, LiveOptions())
    assert supervisor.exchange_settings().clock_start_ms is None, "there is no store yet"
    storage = loaded.config.storage
    recorded_ms = SystemClock().now_ms() + ahead_ms
    create_store(storage, VirtualClock(recorded_ms))
    connection = open_database(storage)
    RiskEventRepository(connection).record("cash", "too much", recorded_ms)
    connection.close()
    begins_ms = supervisor.exchange_settings().clock_start_ms
    assert (begins_ms is not None and begins_ms > recorded_ms) is is_late
    played = Supervisor(loaded, LiveOptions(data=tmp_path))
    assert played.exchange_settings().clock_start_ms is None, "a recording has its own times"
