"""A crew worker process: a copy of ``crews.nursery``, or ``python -m crews.worker``.

By hand its settings (``WorkerConfig``) come as one JSON line on standard input. That stays open:
when it closes, the parent is gone and the worker ends. It prints one JSON line when it is ready. It
holds no exchange key and refuses to start where it could see one.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from functools import partial
from types import FrameType
from typing import NoReturn, TextIO

from pydantic import ValidationError

from agents.llm_choice import worker_variables
from crews.worker_config import WorkerConfig, WorkerRole
from trading.api.client import TradingClient
from trading.api.http_client import HttpTradingClient
from trading.errors import ConfigurationError, ControlApiError
from trading.node.logs import configure_logging

logger = logging.getLogger(__name__)

EXCHANGE_KEY_PREFIX = "BINANCE_"
_LAST_STEP_S = 10.0
EXIT_OK, EXIT_ERROR, EXIT_CORE_LOST, EXIT_CONFIGURATION = 0, 1, 3, 4


def refuse_exchange_keys(environment: Mapping[str, str]) -> None:
    """Raises ConfigurationError when an exchange key is in sight, whatever its value."""
    found = sorted(name for name in environment if name.startswith(EXCHANGE_KEY_PREFIX))
    if found:
        raise ConfigurationError(
            f"a crew worker must not see exchange keys; its environment has {', '.join(found)}"
        )


def read_config(stream: TextIO) -> WorkerConfig:
    """The settings from the first line of ``stream``. Raises ConfigurationError."""
    try:
        return WorkerConfig.model_validate_json(stream.readline() or "{}")
    except ValidationError as error:
        raise ConfigurationError(f"the worker's settings do not fit: {error}") from error


class Worker:
    """Runs one loop until the parent or the core is gone, with a heartbeat that speaks for it."""

    def __init__(
        self, client: TradingClient, config: WorkerConfig, environment: Mapping[str, str]
    ) -> None:
        # CrewAI takes seconds to import: not before the checks that may refuse the start.
        from crews.worker_loops import GuardianLoop, SpikeLoop, WorkerLoop
        from tools.mcp_tools import mcp_servers

        self._name = f"{config.role}-worker"
        self._client = client
        self._settings = config.crews.worker
        self._stop = threading.Event()
        self._exit_code = EXIT_OK
        self._is_told = False  # that the loop hangs
        # The guardian's agent halts trading; texts of servers are not for it.
        servers = config.agents.mcp_servers if config.role is WorkerRole.SPIKE else ()
        self._mcp_servers = partial(mcp_servers, servers, environment)
        kind = GuardianLoop if config.role is WorkerRole.GUARDIAN else SpikeLoop
        self._loop: WorkerLoop = kind(
            self._name,
            client,
            config.agents,
            config.crews,
            market_symbol=config.market_symbol,
            environment=environment,
            stop=self._stop,
        )

    def run(self, parent: TextIO, ready: TextIO) -> int:
        """Work until stopped; the exit code."""
        threading.Thread(target=self._beat, daemon=True, name="heartbeat").start()
        threading.Thread(target=self._watch, args=(parent,), daemon=True, name="parent").start()
        with self._mcp_servers():
            self._loop.warm_up()
            ready.write(
                json.dumps({"ready": True, "pid": os.getpid(), "worker": self._name}) + "\n"
            )
            ready.flush()
            self._loop.run()
        return self._exit_code

    def stop(self, exit_code: int = EXIT_OK) -> None:
        if not self._stop.is_set():
            self._exit_code = exit_code
            self._stop.set()

    def _beat(self) -> None:
        """Signs of life; a core that stays silent for too long ends the worker."""
        heard = time.monotonic()
        while not self._stop.wait(self._settings.heartbeat_interval_s):
            if self._loop_hangs():
                continue
            try:
                self._client.worker_heartbeat(self._name, self._loop.detail)
                heard = time.monotonic()
            except ControlApiError as error:
                silent_s = time.monotonic() - heard
                if silent_s > self._settings.core_lost_after_s:
                    logger.error("core lost for %.0f s, ending: %s", silent_s, error)
                    self.stop(EXIT_CORE_LOST)

    def _loop_hangs(self) -> bool:
        """Whether the loop has not moved on for too long; then where it is goes into the log.

        Nobody hears a worker that hangs, and who is not heard is ended and begun anew.
        """
        silent_s = self._loop.silent_s
        if silent_s <= self._loop.patience_s:
            self._is_told = False
            return False
        if not self._is_told:
            self._is_told = True
            logger.error("no sign of life: the loop has not moved on for %.0f s", silent_s)
            faulthandler.dump_traceback(file=sys.stderr, all_threads=True)
        return True

    def _watch(self, parent: TextIO) -> None:
        while parent.readline():
            pass
        self.stop()
        time.sleep(_LAST_STEP_S)  # a loop that hangs would outlive its parent
        os._exit(self._exit_code)


def end_at_once(_number: int, _frame: FrameType | None) -> None:
    """Until the worker is built: as an exception, so that importing CrewAI tidies up after it."""
    raise SystemExit(EXIT_OK)


def main(config: WorkerConfig | None = None) -> int:
    """Run one worker to its end; the exit code. Without ``config``: that of its first line."""
    try:
        refuse_exchange_keys(os.environ)
        config = config or read_config(sys.stdin)
        names = worker_variables(config.agents)
        configure_logging(config.logging, f"{config.role}-worker", secret_variables=names)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, end_at_once)
        client = HttpTradingClient(
            config.socket_path,
            config.record_path,
            timeout_s=config.request_timeout_s,
            stale_after_ms=config.heartbeat_timeout_ms,
        )
        worker = Worker(client, config, os.environ)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: worker.stop())
        return worker.run(sys.stdin, sys.stdout)
    except ConfigurationError as error:
        sys.stderr.write(f"configuration: {error}\n")
        return EXIT_CONFIGURATION


def run_and_exit(config: WorkerConfig | None = None) -> NoReturn:
    """End the process at once: a model call in flight must not keep a stopped worker alive."""
    code = EXIT_ERROR
    try:
        code = main(config)
    except SystemExit:
        code = EXIT_OK
    except Exception:
        logger.exception("worker failed")
    finally:
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    run_and_exit()
