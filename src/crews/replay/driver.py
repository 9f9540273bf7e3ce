"""Drives one pass: ticks in, crews on what they cause, counts out."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from agents.llm_choice import choose_models
from agents.model_config import LlmProvider, RecordingConfig, RecordingMode
from crews.config import AppConfig
from crews.config_loader import LoadedConfig
from crews.model_preflight import require_usable_models
from crews.node_settings import node_config
from crews.replay.options import ReplayOptions
from crews.replay.world import Tally, World
from trading.clock import utc
from trading.model.breaker import BreakerStatus
from trading.model.portfolio import EquityPoint
from trading.simulator.recorded_market import RecordedMarket
from trading.storage.config import StorageConfig
from trading.storage.database import open_read_only
from trading.storage.equity_point_repository import EquityPointRepository

if TYPE_CHECKING:
    from crews.guardian.crew import GuardianCrew
    from crews.post_trade.crew import PostTradeCrew
    from crews.spike_trading.crew import SpikeTradingCrew


@dataclass(frozen=True, slots=True)
class ReplayCrews:
    """The two crews of a pass, warm, and what to call who decides in them."""

    guardian: GuardianCrew
    spike: SpikeTradingCrew
    post_trade: PostTradeCrew | None
    label: str


@dataclass(frozen=True, slots=True)
class PassResult:
    """What one pass gave; crosses from one process to another."""

    tally: Tally
    trace_sha256: str
    counters: dict[str, int]
    symbols: int
    bars: int
    llm: str
    guardian_runs: int
    decisions: int
    failures: int
    last_failure: str
    tool_calls: int
    orders_sent: int
    entries_sent: int
    entries_while_halted: int
    equity_start: Decimal
    equity_end: Decimal
    venue: str
    equity_points: Sequence[EquityPoint]


class ReplayPass:
    """One pass over ``source``. Without a breaker the guardian crew is left out too."""

    def __init__(
        self,
        loaded: LoadedConfig,
        source: RecordedMarket,
        options: ReplayOptions,
        *,
        breaker_enabled: bool,
        store: Path | None = None,
    ) -> None:
        """``store`` is where a new store is made and stays; without it none is left."""
        self._store = store
        self._config = _for_replay(loaded.config, breaker_enabled, options)
        self._environment = loaded.worker_environment()
        self._source = source
        self._trace_file = options.trace if breaker_enabled else None
        self._with_guardian = breaker_enabled and self._config.agents.market_guardian.enabled
        self._guardian_runs = 0
        self._next_assessment_ms = 0
        self._reviewed = 0
        self._assessed: tuple[BreakerStatus, int, int] | None = None

    def require_usable_models(self) -> None:
        """Raises ConfigurationError."""
        if self._config.crews.enabled:
            require_usable_models(self._config.agents, self._environment)

    def run(self, *, show_progress: bool = False) -> PassResult:
        """Play the whole source, with a bar on standard error if asked and a person is there.

        Raises:
            ConfigurationError: the configured model cannot be used.
        """
        with tempfile.TemporaryDirectory(prefix="spikeguard-replay-") as folder:
            store = self._store or Path(folder) / "replay.sqlite3"
            result = self._play(store, show_progress=show_progress)
            storage = self._config.storage.model_copy(update={"path": store})
            return replace(result, equity_points=_equity_points(storage, result.venue))

    def _play(self, store: Path, *, show_progress: bool) -> PassResult:
        with (
            World(node_config(self._config), self._source, store) as world,
            _progress(self._source, show_progress) as show,
        ):
            crews = self._crews(world)
            for time_ms, ticks in groupby(self._source.ticks(), key=lambda tick: tick.time_ms):
                world.step(time_ms, ticks)
                if crews is not None:
                    self._run_crews(world, crews, time_ms)
                show(time_ms)
            if self._trace_file is not None:
                world.trace.write(self._trace_file)
            return PassResult(
                tally=world.tally,
                trace_sha256=world.trace.sha256,
                counters=world.core.parts.board.counters,
                symbols=len(world.core.parts.config.market.symbols),
                bars=self._source.bar_count,
                llm=crews.label if crews is not None else "no crews",
                guardian_runs=self._guardian_runs,
                decisions=world.client.decisions,
                failures=world.client.failures,
                last_failure=world.client.last_failure,
                tool_calls=world.client.tool_calls,
                orders_sent=world.exchange.orders_sent,
                entries_sent=world.exchange.entries_sent,
                entries_while_halted=world.exchange.entries_while_halted,
                equity_start=world.equity_start,
                equity_end=world.equity(),
                venue=world.venue.client.venue,
                equity_points=(),  # complete once the world has ended
            )

    def _crews(self, world: World) -> ReplayCrews | None:
        if not self._config.crews.enabled:
            return None
        from crews.guardian.crew import GuardianCrew
        from crews.post_trade.crew import PostTradeCrew
        from crews.spike_trading.crew import SpikeTradingCrew

        return ReplayCrews(
            guardian=GuardianCrew(
                world.client,
                self._config.agents,
                self._config.crews.guardian,
                environment=self._environment,
                market_symbol=self._config.market.btc_symbol,
            ),
            spike=SpikeTradingCrew(
                world.client,
                self._config.agents,
                self._config.crews.spike_trading,
                environment=self._environment,
                market_symbol=self._config.market.btc_symbol,
            ),
            post_trade=(
                PostTradeCrew(
                    world.client,
                    self._config.agents,
                    self._config.crews.post_trade,
                    environment=self._environment,
                )
                if self._config.crews.post_trade.enabled
                else None
            ),
            label=choose_models(self._config.agents, self._environment)[0].label,
        )

    def _run_crews(self, world: World, crews: ReplayCrews, now_ms: int) -> None:
        """The guardian when it is due or the breaker changed; then every spike that waits."""
        if self._with_guardian:
            snapshot = world.client.breaker_snapshot()
            state = (snapshot.status, snapshot.epoch, snapshot.stage)
            changed = self._assessed is not None and state != self._assessed
            if changed or now_ms >= self._next_assessment_ms:
                self._assessed = state
                interval_s = self._config.crews.replay_guardian_interval_s
                self._next_assessment_ms = now_ms + round(interval_s * 1000)
                self._guardian_runs += 1
                with world.trace.crew_run():
                    crews.guardian.assess(
                        f"the breaker is now {snapshot.status}" if changed else "regular check"
                    )
        if crews.post_trade is not None and world.tally.trades_closed > self._reviewed:
            self._reviewed = world.tally.trades_closed
            with world.trace.crew_run():
                while crews.post_trade.review_next():
                    pass
        while len(world.core.parts.spikes) > 0:
            claim = world.client.claim_spike("replay", 0.0)
            if claim is None:
                return
            with world.trace.crew_run():
                world.client.finish_spike_run(crews.spike.run(claim))


def _equity_points(storage: StorageConfig, venue: str) -> list[EquityPoint]:
    connection = open_read_only(storage)
    try:
        return EquityPointRepository(connection).between(venue, 0, 2**62)
    finally:
        connection.close()


def _for_replay(config: AppConfig, breaker_enabled: bool, options: ReplayOptions) -> AppConfig:
    """The configuration of a pass: one crew at a time, and the built-in rules unless a model was
    asked for by name or is to be recorded, so that a key in the environment does not make the
    replay a gamble."""
    llm, with_crews = config.agents.llm, not options.without_crews
    recording = RecordingConfig()
    label = "" if breaker_enabled else "without breaker"
    if options.record is not None:
        recording = RecordingConfig(
            mode=RecordingMode.RECORD, file=str(options.record), label=label
        )
    elif options.recording is not None:
        recording = RecordingConfig(mode=RecordingMode.REPLAY, file=str(options.recording))
    llm = llm.model_copy(update={"recording": recording})
    if llm.provider is LlmProvider.AUTO and recording.mode is RecordingMode.OFF:
        llm = llm.model_copy(update={"provider": LlmProvider.RULE})
    return config.model_copy(
        update={
            "agents": config.agents.model_copy(update={"llm": llm}),
            "circuit_breaker": config.circuit_breaker.model_copy(
                update={"enabled": breaker_enabled and config.circuit_breaker.enabled}
            ),
            "crews": config.crews.model_copy(
                update={"enabled": with_crews and config.crews.enabled}
            ),
            "redis": config.redis.model_copy(update={"enabled": False}),
        }
    )


@contextmanager
def _progress(source: RecordedMarket, wanted: bool) -> Iterator[Callable[[int], None]]:
    """A bar of market time on standard error, when somebody is there to see it."""
    if not wanted or not sys.stderr.isatty() or source.end_ms is None:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[at]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("replay", total=source.end_ms - source.start_ms, at="")

        def show(time_ms: int) -> None:
            progress.update(
                task, completed=time_ms - source.start_ms, at=f"{utc(time_ms):%m-%d %H:%M}"
            )

        yield show
