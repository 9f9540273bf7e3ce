"""`crews.run replay` on recorded data, as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

DATA = os.environ.get("SPIKEGUARD_MARKET_DATA")
needs_data = pytest.mark.skipif(
    DATA is None, reason="SPIKEGUARD_MARKET_DATA is not set: no recorded market to replay"
)


def replay(*arguments: str, timeout_s: float = 600) -> dict[str, Any]:
    """The report of `crews.run replay … --json`."""
    done = subprocess.run(
        [sys.executable, "-m", "crews.run", "replay", "--data", str(DATA), *arguments, "--json"],
        capture_output=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    report: dict[str, Any] = json.loads(done.stdout)
    return report
