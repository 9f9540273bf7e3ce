"""Environments of their own for what is measured beside the product and is no part of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Environment:
    """A folder below .bench, and what is installed into it."""

    name: str
    packages: tuple[str, ...]


RIVALS = Environment(
    "rivals",
    (
        "nautilus_trader==1.221.0",
        "river==0.26.1",
        "pandas==2.3.3",
        "pyarrow==26.0.1",
        "uvloop==0.22.1",
        # What the product's market half imports, so that both run in one process.
        "msgspec==0.22.0",
        "pydantic==2.12.5",
        "structlog==26.1.0",
    ),
)
QUEUES = Environment("queues", ("hftbacktest==2.4.4", "numba==0.68.1", "numpy==2.2.6"))


def rivals() -> Path | None:
    """The Python of the rivals' environment; None where it cannot be had."""
    return environment(RIVALS)


def environment(wanted: Environment) -> Path | None:
    """The Python of an environment, made at the first call; None where it cannot be had."""
    folder = ROOT / ".bench" / wanted.name
    python = folder / "bin" / "python"
    stamp = folder / ".installed"
    packages = "\n".join(wanted.packages)
    if stamp.exists() and stamp.read_text() == packages:
        return python
    names = ", ".join(package.partition("=")[0] for package in wanted.packages)
    print(f"installing {names} into {folder} (once) ...", flush=True)
    pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    options = ["--prefer-binary", *wanted.packages]
    try:
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([*pip, *options], check=True, stderr=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"  not available here: {error}")
        return None
    stamp.write_text(packages)
    return python


def run(python: Path, script: str, *arguments: object) -> dict[str, Any] | None:
    """What ``benchmarks/<script>`` prints as JSON on its last line; None, said so, if it fails."""
    command = [str(python), str(ROOT / "benchmarks" / script), *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'benchmarks'}"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        print(f"  {script} failed: {last}")
        return None
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result
