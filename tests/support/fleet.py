"""Gateways in processes of their own around one Redis, and a recorder that sees all they send."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fleet_gateway
from fleet_gateway import Spec, real_ns
from redis_server import Line, RedisServer
from wire_recorder import SO_TIMESTAMPNS

from trading.risk.redis_config import MAX_LEASE_MS

ANSWER_TIMEOUT_S = 60.0
FORK = multiprocessing.get_context("forkserver")
FORK.set_forkserver_preload(["fleet_gateway"])


@dataclass(frozen=True)
class Timing:
    """Of every gateway of a fleet, and the venue's receive window."""

    lease_ms: int
    renew_interval_ms: int
    timeout_ms: int
    recv_window_ms: int
    wire_ms: int
    unlisted_lease_ms: int = MAX_LEASE_MS  # of gateways that Redis has forgotten


DEFAULT_TIMING = Timing(1_000, 250, 400, recv_window_ms=1_000, wire_ms=1_200)
SHORT_TIMING = Timing(600, 100, 300, recv_window_ms=200, wire_ms=300, unlisted_lease_ms=600)


@dataclass(frozen=True)
class Arrival:
    """An entry as the venue took it."""

    at_ns: int
    gateway: str


class Venue:
    """Takes entries as datagrams, stamped by the kernel within the sender's ``send``; refuses those
    that were signed longer than the receive window ago, as the exchange does."""

    def __init__(self, recv_window_ms: int) -> None:
        self._window_ns = recv_window_ms * 1_000_000
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.1)
        self.address: tuple[str, int] = self._socket.getsockname()
        self.taken: list[Arrival] = []
        self.refused = 0
        self._over = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def taken_from(self, gateway: str, since_ns: int) -> int:
        return sum(each.gateway == gateway and each.at_ns > since_ns for each in self.taken)

    def close(self) -> None:
        self._over = True
        self._thread.join()
        self._socket.close()

    def _read(self) -> None:
        while True:
            try:
                data, ancillary, _, _ = self._socket.recvmsg(256, 256)
            except TimeoutError:
                if self._over:
                    return
                continue
            stamp = next(each for each in ancillary if each[1] == SO_TIMESTAMPNS)
            seconds, nanoseconds = struct.unpack("qq", stamp[2][:16])
            at_ns = seconds * 1_000_000_000 + nanoseconds
            name, _, signed_ns = data.decode().rpartition("@")
            if at_ns - int(signed_ns) > self._window_ns:
                self.refused += 1
            else:
                self.taken.append(Arrival(at_ns, name.rpartition("-")[0]))


@dataclass(frozen=True)
class Trip:
    """What a gateway's ``trigger`` returned, and when."""

    gateway: str
    returned_ns: int
    took_ms: float
    in_flight: tuple[str, ...]
    unconfirmed: tuple[str, ...]


