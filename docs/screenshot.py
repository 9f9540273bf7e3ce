"""Draws docs/images/crash.svg: a live run on the embedded exchange, half a minute into a crash.

Runs `crews.run live --json` on the default scenario, ten times as fast as the wall, in a folder of
its own, and renders the first status that is well inside the halt with the terminal view's own
code.    .venv/bin/python docs/screenshot.py
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from crews.live.view import render
from trading.api.schemas import CoreStatus
from trading.model.breaker import BreakerStatus

HALTED_FOR_MS = 30_000
PICTURE = Path(__file__).parent / "images" / "crash.svg"


def halted_status() -> CoreStatus:
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "config")
        config.mkdir()
        Path(config, "crewai_config.yaml").write_text(
            "storage:\n  path: store.sqlite3\napi:\n  runtime_directory: run\n"
        )
        command = [sys.executable, "-m", "crews.run", "live", "--json", "--speed", "10"]
        with subprocess.Popen(
            [*command, "--duration", "180"],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "CREWAI_LLM_PROVIDER": "rule"},
        ) as live:
            assert live.stdout is not None
            try:
                for line in live.stdout:
                    status = CoreStatus.model_validate_json(line)
                    breaker = status.breaker.snapshot
                    halted_ms = status.time_ms - (breaker.triggered_at_ms or status.time_ms)
                    if breaker.status is BreakerStatus.TRIGGERED and halted_ms > HALTED_FOR_MS:
                        return status
            finally:
                live.terminate()
    raise SystemExit("the run ended without a crash")


def main() -> None:
    status = halted_status()
    with open(os.devnull, "w") as nowhere:
        console = Console(record=True, width=150, height=44, file=nowhere, force_terminal=True)
        console.print(render(status))
        PICTURE.write_text(console.export_svg(title="spikeguard live"))


if __name__ == "__main__":
    main()
