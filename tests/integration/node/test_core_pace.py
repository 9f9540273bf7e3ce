"""A core process keeps the feed's pace: it not only could, it does so before it is ready."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from live_instance import eventually, live_instance, start_hanging_cores

from trading.node.pace import HAND_OVER_S

PYTHONS_OWN_S = 0.005  # how long a thread keeps the interpreter where nothing is set


@pytest.mark.timeout(120)
def test_a_core_process_hands_the_interpreter_over_soon_and_spares_itself_full_collections(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert HAND_OVER_S < PYTHONS_OWN_S, "or the test could not tell"
    start_hanging_cores(monkeypatch)
    with live_instance(tmp_path, with_workers=False):
        (tmp_path / "pace").touch()
        report = tmp_path / "pace.json"
        eventually(report.exists, 30, "the core tells of its pace")
    pace = json.loads(report.read_text())
    assert pace["switch_interval_s"] == pytest.approx(HAND_OVER_S)
    assert pace["frozen"] > 10_000, "what a core is built of"
