"""A stage for real crews: a whole core, a scripted model behind HTTP, and a judge at the exchange.

What counts is what arrived at the exchange's socket, never what tools, crews or core say of it.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from calm_market import UNHURRIED
from core_in_process import CoreInProcess, core_in_process
from memory_client import make_spike
from openai_server import OpenAiServer, rules_brain, task_of

from agents.config import AgentsConfig, LlmConfig, LlmProvider, RulePolicyConfig
from crews.crew_config import SpikeCrewConfig
from crews.spike_trading.crew import SpikeTradingCrew
from trading.api.client import TradingClient
from trading.api.schemas import ClearCommand, SpikeClaim, TripCommand
from trading.errors import SpikeguardError
from trading.model.breaker import BreakerStatus
from trading.model.decision import ProposalResult, TradeProposal

Messages = list[dict[str, Any]]
Brain = Callable[[Messages], dict[str, Any]]

ALTS = tuple(f"C{number:02}USDT" for number in range(12))
PRICES = {"BTCUSDT": 50_000.0, "ETHUSDT": 2_000.0, **dict.fromkeys(ALTS, 100.0)}
ENVIRONMENT = {"OPENAI_API_KEY": "sk-test-key"}
_YES = {
    "spike_detection": {"confirmed": True, "confidence": 0.9},
    "context_analysis": {"favourable": True, "classification": "momentum"},
}


def eager(messages: Messages) -> dict[str, Any]:
    """The rules, as a model that finds every spike worth an entry."""
    message = rules_brain(messages)
    if message["content"]:
        answer = json.loads(message["content"])
        message["content"] = json.dumps({**answer, **_YES.get(answer["task"], {})})
    return message


def calls(*functions: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """An assistant message that asks for several tools at once."""
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": f"call_{time.monotonic_ns()}_{index}",
                "type": "function",
                "function": {"name": name, "arguments": json.dumps(arguments)},
            }
            for index, (name, arguments) in enumerate(functions)
        ],
    }


class SlowClient:
    """The worker's client, whose proposals wait on their way to the core until they are let go."""

    def __init__(self, client: TradingClient) -> None:
        self._client = client
        self.arrived = threading.Event()
        self.go = threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def propose_trade(self, proposal: TradeProposal) -> ProposalResult:
        self.arrived.set()
        self.go.wait(20)
        return self._client.propose_trade(proposal)


