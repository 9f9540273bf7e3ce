"""After a replayed crash day, every column that can be known is filled."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from replayed import DATA, needs_data

from crews.config_loader import load_config
from crews.replay import driver
from crews.replay.options import ReplayOptions
from trading.simulator.recorded_market import RecordedMarket

# What a replay cannot know, and why.
UNKNOWABLE = {
    "spike_events": set[str](),
    "circuit_breaker_events": {
        "liquidations_1h",  # bars hold no forced orders
        "fear_greed_index",  # nobody publishes it by the minute
        "notes",  # an operator's words
    },
    "agent_decisions": set[str](),
    "agent_performance": {"notes"},
}


@needs_data
@pytest.mark.long
@pytest.mark.timeout(900)
def test_after_a_replayed_crash_day_every_column_that_can_be_known_is_filled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextlib.contextmanager
    def kept(**_: str) -> Iterator[str]:
        yield str(tmp_path)

    monkeypatch.setattr(driver.tempfile, "TemporaryDirectory", kept)
    loaded = load_config(
        None,
        {
            "circuit_breaker.cooldown_minutes": ("test", 1.0),
            "crews.spike_trading.similar_spikes": ("test", 3),
        },
    )
    source = RecordedMarket.load(Path(str(DATA)), window="2020-03-12", start_ms=None, end_ms=None)
    options = ReplayOptions(data=Path(str(DATA)), window="2020-03-12")
    driver.ReplayPass(loaded, source, options, breaker_enabled=True).run()
    store = sqlite3.connect(tmp_path / "replay.sqlite3")
    empty = {}
    for table, unknowable in UNKNOWABLE.items():
        columns = [row[1] for row in store.execute(f"PRAGMA table_info({table})")]
        assert store.execute(f"SELECT count(*) FROM {table}").fetchone()[0] > 0
        counts = ", ".join(f'sum("{c}" IS NOT NULL AND "{c}" <> \'\')' for c in columns)
        filled = store.execute(f"SELECT {counts} FROM {table}").fetchone()
        missing = {c for c, number in zip(columns, filled, strict=True) if not number}
        empty[table] = missing - unknowable
    assert empty == {table: set() for table in UNKNOWABLE}
