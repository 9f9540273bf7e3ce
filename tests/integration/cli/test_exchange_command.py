"""`exchange`: the embedded exchange alone, from the command line."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from crews.cli.app import run
from crews.cli.exit_codes import ExitCode


@contextmanager
def exchange(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "crews.run", "exchange", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process, json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


def status_of(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def told(url: str, body: dict[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data), timeout=5) as answer:
        return json.load(answer)


def test_a_paused_market_stands_still_takes_orders_and_goes_on() -> None:
    with exchange("--scenario", "calm", "--speed", "0", "--control") as (_process, ready):
        url = ready["rest_url"]
        newest = f"{url}/api/v3/trades?symbol=BTCUSDT&limit=1"
        assert told(newest) == []  # the market has not begun
        assert told(f"{url}/control/speed", {"speed": 100})["speed"] == 100
        deadline = time.monotonic() + 10
        while not told(newest):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        paused_ms = told(f"{url}/control/speed", {"speed": 0})["market_ms"]
        last = told(newest)
        time.sleep(0.2)
        assert told(newest) == last
        assert told(f"{url}/control/speed", {"speed": 0})["market_ms"] == paused_ms
        assert told(f"{url}/api/v3/depth?symbol=BTCUSDT")["bids"]


def test_a_folder_without_recordings_is_a_wrong_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["exchange", "--data", str(tmp_path)]) == ExitCode.CONFIGURATION
    told = capsys.readouterr().err
    assert "--data" in told
    assert str(tmp_path) in told.replace("\n", "")


def test_the_exchange_runs_alone_suffers_its_schedule_and_ends_on_a_signal(
    tmp_path: Path,
) -> None:
    day = tmp_path / "day.yaml"
    day.write_text("faults: [{at_s: 0, kind: maintenance, duration_ms: 1500}]\n")
    with exchange("--scenario", "calm", "--faults", str(day)) as (process, ready):
        assert ready["pid"] == process.pid
        assert {"rest_url", "ws_url", "ws_api_url", "api_key", "api_secret"} <= ready.keys()
        ping = f"{ready['rest_url']}/api/v3/ping"
        assert status_of(ping) == 503
        deadline = time.monotonic() + 60
        while status_of(ping) != 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert status_of(f"{ready['futures_rest_url']}/fapi/v1/ping") == 200
        assert ready["futures_ws_api_url"] == f"{ready['futures_ws_url']}/ws-fapi/v1"
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


def test_a_port_that_is_taken_is_named_with_what_to_do(capsys: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run(["exchange", "--port", str(port)]) == ExitCode.CONFIGURATION
    shown = " ".join(capsys.readouterr().err.split())
    assert f"--port {port}" in shown
    assert "0 for any free one" in shown


def test_a_wrong_schedule_is_refused_with_its_key(tmp_path: Path, capsys: Any) -> None:
    day = tmp_path / "day.yaml"
    day.write_text("faults: [{at_s: 1, kind: earthquake}]\n")
    assert run(["exchange", "--faults", str(day)]) == ExitCode.CONFIGURATION
    shown = capsys.readouterr().err
    assert "faults.0.kind" in shown
    assert "earthquake" in shown
    for missing in (str(tmp_path / "none.yaml"), "-3"):
        assert run(["exchange", "--faults", missing]) == ExitCode.CONFIGURATION
        shown = " ".join(capsys.readouterr().err.split())
        assert f"--faults: {missing} is neither a file nor a seed" in shown
