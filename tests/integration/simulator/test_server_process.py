"""``python -m trading.simulator.server`` as its parent sees it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def server_process(**config: Any) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "trading.simulator.server"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(config) + "\n")
        process.stdin.flush()
        yield process, json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)


def btc(ready: dict[str, Any]) -> float:
    return float(get(f"{ready['rest_url']}/api/v3/ticker/price?symbol=BTCUSDT")["price"])


def test_a_generated_market_runs_at_the_asked_speed_and_crashes_on_demand() -> None:
    with server_process(speed=50, control=True, generator={"scenario": "calm"}) as (
        _process,
        ready,
    ):
        assert ready["clock"]["speed"] == 50
        assert abs(ready["clock"]["start_ms"] - time.time() * 1000) < 10_000
        before = btc(ready)
        request = urllib.request.Request(
            f"{ready['rest_url']}/control/shock",
            data=json.dumps({"symbol": "all", "pct": -20, "duration_s": 10}).encode(),
        )
        urllib.request.urlopen(request, timeout=30).close()
        deadline = time.monotonic() + 60
        while btc(ready) > before * 0.82 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert before * 0.78 < btc(ready) < before * 0.82


def test_the_server_dies_with_its_parent() -> None:
    with server_process() as (process, _ready):
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(timeout=30) == 0


def test_the_server_ends_in_order_on_sigterm() -> None:
    with server_process() as (process, _ready):
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0


@pytest.mark.parametrize(
    ("config", "complaint"),
    [('{"sped": 2}', "sped"), ('{"data_dir": "/nonexistent"}', "/nonexistent")],
)
def test_a_wrong_configuration_is_named(config: str, complaint: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "trading.simulator.server"],
        input=config + "\n",
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 1
    assert complaint in done.stderr
    assert done.stdout == ""
