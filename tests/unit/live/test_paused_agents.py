"""A paused agent does not work: the guardian crew waits, whatever the breaker does."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from memory_client import MemoryTradingClient, make_snapshot

from agents.config import AgentsConfig
from crews import worker_loops
from crews.crew_config import CrewsConfig
from crews.worker_loops import GuardianLoop
from trading.model.breaker import BreakerStatus
from trading.model.operations import AGENT_PREFIX, EXPLAINING_AGENTS, Control, Controls

PAUSED = Controls(
    active=(
        Control(name=f"{AGENT_PREFIX}market_guardian", reason="x", actor="operator", since_ms=0),
    )
)


class Crew:
    """Counts assessments."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def assess(self, occasion: str) -> Any:
        self.asked.append(occasion)
        return type("Assessment", (), {"decision": "calm"})()


def test_the_guardian_crew_assesses_nothing_while_paused_and_goes_on_when_resumed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker_loops, "_LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(worker_loops, "_LOOK_WHEN_PAUSED_S", 0.01)
    client, stop, crew = MemoryTradingClient(), threading.Event(), Crew()
    client.stopped = PAUSED
    loop = GuardianLoop(
        "guardian",
        client,
        AgentsConfig(),
        CrewsConfig(),
        market_symbol="BTCUSDT",
        environment={},
        stop=stop,
    )
    loop._crew = crew  # type: ignore[assignment] # building the real one takes seconds
    thread = threading.Thread(target=loop.run, daemon=True)
    thread.start()
    wait_for(lambda: loop.detail == "paused by the operator")
    client.snapshot = make_snapshot(status=BreakerStatus.TRIGGERED, epoch=1, size_multiplier=0.0)
    time.sleep(0.1)
    assert crew.asked == []
    client.stopped = Controls()
    wait_for(lambda: bool(crew.asked))
    stop.set()
    thread.join(30)


@pytest.mark.parametrize("agent", ["market_guardian", "market_scanner", *EXPLAINING_AGENTS])
def test_entries_wait_for_a_paused_agent_unless_it_only_explains(agent: str) -> None:
    control = Control(name=f"{AGENT_PREFIX}{agent}", reason="x", actor="operator", since_ms=0)
    stopped = Controls(active=(control,)).paused_link is not None
    assert stopped == (agent not in EXPLAINING_AGENTS)


def wait_for(condition: Any) -> None:
    ends_s = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < ends_s, "not in time"
        time.sleep(0.01)
