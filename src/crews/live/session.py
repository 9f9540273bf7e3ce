"""One live run in the foreground: start, show until told to end, stop."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from crews.config_loader import LoadedConfig
from crews.live.options import LiveOptions
from crews.live.processes import ChildFailedError
from crews.live.supervisor import Supervisor
from crews.live.view import render
from trading.api.http_client import HttpTradingClient
from trading.api.schemas import ActivityEntry, CoreStatus
from trading.clock import utc
from trading.errors import ControlApiError, CoreNotRunningError

CHECK_INTERVAL_S = 0.1
DrawStatus = Callable[[CoreStatus | None, str], None]


class LiveSession:
    """Draws the running instance in one of three ways: screen, log lines, JSON lines."""

    def __init__(self, loaded: LoadedConfig, options: LiveOptions) -> None:
        self._options = options
        self._refresh_s = loaded.config.monitoring.view.refresh_ms / 1000
        self._console = Console(stderr=options.json_lines, markup=False, emoji=False)
        self._plain = options.plain or options.json_lines or not sys.stdout.isatty()
        self._supervisor = Supervisor(loaded, options)
        self._ending = False
        self._note = ""
        self._problem = ""  # why there was no status to print at the last look
        self._shown_until_ms = -1
        self._shown: set[ActivityEntry] = set()

    def run(self) -> None:
        """Until Ctrl-C, SIGTERM or the duration's end.

        Raises:
            ChildFailedError: a process that the run cannot do without did not start or is gone.
        """
        with self._signals():
            self._console.print("starting exchange, core and crews …", style="bright_black")
            try:
                self._supervisor.start(self._tell_wait, lambda: self._ending)
            except ChildFailedError:
                if not self._ending:
                    raise
                self._console.print("ended before the core was ready")
                return
            try:
                self._show()
            finally:
                self._console.print(
                    "ending: cancelling open entries, saving state …", style="bright_black"
                )
                self._supervisor.stop()
        self._console.print("ended; `python -m crews.run breaker status` shows what is stored")

    def _show(self) -> None:
        paths = self._supervisor.paths
        with HttpTradingClient(paths.operator_socket, timeout_s=2.0) as client:
            if self._plain:
                self._loop(client, self._print_status)
                return
            with Live(console=self._console, screen=True, auto_refresh=False) as screen:

                def draw(status: CoreStatus | None, problem: str) -> None:
                    content: RenderableType = (
                        render(status, self._note)
                        if status
                        else Text(f"waiting for the core: {problem}")
                    )
                    screen.update(content, refresh=True)

                self._loop(client, draw)

    def _loop(self, client: HttpTradingClient, draw: DrawStatus) -> None:
        duration_s = self._options.duration_s
        ends_at = time.monotonic() + duration_s if duration_s else None
        next_draw = 0.0
        while not self._ending:
            now = time.monotonic()
            if ends_at is not None and now >= ends_at:
                return
            self._supervisor.check()
            self._tell(self._supervisor.take_notes())
            if now >= next_draw:
                next_draw = now + (1.0 if self._options.json_lines else self._refresh_s)
                try:
                    draw(client.status(), "")
                except CoreNotRunningError:
                    draw(None, self._supervisor.core_absence or "it does not answer")
                except ControlApiError as error:
                    draw(None, str(error))
            time.sleep(CHECK_INTERVAL_S)

    def _tell(self, notes: list[str]) -> None:
        for note in notes:
            self._note = note
            if self._plain:
                self._console.print(note, style="yellow", highlight=False)

    def _tell_wait(self, what: str) -> None:
        self._console.print(f"waiting for the core: {what}", style="yellow", highlight=False)

    def _print_status(self, status: CoreStatus | None, problem: str) -> None:
        is_news, self._problem = problem != self._problem, problem
        if status is None:
            if is_news:
                self._tell_wait(problem)
            return
        if self._options.json_lines:
            print(json.dumps(status.model_dump(mode="json")), flush=True)  # noqa: T201 - its output
            return
        for entry in reversed(status.activity):
            if entry.time_ms < self._shown_until_ms or entry in self._shown:
                continue
            if entry.time_ms > self._shown_until_ms:
                self._shown_until_ms = entry.time_ms
                self._shown.clear()
            self._shown.add(entry)
            snapshot = status.breaker.snapshot
            self._console.print(
                f"{utc(entry.time_ms):%H:%M:%S} {snapshot.status:<10} {entry.source:<11} "
                f"{entry.text}",
                highlight=False,
                soft_wrap=True,
            )

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """SIGINT and SIGTERM end the loop; a second one during the end is ignored."""

        def end(_: int, __: FrameType | None) -> None:
            self._ending = True

        before = {sig: signal.signal(sig, end) for sig in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for sig, handler in before.items():
                signal.signal(sig, handler)
