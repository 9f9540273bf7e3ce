"""What still works is one of four levels, in ``status`` for everybody to see."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from core_in_process import core_in_process

from crews.cli.status_text import instance_table
from trading.api.operator_client import OperatorClient
from trading.api.schemas import (
    CoreStatus,
    PauseAgentsCommand,
    ResumeAgentsCommand,
    TripCommand,
)
from trading.errors import ExchangeConnectionError
from trading.exchange.recovering_client import READS
from trading.model.recovery import ServiceLevel
from trading.node.instance import RuntimePaths

PRICES = {"BTCUSDT": 50_000.0, "ETHUSDT": 2_000.0}
DOWN = ExchangeConnectionError("connection reset")


def seen(status: Callable[[], CoreStatus], level: ServiceLevel) -> CoreStatus:
    """The status once it says ``level``."""
    end = time.monotonic() + 60
    while (found := status()).level is not level:
        assert time.monotonic() < end, f"{found.level}: {found.level_reason}"
        time.sleep(0.05)
    return found


def test_the_level_falls_with_what_fails_and_rises_again(tmp_path: Path) -> None:
    with core_in_process(tmp_path, PRICES, execution__reconcile_interval_ms=3_600_000) as core:
        status = core.operator.status
        assert seen(status, ServiceLevel.FULL).level_reason == ""
        recovery = core.core.parts.recovery
        assert recovery is not None
        for _ in range(core.config.exchange.retry.failures_in_a_row):
            recovery.failed(READS, DOWN)
        failing = seen(status, ServiceLevel.GUARDIAN_ONLY)
        assert READS in failing.level_reason
        (pattern,) = failing.recovery.patterns
        assert pattern.kind == "transient"
        assert pattern.suggestion
        recovery.succeeded(READS, after_failures=1)
        recovered = seen(status, ServiceLevel.FULL)
        assert recovered.recovery.recovery_rate == 1.0
        with OperatorClient(RuntimePaths(tmp_path / "run").operator_socket) as operator:
            operator.pause_agents(PauseAgentsCommand(agents=("risk_assessor",), reason="odd"))
            paused = seen(status, ServiceLevel.NO_NEW_ENTRIES)
            assert paused.level_reason == "an operator has paused risk_assessor"
            operator.resume_agents(ResumeAgentsCommand(agents=("risk_assessor",), reason="well"))
            seen(status, ServiceLevel.FULL)
        core.operator.trip(TripCommand(reason="test"))
        assert "test" in seen(status, ServiceLevel.HALTED).level_reason
        assert instance_table(status()).row_count > 5
