"""What the two kinds of worker do all day."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping

from agents.config import AgentsConfig
from crews.crew_config import CrewsConfig
from crews.decisions import record_activity
from crews.guardian.crew import GuardianCrew
from crews.spike_trading.crew import SpikeTradingCrew
from trading.api.client import TradingClient
from trading.errors import ControlApiError, SpikeguardError
from trading.model.decision import SpikeRunReport

logger = logging.getLogger(__name__)

_LOOK_EVERY_S = 0.1  # the breaker, in shared memory: next to nothing
_PAUSE_AFTER_ERROR_S = 1.0
_FINISH_ATTEMPTS = 5


class WorkerLoop(ABC):
    """Built from the settings; ``run`` blocks until ``stop`` is set."""

    def __init__(
        self,
        name: str,
        client: TradingClient,
        agents: AgentsConfig,
        crews: CrewsConfig,
        *,
        market_symbol: str,
        environment: Mapping[str, str],
        stop: threading.Event,
    ) -> None:
        self._name = name
        self._client = client
        self._agents = agents
        self._crews = crews
        self._market_symbol = market_symbol
        self._environment = environment
        self._stop = stop
        self.detail = "starting"

    @abstractmethod
    def warm_up(self) -> None:
        """Build the crews. Raises ConfigurationError."""

    @abstractmethod
    def run(self) -> None:
        """Work until stopped."""


class GuardianLoop(WorkerLoop):
    """An assessment every interval of market time, and at once when the breaker changes."""

    _problem = ""  # why the latest assessment failed

    def warm_up(self) -> None:
        self._crew = GuardianCrew(
            self._client,
            self._agents,
            self._crews.guardian,
            environment=self._environment,
            market_symbol=self._market_symbol,
        )
        self._crew.warm_up()

    def run(self) -> None:
        if not self._agents.market_guardian.enabled:
            self.detail = "switched off"
            self._stop.wait()
            return
        interval_ms = int(self._crews.guardian.interval_s * 1000)
        seen: tuple[object, ...] | None = None
        due_ms = 0
        while not self._stop.wait(_LOOK_EVERY_S):
            snapshot, now_ms = self._client.breaker_snapshot(), self._client.now_ms()
            state = (snapshot.status, snapshot.epoch, snapshot.stage)
            if state == seen and now_ms < due_ms:
                continue
            changed = seen is not None and state != seen
            occasion = f"the breaker is now {snapshot.status}" if changed else "regular"
            seen, due_ms = state, now_ms + interval_ms
            self.detail = f"assessing ({occasion})"
            self._assess(occasion)

    def _assess(self, occasion: str) -> None:
        """One assessment; a problem is shown when it is new, not at every interval anew."""
        try:
            self.detail = self._crew.assess(occasion).decision
            self._problem = ""
        except SpikeguardError as error:
            self.detail = f"no assessment: {error}"
            logger.warning("no assessment: %s", error)
            if str(error) != self._problem:
                self._problem = str(error)
                record_activity(self._client, "guardian", self.detail, "warning")
            self._stop.wait(_PAUSE_AFTER_ERROR_S)


class SpikeLoop(WorkerLoop):
    """Claims spikes and runs them, several at once: a thread and a warm crew for each."""

    def warm_up(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[str, str] = {}
        self._finished = 0
        self._spike_crews = [
            SpikeTradingCrew(
                self._client,
                self._agents,
                self._crews.spike_trading,
                environment=self._environment,
                market_symbol=self._market_symbol,
            )
            for _ in range(self._crews.spike_trading.max_concurrent_runs)
        ]
        for crew in self._spike_crews:
            crew.warm_up()
        self.detail = "waiting for spikes"

    def run(self) -> None:
        for number, crew in enumerate(self._spike_crews):
            name = f"{self._name}-{number}"
            # Daemons: a model call in flight must not hold up the end of the process.
            threading.Thread(target=self._serve, args=(name, crew), name=name, daemon=True).start()
        self._stop.wait()

    def _serve(self, name: str, crew: SpikeTradingCrew) -> None:
        timeout_s = self._crews.worker.claim_timeout_s
        while not self._stop.is_set():
            try:
                claim = self._client.claim_spike(name, timeout_s)
                if claim is None:
                    continue
                self._show(name, claim.spike.id)
                self._finish(crew.run(claim))
            except SpikeguardError as error:
                logger.warning("%s: %s", name, error)
                self._stop.wait(_PAUSE_AFTER_ERROR_S)
            except Exception:  # a thread that ended in silence would leave spikes unclaimed
                logger.exception("%s failed", name)
                self._stop.wait(_PAUSE_AFTER_ERROR_S)
            finally:
                self._show(name, None)

    def _finish(self, report: SpikeRunReport) -> None:
        """Close the claim. Repeating it does no harm, losing it would leave the spike open."""
        for attempt in range(1, _FINISH_ATTEMPTS + 1):
            try:
                self._client.finish_spike_run(report)
            except ControlApiError:
                if attempt == _FINISH_ATTEMPTS or self._stop.wait(_PAUSE_AFTER_ERROR_S):
                    raise
            else:
                return

    def _show(self, name: str, spike_id: str | None) -> None:
        with self._lock:
            if spike_id is not None:
                self._running[name] = spike_id
            elif self._running.pop(name, None) is not None:
                self._finished += 1
            now = ", ".join(self._running.values())
            self.detail = f"running {now}" if now else f"waiting, {self._finished} runs done"
