"""Exit codes of the command line, and the one place where errors become one."""

from __future__ import annotations

from enum import IntEnum

from trading import errors


class ExitCode(IntEnum):
    """What a script may rely on. A wrong command line counts as CONFIGURATION."""

    OK = 0
    ERROR = 1
    NOT_FOUND = 2
    NOT_RUNNING = 3
    CONFIGURATION = 4
    TIMEOUT = 5
    INTERRUPTED = 130


# The first class that fits decides.
_CODES: tuple[tuple[type[errors.SpikeguardError], ExitCode], ...] = (
    (errors.ConfigurationError, ExitCode.CONFIGURATION),
    (errors.CoreNotRunningError, ExitCode.NOT_RUNNING),
    (errors.CoreTimeoutError, ExitCode.TIMEOUT),
    (errors.StoreMissingError, ExitCode.NOT_FOUND),
    (errors.RecordNotFoundError, ExitCode.NOT_FOUND),
    (errors.OrderNotFoundError, ExitCode.NOT_FOUND),
    (errors.WindowNotFoundError, ExitCode.NOT_FOUND),
)

EXPLANATION = (
    "Exit codes: 0 done, 1 error, 2 not found, 3 no core is running, 4 configuration or usage, "
    "5 time-out, 130 interrupted."
)


def exit_code_of(error: errors.SpikeguardError) -> ExitCode:
    """Exit code for ``error``; 1 where no more is known."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), ExitCode.ERROR)
