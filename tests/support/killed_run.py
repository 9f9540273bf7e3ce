"""A whole run on an exchange that outlives it, to be killed part by part, its supervisor included.

The exchange is a process of its own, as the real one is: whatever dies here, orders and balances
are still there, and can be asked for with a client that shares nothing with the run.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml
from core_in_process import LoopThread
from spikes import rising_spike

from trading.api.http_client import HttpTradingClient
from trading.api.schemas import CoreStatus
from trading.clock import SystemClock
from trading.errors import SpikeguardError
from trading.exchange.binance.request_budget import (
    ORDINARY_SHARE,
    USED_WEIGHT,
    WEIGHT_PER_MINUTE,
)
from trading.exchange.config import ExchangeConfig
from trading.exchange.credentials import CREDENTIAL_NAMES, ApiCredentials
from trading.exchange.factory import create_venue
from trading.exchange.protocols import ExchangeClient
from trading.exchange.venues import VenueEndpoints
from trading.model.decision import ProposalOutcome, TradeProposal
from trading.model.recovery import ServiceLevel
from trading.node.instance import RuntimePaths
from trading.risk.breaker_store import create_store
from trading.storage.config import StorageConfig
from trading.storage.database import open_database
from trading.storage.spike_repository import SpikeRepository

VENUE = "testnet"  # one whose exchange is not ours to start
TEN_MINUTES_MS = 600_000
SUPERVISOR, CORE, NURSERY = "supervisor", "core", "nursery"
WORKERS = ("guardian-worker", "news-worker", "spike-worker")
START_TIMEOUT_S = 180.0
# Account and all open orders weigh a sixtieth of what an address may ask for in a minute, and the
# run asks from the same address.
ASK_EXCHANGE_EVERY_S = 1.0
LAST_LINES = 30
LATE_IN_A_MINUTE_S = 25.0
END_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Holdings:
    """What is held and what rests: quantities by asset, orders by their ids."""

    quantities: tuple[tuple[str, Decimal], ...]
    orders: tuple[str, ...]


class KilledRun:
    """``live`` in a folder of its own, in processes of its own."""

    def __init__(self, folder: Path, exchange: dict[str, Any]) -> None:
        self._folder = folder
        self._paths = RuntimePaths(folder / "run")
        self._live: subprocess.Popen[bytes] | None = None
        endpoints = {
            "rest_url": exchange["rest_url"],
            "stream_url": exchange["ws_url"],
            "ws_api_url": exchange["ws_api_url"],
        }
        self._rest_url = exchange["rest_url"]
        self._write_settings(endpoints)
        self._storage = StorageConfig(path=folder / "store.sqlite3")
        create_store(self._storage, SystemClock())
        key_name, secret_name = CREDENTIAL_NAMES[VENUE]
        self._environment = {
            **os.environ,
            key_name: exchange["api_key"],
            secret_name: exchange["api_secret"],
        }
        self._asked_s = float("-inf")
        self.held = Holdings((), ())  # as the exchange had it when it was asked last
        self._loop = LoopThread("witness")
        self._witness = self._loop.run(_witness(endpoints, exchange))
        self._operator = HttpTradingClient(self._paths.operator_socket, timeout_s=3.0)
        self._worker = HttpTradingClient(self._paths.worker_socket, self._paths.breaker_record)

    def _write_settings(self, endpoints: dict[str, str]) -> None:
        settings = {
            "storage": {"path": "store.sqlite3"},
            "api": {"runtime_directory": str(self._paths.directory)},
            "exchange": {"venue": VENUE, "endpoints": endpoints},
            "agents": {"llm": {"provider": "rule"}},
            "news": {
                "mode": "on",
                "feeds": [{"name": "nobody", "url": "http://127.0.0.1:9/"}],
            },
            "risk": {
                "max_spike_age_ms": TEN_MINUTES_MS,
                "max_decision_horizon_ms": TEN_MINUTES_MS,
                "price_collar_pct": 20.0,
                "max_slippage_pct": 5.0,
            },
            # What is held stays held, whatever the generated market does meanwhile.
            "execution": {"exits": {"exit_when_resolved": False, "max_holding_minutes": 0}},
            # A run has its machine to itself; other work here must not count ninefold.
            "crews": {"worker": {"nice": 0}},
            # What dies again and again within a minute is otherwise left alone for ever longer.
            "performance": {"restart_max_s": 1.0},
        }
        file = self._folder / "config" / "crewai_config.yaml"
        file.parent.mkdir()
        file.write_text(yaml.safe_dump(settings))

    # Starting, killing, ending --------------------------------------------------------------

    def start(self) -> None:
        """Start the supervisor, as an operator or a service manager would."""
        with (self._folder / "live.log").open("ab") as log:
            self._live = subprocess.Popen(
                [sys.executable, "-m", "crews.run", "live", "--plain"],
                cwd=self._folder,
                env=self._environment,
                stdout=log,
                stderr=log,
            )

    def kill(self, name: str) -> float:
        """SIGKILL to one part; the moment. A supervisor is started again once its children have
        seen that it is gone: two cores on one account are refused."""
        processes = self.processes()
        self._require(name, processes)
        killed_s = time.monotonic()
        processes[name].kill()
        if name == SUPERVISOR:
            assert self._live is not None
            self._live.wait()
            while any(p.is_running() and not _is_reaped_late(p) for p in processes.values()):
                time.sleep(0.01)
            self.start()
        return killed_s

    def process(self, name: str) -> psutil.Process:
        """One part of a run of which all parts live; otherwise a failure that says what it said."""
        processes = self.processes()
        self._require(name, processes)
        return processes[name]

    def _require(self, name: str, processes: dict[str, psutil.Process]) -> None:
        if name not in processes:
            pytest.fail(
                f"{name} is not there; {', '.join(processes) or 'nothing'} is\n{self.last_lines()}"
            )

    def printed(self) -> str:
        """All that `live` has printed so far, in words: lines are broken to a width."""
        return " ".join((self._folder / "live.log").read_text(errors="replace").split())

    def last_lines(self) -> str:
        """The end of what `live` has printed so far."""
        lines = (self._folder / "live.log").read_text(errors="replace").splitlines()
        return "\n".join(["the end of live.log:", *lines[-LAST_LINES:]])

    def freeze_supervisor(self) -> None:
        """It lives, and looks at nothing any more."""
        self.process(SUPERVISOR).suspend()

    def close(self) -> None:
        processes = self.processes().values()
        if self._live is not None:
            self._live.send_signal(signal.SIGCONT)
            self._live.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                self._live.wait(END_TIMEOUT_S)
            for process in processes:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            self._live.wait()
        self._operator.close()
        self._worker.close()
        self._loop.run(self._witness.close())
        self._loop.stop()

    def processes(self) -> dict[str, psutil.Process]:
        """Those that live, by name: a child's is that of its log."""
        found: dict[str, psutil.Process] = {}
        if self._live is None:
            return found
        with suppress(psutil.NoSuchProcess):
            supervisor = psutil.Process(self._live.pid)
            found[SUPERVISOR] = supervisor
            for child in supervisor.children(recursive=True):
                with suppress(OSError):
                    name = Path(os.readlink(f"/proc/{child.pid}/fd/2")).stem
                    found["news-worker" if name == "news" else name] = child
        return found

    # What is so -----------------------------------------------------------------------------

    def problem(self, since_s: float | None = None) -> str:
        """What is not as it should be; empty when all is well. With ``since_s``, a worker must
        have shown signs of life after that moment.

        The exchange is asked last, at most every ``ASK_EXCHANGE_EVERY_S``; what it said when all
        was well is in ``held``.
        """
        try:
            status = self._operator.status()
            portfolio = self._operator.portfolio()
        except SpikeguardError as error:
            return str(error)
        if status.level is not ServiceLevel.FULL:
            return f"{status.level}: {status.level_reason}"
        if wrong := self._component_problem(status, since_s):
            return wrong
        if time.monotonic() - self._asked_s < ASK_EXCHANGE_EVERY_S:
            return "the exchange was asked a moment ago"
        there = self.held = self.holdings()
        held = [(p.symbol.removesuffix("USDT"), p.quantity) for p in portfolio.positions]
        if any(dict(there.quantities).get(asset, Decimal(0)) < held_ for asset, held_ in held):
            return f"held {held}, there {there.quantities}"
        orders = tuple(sorted(order.client_order_id for order in portfolio.open_orders))
        if orders != there.orders:
            return f"orders {orders} with us, {there.orders} there"
        if len(portfolio.positions) != len(there.quantities) - 1:  # and the quote asset
            return f"{len(portfolio.positions)} positions, there {there.quantities}"
        unprotected = [
            p.symbol for p in portfolio.positions if p.stop_client_order_id not in orders
        ]
        return f"without a stop: {unprotected}" if unprotected else ""

    def wait_until_well(self) -> None:
        ends_s = time.monotonic() + START_TIMEOUT_S
        while problem := self.problem():
            assert time.monotonic() < ends_s, f"{problem}\n{self.last_lines()}"
            time.sleep(0.1)

    def _component_problem(self, status: CoreStatus, since_s: float | None) -> str:
        components = {one.name: one for one in status.components}
        for one in components.values():
            if not one.ok:
                return f"{one.name} is not well: {one.detail}"
        for name in WORKERS:
            one = components.get(name)
            if one is None or one.detail == "starting":
                return f"{name} has not begun"
            if since_s is not None and (one.age_ms or 0) > (time.monotonic() - since_s) * 1000:
                return f"{name} has not been heard since"
        return ""

    def holdings(self) -> Holdings:
        """As the exchange has it, whatever we believe."""
        self._asked_s = time.monotonic()
        account = self._loop.run(self._witness.account())
        orders = self._loop.run(self._witness.open_orders())
        return Holdings(
            tuple(sorted((name, one.total) for name, one in account.balances.items() if one.total)),
            tuple(sorted(order.client_order_id for order in orders)),
        )

    def is_back(self, name: str, before: psutil.Process, killed_s: float) -> str:
        """Why ``name``, which was killed, is not back yet; empty when it is."""
        now = self.processes().get(name)
        if now is None or now.pid == before.pid:
            return f"{name} was not started again"
        since_s = None if name == CORE else killed_s
        return self.problem(since_s)

    # What else asks the exchange from this address -------------------------------------------

    def begin_a_minute(self) -> None:
        """Wait until the exchange counts requests anew, if little of its minute is left."""
        if time.time() % 60 > LATE_IN_A_MINUTE_S:
            time.sleep(60 - time.time() % 60)

    def use_up_the_minute(self) -> None:
        """Ask so much that a core, which leaves others a part, may not ask any more."""
        with httpx.Client(base_url=self._rest_url) as client:
            while True:
                answer = client.get("/api/v3/depth", params={"symbol": "BTCUSDT", "limit": 5000})
                if int(answer.headers[USED_WEIGHT]) > WEIGHT_PER_MINUTE * ORDINARY_SHARE:
                    return

    # What is traded -------------------------------------------------------------------------

    def buy(self, symbol: str) -> None:
        """Have an entry on a recorded spike filled, and its stop placed."""
        price = self._worker.symbol_stats(symbol).last_price
        spike = rising_spike(f"spk-{symbol}", symbol, self._worker.now_ms(), price)
        connection = open_database(self._storage)
        SpikeRepository(connection).insert(spike)
        connection.close()
        now_ms = self._worker.now_ms()
        result = self._worker.propose_trade(
            TradeProposal(
                spike_id=spike.id,
                symbol=symbol,
                entry_type="MARKET",
                notional=Decimal(500),
                stop_loss_pct=9.0,
                take_profit_pct=90.0,
                confidence=0.9,
                epoch=self._worker.breaker_snapshot().epoch,
                decided_at_ms=now_ms,
                deadline_ms=now_ms + 60_000,
                reasoning="a test's entry",
            )
        )
        assert result.outcome is ProposalOutcome.ACCEPTED, result


