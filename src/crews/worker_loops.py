"""What the two kinds of worker do all day."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping

from agents.config import AgentsConfig
from crews.crew_config import CrewsConfig
from crews.decisions import record_activity
from crews.desk.crew import DeskCrew
from crews.desk.tasks import DUTIES
from crews.guardian.crew import GuardianCrew
from crews.post_trade.crew import PostTradeCrew
from crews.spike_scheduler import SpikeScheduler
from crews.spike_trading.crew import SpikeTradingCrew
from trading.api.client import TradingClient
from trading.api.schemas import STARTING
from trading.errors import ControlApiError, SpikeguardError
from trading.model.desk import DeskKind, DeskQuery
from trading.node.pulse import Pulse

logger = logging.getLogger(__name__)

_LOOK_EVERY_S = 0.1  # the breaker, in shared memory: next to nothing
_LOOK_WHEN_PAUSED_S = 1.0
_PAUSE_AFTER_ERROR_S = 1.0
# For answers of the core, tried again, and for a busy machine.
_LONGEST_ANSWERS_S = 60.0


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
        self._pulse = Pulse(name)
        self._pulse.beat()
        self.detail = STARTING

    @property
    def silent_s(self) -> float:
        """Seconds since the loop last moved on."""
        return self._pulse.silent_ms / 1000

    @property
    @abstractmethod
    def patience_s(self) -> float:
        """Seconds that its longest step may take; a loop that is silent for longer hangs."""

    @abstractmethod
    def warm_up(self) -> None:
        """Build the crews. Raises ConfigurationError."""

    @abstractmethod
    def run(self) -> None:
        """Work until stopped."""


class GuardianLoop(WorkerLoop):
    """An assessment every interval of market time, and at once when the breaker changes."""

    _problem = ""  # why the latest assessment failed

    @property
    def patience_s(self) -> float:
        """An assessment by a model, with an answer under way at its deadline, and one by rules."""
        model = self._agents.llm
        answer_s = model.timeout_s * (1 + model.max_retries)
        return 2 * self._crews.guardian.deadline_s + answer_s + _LONGEST_ANSWERS_S

    def warm_up(self) -> None:
        if not self._agents.market_guardian.enabled:
            return  # not even built: its model may be one that cannot be
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
            while not self._stop.wait(_LOOK_WHEN_PAUSED_S):
                self._pulse.beat()
            return
        interval_ms = int(self._crews.guardian.interval_s * 1000)
        seen: tuple[object, ...] | None = None
        due_ms = 0
        while not self._stop.wait(_LOOK_EVERY_S):
            self._pulse.beat()
            snapshot, now_ms = self._client.breaker_snapshot(), self._client.now_ms()
            state = (snapshot.status, snapshot.epoch, snapshot.stage)
            if state == seen and now_ms < due_ms:
                continue
            changed = seen is not None and state != seen
            occasion = f"the breaker is now {snapshot.status}" if changed else "regular"
            if self._is_paused():
                self._stop.wait(_LOOK_WHEN_PAUSED_S)
                continue
            seen, due_ms = state, now_ms + interval_ms
            self.detail = f"assessing ({occasion})"
            self._assess(occasion)

    def _is_paused(self) -> bool:
        """Whether an operator has paused the guardian agent; the deterministic guard never is."""
        try:
            paused = "market_guardian" in self._client.controls().paused_agents
        except ControlApiError:
            return False  # the assessment that follows says what is wrong
        if paused:
            self.detail = "paused by the operator"
        return paused

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
    """Spikes, several at once, each on a warm crew of its own."""

    @property
    def patience_s(self) -> float:
        """A request for a spike; runs are watched by the scheduler, which goes on beside them."""
        return self._crews.worker.claim_timeout_s + _LONGEST_ANSWERS_S

    def warm_up(self) -> None:
        self._scheduler = SpikeScheduler(
            self._name,
            self._client,
            self._create_crew,
            max_concurrent_runs=self._crews.spike_trading.max_concurrent_runs,
            claim_timeout_s=self._crews.worker.claim_timeout_s,
            stop=self._stop,
            show=self._show,
            beat=self._pulse.beat,
        )
        self._scheduler.warm_up()

    def run(self) -> None:
        if self._crews.post_trade.enabled and self._agents.risk_assessor.enabled:
            threading.Thread(target=self._look_back, name="post-trade", daemon=True).start()
        kinds = tuple(
            kind for kind, duty in DUTIES.items() if duty.owner.settings(self._agents).enabled
        )
        if kinds:
            threading.Thread(target=self._explain, args=(kinds,), name="desk", daemon=True).start()
        self._scheduler.run()

    def _explain(self, kinds: tuple[DeskKind, ...]) -> None:
        """What the core did by rule, in words for people, one after another."""
        crew = DeskCrew(self._client, self._agents, self._crews.desk, environment=self._environment)
        while not self._stop.wait(self._crews.desk.interval_s):
            try:
                while not self._stop.is_set() and self._explain_next(crew, kinds):
                    pass
            except SpikeguardError as error:
                logger.warning("no note: %s", error)
            except Exception:  # a thread that ended in silence would leave people without notes
                logger.exception("a note failed")

    def _explain_next(self, crew: DeskCrew, kinds: tuple[DeskKind, ...]) -> bool:
        """One note; False when nothing waits for an agent that is not paused."""
        paused = self._client.controls().paused_agents
        working = tuple(kind for kind in kinds if DUTIES[kind].owner.name not in paused)
        most = self._crews.desk.max_notes_per_hour
        query = DeskQuery(kinds=working, most_per_hour=most)
        subject = self._client.desk_subject(query) if working else None
        if subject is None:
            return False
        note = crew.explain(subject, "event")
        self._client.record_desk_note(note)
        record_activity(self._client, note.agent_name, f"{note.outcome}: {note.subject_title}")
        return True

    def _look_back(self) -> None:
        """Closed trades, one after another, beside the spikes."""
        crew = PostTradeCrew(
            self._client, self._agents, self._crews.post_trade, environment=self._environment
        )
        while not self._stop.wait(self._crews.post_trade.interval_s):
            try:
                while not self._stop.is_set() and crew.review_next():
                    pass
            except SpikeguardError as error:
                logger.warning("no look back: %s", error)
            except Exception:  # a thread that ended in silence would leave trades unreviewed
                logger.exception("a look back failed")

    def _create_crew(self) -> SpikeTradingCrew:
        return SpikeTradingCrew(
            self._client,
            self._agents,
            self._crews.spike_trading,
            environment=self._environment,
            market_symbol=self._market_symbol,
        )

    def _show(self, detail: str) -> None:
        self.detail = detail