class GatewayProcess:
    """The test's end of a gateway."""

    def __init__(self, spec: Spec, line: Line) -> None:
        self.spec, self.line, self.name = spec, line, spec.name
        self._pipe, other = FORK.Pipe()
        self._process = FORK.Process(target=fleet_gateway.main, args=(spec, other), daemon=True)
        self._process.start()
        other.close()
        self.changes: list[dict[str, Any]] = []

    def wait_ready(self) -> None:
        while True:
            message = self._next()
            if "ready" in message:
                return

    def trip(self, reason: str = "crash") -> Trip:
        self.begin("trip", reason=reason)
        return self.trip_ended()

    def trip_ended(self) -> Trip:
        answer = self.end("trip")
        return Trip(
            self.name,
            answer["returned_ns"],
            answer["took_ms"],
            answer["in_flight"],
            answer["unconfirmed"],
        )

    def begin(self, command: str, **arguments: Any) -> None:
        self._pipe.send((command, arguments))

    def end(self, command: str) -> dict[str, Any]:
        while True:
            message = self._next()
            if message.get("done") == command:
                return message

    def do(self, command: str, **arguments: Any) -> dict[str, Any]:
        self.begin(command, **arguments)
        return self.end(command)

    def state(self) -> dict[str, Any]:
        return self.do("state")

    def halted_at_ns(self, since_ns: int) -> int | None:
        """When the breaker first changed to TRIGGERED after ``since_ns``; 0 if it was already."""
        if self.state()["status"] != "TRIGGERED":
            return None
        changes = [each for each in self.changes if each["changed"] == "TRIGGERED"]
        return next((each["at_ns"] for each in changes if each["at_ns"] > since_ns), 0)

    def send_signal(self, number: signal.Signals) -> None:
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def is_stopped(self) -> bool:
        stat = Path(f"/proc/{self._process.pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] == "T"

    def kill(self) -> None:
        self._process.kill()
        self._process.join()
        self._process.close()
        self._pipe.close()

    def _next(self) -> dict[str, Any]:
        assert self._pipe.poll(ANSWER_TIMEOUT_S), f"{self.name} does not answer"
        message: dict[str, Any] = self._pipe.recv()
        if "changed" in message:
            self.changes.append(message)
        return message


class Fleet:
    """``names`` gateways, trading."""

    def __init__(self, folder: Path, timing: Timing) -> None:
        self._folder = folder
        self.timing = timing
        self.redis = RedisServer(folder)
        self.venue = Venue(timing.recv_window_ms)
        self.gateways: dict[str, GatewayProcess] = {}
        self.mutant: str | None = None

    def __getitem__(self, name: str) -> GatewayProcess:
        return self.gateways[name]

    def add(self, *names: str, mutant: str | None = None) -> None:
        """Start gateways and wait until they have joined."""
        timing, self.mutant = self.timing, mutant
        for name in names:
            line = Line(self.redis.port)
            spec = Spec(
                name=name,
                store=self._folder / f"{name}.sqlite3",
                redis_port=line.port,
                recorder=self.venue.address,
                lease_ms=timing.lease_ms,
                renew_interval_ms=timing.renew_interval_ms,
                timeout_ms=timing.timeout_ms,
                wire_ms=timing.wire_ms,
                unlisted_lease_ms=timing.unlisted_lease_ms,
                mutant=mutant,
            )
            self.gateways[name] = GatewayProcess(spec, line)
        for name in names:
            self.gateways[name].wait_ready()

    def remove(self, name: str) -> None:
        gateway = self.gateways.pop(name)
        gateway.kill()
        gateway.line.close()

    def clear_all(self) -> None:
        """Operators force every gateway to SAFE until all of them trade."""
        until(self._clear_once, "all gateways trade again")

    def _clear_once(self) -> bool:
        since_ns = real_ns()
        for gateway in self.gateways.values():
            gateway.do("clear")
        time.sleep(0.02)
        return all(
            self.venue.taken_from(name, since_ns) and gateway.state()["status"] == "SAFE"
            for name, gateway in self.gateways.items()
        )

    def taken_since(self, since_ns: int) -> int:
        """Entries of any gateway that the venue has taken since; waits for those on their way."""
        time.sleep(0.03)
        return sum(each.at_ns > since_ns for each in self.venue.taken)

    def stopped_by_a_step(self, name: str, step_s: float, tries: int) -> str | None:
        """Why a gateway stops trading when its wall clock is set by ``step_s``; None if it goes on.

        More than one try is for a busy machine, which may let a lease run out without any step.
        """
        gateway = self.gateways[name]
        for _ in range(tries):
            self.clear_all()
            gateway.do("set_wall_clock", step_s=step_s)
            stepped_ns = real_ns()
            time.sleep(0.1)
            state = gateway.state()
            if state["status"] == "SAFE" and self.venue.taken_from(name, stepped_ns):
                return None
            gateway.do("set_wall_clock", step_s=-step_s)
        return str(state["reason"])

    def close(self) -> None:
        for gateway in self.gateways.values():
            gateway.kill()
            gateway.line.close()
        self.redis.close()
        self.venue.close()


@contextmanager
def fleet(folder: Path, *names: str, timing: Timing, mutant: str | None = None) -> Iterator[Fleet]:
    """Gateways that trade, around an empty Redis."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Fleet(folder, timing)
    try:
        made.add(*names, mutant=mutant)
        made.clear_all()  # a busy machine may have let a lease run out already
        yield made
    finally:
        made.close()


def until(condition: Callable[[], Any], what: str, timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"did not happen within {timeout_s:g} s: {what}"
        time.sleep(0.01)
