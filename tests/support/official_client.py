"""Binance's official clients, run beside the tests in packages of their own."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from trading.simulator.server.app import RunningServer

ROOT = Path(__file__).parents[2]
JUDGES = ROOT / "tests" / "judges"
Market = Literal["spot", "usdm"]
REQUIREMENTS: dict[Market, str] = {
    "spot": "requirements.txt",
    "usdm": "usdm_requirements.txt",
}
LINE_LIMIT = 16 * 1024 * 1024
ANSWER_S = 120


@dataclass(frozen=True)
class Verdict:
    """What the client made of one answer."""

    data: Any
    error: dict[str, Any] | None
    complaints: list[str]
    missing: set[str]
    unknown: set[str]


class OfficialClient:
    """Sends requests through the client and returns its verdicts."""

    def __init__(
        self, process: asyncio.subprocess.Process, market: Market, tolerated: frozenset[str]
    ) -> None:
        self._process = process
        self._market = market
        self._tolerated = tolerated

    async def point_at(self, server: RunningServer, **options: Any) -> None:
        """Use ``server`` from now on; ``options`` go to the judge (time_unit, private_key…)."""
        key = server.keys[0]
        urls = (server.rest_url, server.ws_url, server.ws_api_url)
        if self._market == "usdm":
            urls = (server.futures_rest_url, server.futures_ws_url, server.futures_ws_api_url)
        setup = {
            "market": self._market,
            **dict(zip(("rest_url", "ws_url", "ws_api_url"), urls, strict=True)),
            "api_key": key.key,
            "api_secret": key.secret,
        }
        await self._tell("setup", "", setup | options)

    async def fits(
        self, kind: str, name: str, *exceptions: str, sends_body: bool = False, **args: Any
    ) -> Any:
        """``ask``, and fail unless the model took the whole answer; returns the answer.

        ``exceptions`` are fields that may be missing or unknown, beside those always tolerated.
        """
        verdict = await self.ask(kind, name, sends_body=sends_body, **args)
        assert verdict.error is None, verdict.error
        assert verdict.complaints == []
        allowed = self._tolerated.union(exceptions)
        for paths in (verdict.missing, verdict.unknown):
            assert {path for path in paths if path.split(".")[-1] not in allowed} == set()
        return verdict.data

    async def ask(self, kind: str, name: str, *, sends_body: bool = False, **args: Any) -> Verdict:
        """One call: ``kind`` is a method of the judge; ``name`` one of the client.

        With ``sends_body`` whatever is not a GET has its parameters in the body.
        """
        await self._tell(kind, name, args, sends_body=sends_body)
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), ANSWER_S)
        answer = json.loads(line)
        return Verdict(
            answer["data"],
            answer["error"],
            answer["complaints"],
            set(answer["missing"]),
            set(answer["unknown"]),
        )

    async def _tell(
        self, kind: str, name: str, args: dict[str, Any], *, sends_body: bool = False
    ) -> None:
        task = {"kind": kind, "name": name, "args": args, "sends_body": sends_body}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(task).encode() + b"\n")
        await self._process.stdin.drain()


@asynccontextmanager
async def official_client(
    market: Market, tolerated: frozenset[str] = frozenset()
) -> AsyncIterator[OfficialClient]:
    """The client's process. ``tolerated``: fields that any answer may have or lack."""
    packages = await asyncio.to_thread(installed, market)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(JUDGES / "judge.py"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(packages)},
        limit=LINE_LIMIT,
    )
    try:
        yield OfficialClient(process, market, tolerated)
    finally:
        if process.stdin is not None:
            process.stdin.close()
        await process.wait()


def installed(market: Market) -> Path:
    """The client's packages; installed on first use, exactly as listed."""
    requirements = JUDGES / REQUIREMENTS[market]
    version = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:12]
    home = ROOT / ".judges"
    home.mkdir(exist_ok=True)
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        packages, stamp = home / version, home / f"{version}.installed"
        if not stamp.exists():
            subprocess.run(
                [
                    *(sys.executable, "-m", "pip", "install", "-qq", "--no-deps"),
                    *("--disable-pip-version-check", "--target", str(packages)),
                    *("-r", str(requirements)),
                ],
                check=True,
            )
            stamp.touch()
    return packages


if __name__ == "__main__":
    for each in REQUIREMENTS:
        installed(each)
