"""Libraries that nobody here wrote, pointed at the embedded exchange as their users would.

``python tests/support/outsiders.py [NAME ...]`` installs each library into an environment of its
own below .judges (hundreds of megabytes), starts the exchange, makes the library's calls and says
which of them failed. Exit code 1 if one did.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "tests" / "judges" / "outsiders"
HOME = ROOT / ".judges"
CALLS_S = 300


@dataclass(frozen=True)
class Outsider:
    """A library's packages, as pip names them, and the script that uses it."""

    packages: tuple[str, ...]
    script: str


OUTSIDERS = {
    "basana": Outsider(("basana==1.11",), "basana_client.py"),
    "ccxt": Outsider(("ccxt==4.5.90",), "ccxt_client.py"),
    "connectors": Outsider(
        ("binance-connector==3.13.0", "binance-futures-connector==4.2.0"), "connectors_client.py"
    ),
    "nautilus": Outsider(("nautilus_trader==1.221.0",), "nautilus_client.py"),
}


def problems_of(name: str) -> tuple[int, list[str]]:
    """How many calls the library made, and what it did not like. Raises if its script breaks."""
    outsider = OUTSIDERS[name]
    python = installed(outsider.packages)
    with exchange() as ready:
        done = subprocess.run(
            [str(python), str(SCRIPTS / outsider.script)],
            input=ready,
            capture_output=True,
            text=True,
            timeout=CALLS_S,
            check=False,
        )
    lines = [line for line in done.stdout.splitlines() if line.startswith('{"call"')]
    calls = [json.loads(line) for line in lines]
    problems = [f"{each['call']}: {each['problem']}" for each in calls if each["problem"]]
    if done.returncode:
        problems.append(f"the script broke: {done.stderr[-2000:]}")
    return len(calls), problems


def installed(packages: tuple[str, ...]) -> Path:
    """The interpreter of an environment that has the packages; made on first use."""
    wanted = " ".join(packages) + sys.version
    place = HOME / f"outsider-{hashlib.sha256(wanted.encode()).hexdigest()[:12]}"
    python, stamp = place / "bin" / "python", place / ".installed"
    HOME.mkdir(exist_ok=True)
    with (HOME / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists():
            venv.create(place, with_pip=True, clear=True)
            pip = [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
            subprocess.run([*pip, *packages], check=True)
            stamp.touch()
    return python


@contextmanager
def exchange() -> Iterator[str]:
    """The ready line of an exchange with a generated market."""
    process = subprocess.Popen(
        [sys.executable, "-m", "crews.run", "exchange"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline()
    finally:
        process.terminate()
        process.wait()


def main(names: list[str]) -> int:
    failed = False
    for name in names or sorted(OUTSIDERS):
        count, problems = problems_of(name)
        failed = failed or bool(problems)
        lines = [f"{name}: {count} calls, {len(problems)} problems", *problems]
        sys.stdout.write("\n  ".join(lines) + "\n")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