def _is_reaped_late(process: psutil.Process) -> bool:
    """Whether it has ended, and only its new parent has not asked how yet."""
    with suppress(psutil.NoSuchProcess):
        return process.status() == psutil.STATUS_ZOMBIE
    return True


async def _witness(endpoints: dict[str, str], exchange: dict[str, Any]) -> ExchangeClient:
    config = ExchangeConfig(venue=VENUE, endpoints=VenueEndpoints(**endpoints))
    credentials = {"key": exchange["api_key"], "secret": exchange["api_secret"]}
    client = create_venue(config, ApiCredentials.model_validate(credentials), SystemClock()).client
    await client.connect()
    return client


@contextmanager
def killed_run(folder: Path) -> Iterator[KilledRun]:
    """A run on an exchange of its own, with two positions; well when it is handed over."""
    exchange = subprocess.Popen(
        [sys.executable, "-m", "crews.run", "exchange", "--scenario", "calm"],
        cwd=folder,
        stdout=subprocess.PIPE,
    )
    run: KilledRun | None = None
    try:
        assert exchange.stdout is not None
        run = KilledRun(folder, json.loads(exchange.stdout.readline()))
        run.start()
        run.wait_until_well()
        for symbol in ("SOLUSDT", "ADAUSDT"):
            run.buy(symbol)
        run.wait_until_well()
        yield run
    finally:
        if run is not None:
            run.close()
        exchange.terminate()
        exchange.wait(20)
