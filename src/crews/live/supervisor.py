"""Starts the processes of a live run in order, keeps them alive, ends them in order.

exchange (venue sim) → core → crew workers; these are copies of a nursery, which loads CrewAI while
the core starts. The core guards without workers and is never waited for by the others: a worker
that dies is started again after a growing pause, a core that dies likewise, and while it is away
its shared-memory record goes stale, which every worker reads as TRIGGERED. A core that lives and no
longer beats guards nothing: it is killed and started again. Without its exchange a simulated run
has no market and ends.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel

from crews.config_loader import LoadedConfig
from crews.environment import NOTIFY_PREFIX
from crews.live.core_absence import CoreAbsence, waiting_text
from crews.live.forked import ForkedChild, Nursery
from crews.live.options import LiveOptions
from crews.live.processes import Child, ChildFailedError, RestartPolicy
from crews.live.worker_settings import crew_worker_settings, news_worker_settings
from crews.live.worker_watch import Watched, WorkerWatch
from crews.node_settings import node_config
from crews.worker import EXIT_CONFIGURATION
from crews.worker_config import WorkerRole
from trading.api.operator_client import OperatorClient
from trading.clock import MINUTE_MS, SystemClock
from trading.errors import StoreError
from trading.exchange.credentials import CREDENTIAL_NAMES
from trading.exchange.venues import VenueEndpoints
from trading.node.apprise_channel import open_notifier
from trading.node.config import CoreLaunch
from trading.node.instance import RuntimePaths
from trading.node.notifier import Notification
from trading.node.notify_config import NotificationLevel
from trading.risk.shared_record import SharedRecordReader
from trading.simulator.server.config import ExchangeServerConfig
from trading.simulator.server.ready import ExchangeReady
from trading.storage.database import open_read_only
from trading.storage.report_reader import ReportReader

log = logging.getLogger(__name__)

# What the embedded exchange need not know.
HIDDEN = ("BINANCE_", "OPENAI_", NOTIFY_PREFIX)
LONGEST_TITLE = 120
# Beats come ten times a second, and a core that waits for its store is back after a few seconds.
CORE_HUNG_AFTER_MS = 10_000
# After a pause of the whole machine the core gets this long to beat again.
HUNG_CONFIRMED_AFTER_S = 2.0


class Supervisor:
    """The processes of one live run."""

    def __init__(self, loaded: LoadedConfig, options: LiveOptions) -> None:
        self._loaded = loaded
        self._config = loaded.config
        self._options = options
        self._paths = RuntimePaths(Path(self._config.api.runtime_directory))
        self._logs = self._paths.directory / "logs"
        self._exchange: Child | None = None
        self._core: Watched | None = None
        self._nursery: Nursery | None = None
        self._workers: list[Watched] = []
        self._notes: list[str] = []
        self._exchange_url = ""
        self._record = SharedRecordReader(self._paths.breaker_record)
        self._core_client = OperatorClient(self._paths.operator_socket, timeout_s=1.0)
        self._watch = WorkerWatch(self._core_client, self._note)
        self._hung_since: float | None = None
        self._absence = CoreAbsence(self._note)
        self._halt_reason = ""  # with which the next core begins
        # A core that is gone cannot say so itself.
        self._notifier = open_notifier(
            self._config.monitoring.notifications, loaded.core_environment()
        )

    @property
    def paths(self) -> RuntimePaths:
        return self._paths

    @property
    def core_absence(self) -> str:
        """Why there is no core just now; empty while there is one."""
        return self._absence.reason

    def start(
        self,
        tell: Callable[[str], None] = lambda _: None,
        is_ending: Callable[[], bool] = lambda: False,
    ) -> None:
        """Start everything that is needed. ``tell`` hears why that takes longer than usual.

        Raises:
            ChildFailedError: the exchange or the core did not become ready, or ``is_ending`` says
                that nobody wants them any more; what had started is stopped again.
        """
        try:
            self._start_all(tell, is_ending)
        except BaseException:
            self.stop()
            raise

    def _start_all(self, tell: Callable[[str], None], is_ending: Callable[[], bool]) -> None:
        venue = self._config.exchange.venue
        if self._config.crews.enabled:
            self._start_nursery()
        environment = self._loaded.core_environment()
        market: ExchangeReady | None = None
        if venue == "sim":
            market = self._start_exchange()
            key_name, secret_name = CREDENTIAL_NAMES[venue]
            environment |= {key_name: market.api_key, secret_name: market.api_secret}
        child = self._child("core", "trading.node", self._core_launch(market), environment)
        child.start()
        self._core = Watched(child, self._policy())
        child.wait_ready(
            self._config.performance.start_timeout_s,
            on_waiting=lambda word: tell(waiting_text(word)),
            is_ending=is_ending,
        )
        self._core.policy.started()
        if self._config.crews.enabled:
            self._start_workers()
        if self._config.news.is_read_beside(venue):
            self._start_news()

    def _start_exchange(self) -> ExchangeReady:
        """Start the embedded exchange; its ready line says where it is and who may trade there."""
        plain = {k: v for k, v in os.environ.items() if not k.startswith(HIDDEN)}
        self._exchange = self._child(
            "exchange", "trading.simulator.server", self.exchange_settings(), plain
        )
        self._exchange.start()
        ready = ExchangeReady.model_validate_json(
            self._exchange.wait_ready(self._config.performance.start_timeout_s)
        )
        self._exchange_url = ready.rest_url
        return ready

    @property
    def exchange_url(self) -> str:
        """Where the embedded exchange listens; empty on other venues."""
        return self._exchange_url

    def exchange_settings(self) -> ExchangeServerConfig:
        """What the embedded exchange is told."""
        generator = self._config.market_generator
        if self._options.scenario is not None:
            generator = type(generator).model_validate(
                {**generator.model_dump(), "scenario": self._options.scenario}
            )
        return ExchangeServerConfig(
            speed=self._options.speed,
            data_dir=str(self._options.data) if self._options.data else None,
            window=self._options.window,
            from_ms=self._options.start_ms,
            clock_start_ms=self._market_begins_ms(),
            faults=self._options.faults,
            simulator=self._config.simulator,
            generator=generator.model_copy(
                update={"symbols": generator.symbols or self._config.market.symbols}
            ),
        )

    def _market_begins_ms(self) -> int | None:
        """After all that the store has of earlier runs, which may have run ahead of the wall: in
        every record one time belongs to one run. None: now, or where a recording begins."""
        if self._options.data is not None or not self._config.storage.path.exists():
            return None
        try:
            connection = open_read_only(self._config.storage)
        except StoreError as error:
            log.warning("the store cannot be read; the core will say why: %s", error)
            return None
        try:
            recorded = ReportReader(connection).span()
        finally:
            connection.close()
        if recorded is None or recorded.end_ms <= SystemClock().now_ms():
            return None
        return recorded.end_ms + MINUTE_MS

    def _core_launch(self, market: ExchangeReady | None) -> CoreLaunch:
        config = self._config
        exchange = config.exchange
        if market is not None:
            exchange = exchange.model_copy(
                update={
                    "endpoints": VenueEndpoints(
                        rest_url=market.rest_url,
                        stream_url=market.ws_url,
                        ws_api_url=market.ws_api_url,
                        futures_rest_url=market.futures_rest_url,
                        futures_stream_url=market.futures_ws_url,
                    )
                }
            )
        watched = config.market
        if market is not None and self._options.data is not None:
            # A recording is watched as a whole, as in a replay.
            watched = watched.model_copy(update={"symbols": market.symbols})
        return CoreLaunch(
            config=node_config(config).model_copy(update={"exchange": exchange, "market": watched}),
            clock=market.clock if market is not None else None,
            tick_gap_ms=market.tick_gap_ms if market is not None else 0,
            market_name=market.market if market is not None else "",
            fresh_account=market is not None,
        )

    def _start_nursery(self) -> None:
        """What takes workers longest at their start needs no core: it goes on beside the core's."""
        child = self._child(
            "nursery",
            "crews.nursery",
            None,
            self._loaded.worker_environment(),
            nice=self._config.crews.worker.nice,
        )
        self._nursery = Nursery(child)
        self._nursery.start()

    def _start_workers(self) -> None:
        assert self._nursery is not None
        for role in (WorkerRole.GUARDIAN, WorkerRole.SPIKE):
            settings = crew_worker_settings(self._config, self._paths, role)
            name = f"{role} worker"
            self._start_worker(ForkedChild(name, self._nursery, settings, self._log_of(name)))

    def _start_news(self) -> None:
        """Nobody waits for it: without news there are no news, and nothing else changes."""
        child = self._child(
            "news worker",
            "crews.news.worker",
            news_worker_settings(self._config, self._paths),
            self._loaded.news_environment(),
            nice=self._config.crews.worker.nice,
        )
        self._start_worker(child)

    def _start_worker(self, child: Child | ForkedChild) -> None:
        worker = Watched(child, self._policy(self._config.performance.restart_limit))
        self._workers.append(worker)
        worker.child.start()
        worker.policy.started()

    def check(self) -> None:
        """Look at every process; restart the dead that are due. Call a few times a second.

        Raises:
            ChildFailedError: the embedded exchange is gone.
        """
        if self._exchange is not None and not self._exchange.is_alive:
            raise ChildFailedError(f"the embedded exchange ended: {self._exchange.last_words()}")
        self._end_a_hung_core()
        if self._core is not None and isinstance(self._core.child, Child):
            self._absence.look(self._core.child)
        self._watch.look(self._workers)
        for watched in (self._core, *self._workers):
            if watched is None or watched.given_up or watched.child.is_alive:
                continue
            if watched is not self._core and watched.child.exit_code == EXIT_CONFIGURATION:
                self._watch.give_up(watched, "cannot work with its configuration")
                continue
            if watched is self._core and self._absence.is_refused:
                continue
            if not watched.policy.is_due():
                if watched.policy.is_exhausted:
                    limit = watched.policy.limit
                    self._watch.give_up(watched, f"died {limit} times in a row")
                continue
            self._note(
                f"{watched.child.name} started again; it ended {watched.child.last_words()}",
                NotificationLevel.CRITICAL if watched is self._core else NotificationLevel.WARNING,
            )
            watched.child.stop(0)
            if watched is self._core:
                self._tell_the_next_core()
            watched.child.start()
            watched.policy.started()

    def _end_a_hung_core(self) -> None:
        core = self._core.child if self._core is not None else None
        silent_ms = self._record.silent_ms()
        now = time.monotonic()
        if core is None or silent_ms is None or not core.is_alive:
            self._hung_since = None
            return
        has_beaten = silent_ms < (now - core.started_at) * 1000  # and not only the one before it
        if not has_beaten or silent_ms < CORE_HUNG_AFTER_MS:
            self._hung_since = None
        elif self._hung_since is None:
            self._hung_since = now
        elif now - self._hung_since >= HUNG_CONFIRMED_AFTER_S:
            self._hung_since = None
            log.error("the core has not beaten for %.0f s: killed", silent_ms / 1000)
            self._note(
                f"the core hung for {silent_ms / 1000:.0f} s and was killed",
                NotificationLevel.CRITICAL,
            )
            self._halt_reason = f"no heartbeat: the core hung for {silent_ms / 1000:.0f} s"
            core.kill()

    def _tell_the_next_core(self) -> None:
        """The exchange lived on, and with it the account: a restarted core adopts what is there.
        One in place of a core that hung begins with the trip that the hung one could not make."""
        core = self._core.child if self._core is not None else None
        assert isinstance(core, Child)
        assert isinstance(core.settings, CoreLaunch)
        core.settings = core.settings.model_copy(
            update={"fresh_account": False, "halt_reason": self._halt_reason}
        )
        self._halt_reason = ""

    def _note(self, what: str, level: NotificationLevel) -> None:
        self._notes.append(f"{datetime.now(UTC):%H:%M:%S} {what}")
        self._notifier.notify(Notification(level, f"spikeguard: {what}"[:LONGEST_TITLE], what))

    def take_notes(self) -> list[str]:
        """What `check` did since the last call, for whoever watches."""
        notes, self._notes = self._notes, []
        return notes

    def stop(self) -> None:
        """End workers, then the core (it cancels open entries), then the exchange."""
        timeout_s = self._config.performance.stop_timeout_s
        for worker in self._workers:
            worker.child.signal_end()
        if self._core is not None:
            self._core.child.stop(timeout_s)
        for worker in self._workers:
            worker.child.stop(timeout_s)
        if self._nursery is not None:
            self._nursery.stop(timeout_s)
        if self._exchange is not None:
            self._exchange.stop(timeout_s)
        self._record.close()
        self._core_client.close()
        self._notifier.close()

    def _child(
        self,
        name: str,
        module: str,
        settings: BaseModel | None,
        environment: dict[str, str],
        *,
        nice: int = 0,
    ) -> Child:
        return Child(
            name=name,
            module=module,
            settings=settings,
            environment=environment,
            log_path=self._log_of(name),
            nice=nice,
        )

    def _log_of(self, name: str) -> Path:
        return self._logs / f"{name.replace(' ', '-')}.log"

    def _policy(self, limit: int = 0) -> RestartPolicy:
        pauses = self._config.performance
        return RestartPolicy(pauses.restart_first_s, pauses.restart_max_s, limit=limit)