class Stage:
    """One trial after another. ``begin`` a trial, run crews, ``violations`` judges, ``end``."""

    def __init__(self, core: CoreInProcess, model: OpenAiServer) -> None:
        self.core = core
        self.model = model
        self._numbers = itertools.count()
        self._symbols = itertools.cycle(ALTS)
        self._lock = threading.Lock()
        self.spike_crew = SpikeCrewConfig()
        self.begin()

    def begin(self) -> None:
        self.symbol = next(self._symbols)
        self._first_post = len(self.core.entries())
        self._halts: list[tuple[int, int | None, tuple[str, ...]]] = []
        self.model_calls: list[tuple[int, str]] = []  # monotonic ns and task, as they arrived
        self.brain: Brain = eager
        self.model.brain = self._answer

    def _answer(self, messages: Messages) -> dict[str, Any]:
        try:
            task = task_of(messages)
        except StopIteration:  # CrewAI's own question: to put an answer into its form
            task = ""
        with self._lock:
            self.model_calls.append((time.monotonic_ns(), task))
        return self.brain(messages) if task else {"role": "assistant", "content": "{}"}

    def claim(self, *, run_ms: int = 40_000, spike_id: str | None = None) -> SpikeClaim:
        """A claim on a stored spike of the trial's pair: a new one, or that of ``spike_id``."""
        now_ms = self.core.worker.now_ms()
        new_id = f"spk-{self.symbol}-{next(self._numbers)}"
        spike = make_spike(
            id=spike_id or new_id,
            symbol=self.symbol,
            detected_at_ms=now_ms,
            confidence=0.9,
            price_from=PRICES[self.symbol] / 1.042,
            price_to=PRICES[self.symbol],
        )
        if spike_id is None:
            self.core.store_spike(spike)
        epoch = self.core.worker.breaker_snapshot().epoch
        return SpikeClaim(spike=spike, deadline_ms=now_ms + run_ms, epoch=epoch, now_ms=now_ms)

    def agents(self) -> AgentsConfig:
        """All of them on the scripted model."""
        return AgentsConfig(
            llm=LlmConfig(
                provider=LlmProvider.OPENAI_COMPATIBLE,
                model="scripted",
                base_url=self.model.url,
                max_retries=0,
            ),
            policy=RulePolicyConfig(max_pump_and_dump_likelihood=1.0),
        )

    def crew(self, client: TradingClient | None = None, **executor: Any) -> SpikeTradingCrew:
        """The product's crew on the scripted model; ``executor`` goes to the executor's agent."""
        agents = self.agents()
        changed = agents.strategy_executor.model_copy(update=executor)
        crew = SpikeTradingCrew(
            client or self.core.worker,
            agents.model_copy(update={"strategy_executor": changed}),
            self.spike_crew,
            environment=ENVIRONMENT,
        )
        crew.warm_up()
        return crew

    def trip(self) -> int:
        """Halt as an operator does; returns when that came back, monotonic ns."""
        result = self.core.operator.trip(TripCommand(reason="test"))
        returned_ns = time.monotonic_ns()
        self._halts.append((returned_ns, None, result.in_flight))
        return returned_ns

    def clear(self) -> None:
        """Force the breaker back to SAFE."""
        snapshot = self.core.operator.breaker().snapshot
        if snapshot.status is not BreakerStatus.SAFE:
            # What is sent from here on may be for the new epoch.
            self._halts = [
                (at, until or time.monotonic_ns(), ids) for at, until, ids in self._halts
            ]
            self.core.operator.clear(
                ClearCommand(reason="next trial", epoch=snapshot.epoch, force=True)
            )
        deadline = time.monotonic() + 60
        while self.core.worker.breaker_snapshot().status is not BreakerStatus.SAFE:
            assert time.monotonic() < deadline, "the breaker does not get SAFE"
            time.sleep(0.002)

    def violations(self, allowed: int = 1) -> list[str]:
        """What arrived at the exchange and should not have: at most ``allowed`` orders may."""
        posts = self.core.entries()[self._first_post :]
        ids = Counter(post["params"]["newClientOrderId"] for post in posts)
        found = [f"order {name} was posted {n} times" for name, n in ids.items() if n > 1]
        if len(ids) > allowed:
            found.append(f"{len(ids)} orders for one intent, {allowed} allowed")
        for returned_ns, until_ns, in_flight in self._halts:
            for post in posts:
                at_ns = post["received_monotonic_ns"]
                known = post["params"]["newClientOrderId"] in in_flight
                if returned_ns < at_ns < (until_ns or at_ns + 1) and not known:
                    found.append("an order after a trip")
        return found

    @property
    def orders(self) -> int:
        """Entries of this trial that arrived."""
        return len(self.core.entries()) - self._first_post

    def end(self) -> None:
        """Sell what was bought and ease the breaker."""
        self.clear()
        for position in self.core.operator.portfolio().positions:
            with suppress(SpikeguardError):
                self.core.operator.close_position(position.symbol, "next trial")


@contextmanager
def crew_stage(folder: Path, **changes: Any) -> Iterator[Stage]:
    """Start everything, yield, stop. ``changes`` are settings as for ``isolated_config``."""
    settings = {
        "risk__max_orders_per_minute": 1_000,
        "risk__max_concurrent_positions": 20,
        # Hundreds of trials are one day: its count and volume must not refuse the later ones.
        "compliance__max_daily_trades": 100_000,
        "compliance__max_daily_volume_pct": 1_000_000,
        **{f"risk__{name}": value for name, value in UNHURRIED.items()},
    }
    settings |= changes
    with core_in_process(folder, dict(PRICES), **settings) as core, OpenAiServer() as model:
        yield Stage(core, model)
