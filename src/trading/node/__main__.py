"""``python -m trading.node``: the core process. Started by `crews.run live`, not by hand."""

from __future__ import annotations

import os
import sys

import uvloop
from pydantic import ValidationError

from trading.errors import RateLimitedError, SpikeguardError
from trading.node.config import CoreLaunch
from trading.node.logs import configure_logging
from trading.node.process import run_core
from trading.node.words import CoreWord, say


def main() -> int:
    """Exit codes: 0 ended in order, 1 could not start or failed."""
    try:
        launch = CoreLaunch.model_validate_json(_first_line())
    except ValidationError as error:
        sys.stderr.write(f"the settings on standard input are wrong: {error}\n")
        return 1
    configure_logging(launch.config.logging, "core")
    try:
        uvloop.run(run_core(launch, os.environ))
    except SpikeguardError as error:
        if isinstance(error, RateLimitedError):
            say(CoreWord(pid=os.getpid(), refused_for_s=error.retry_after_s))
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    return 0


def _first_line() -> bytes:
    """Read byte by byte up to the newline, so that nothing behind it is swallowed."""
    line = bytearray()
    while (byte := os.read(sys.stdin.fileno(), 1)) not in (b"", b"\n"):
        line += byte
    return bytes(line)


if __name__ == "__main__":
    sys.exit(main())
