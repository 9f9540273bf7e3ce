"""Logging of every process: one line per event on standard error, for people or as JSON."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, TextIO

from pydantic import Field

from trading.model.base import ConfigModel

if TYPE_CHECKING:
    from structlog.typing import EventDict


SHORTEST_SECRET = 8
_SECRET_NAME = re.compile(r"KEY|SECRET|TOKEN|PASSW|CREDENTIAL|CLIENT_ID")


class LogLevel(StrEnum):
    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


class LogFormat(StrEnum):
    CONSOLE = "console"
    JSON = "json"


class LoggingConfig(ConfigModel):
    """What the processes log. The supervisor sends each one's lines to a file of its own."""

    level: LogLevel = Field(
        default=LogLevel.INFO, description="Least important level that is logged."
    )
    format: LogFormat = Field(
        default=LogFormat.CONSOLE,
        description="console: one readable line per event; json: one JSON object per line.",
    )
    loggers: dict[str, LogLevel] = Field(
        default={"httpx": LogLevel.WARNING, "websockets": LogLevel.WARNING},
        description="Levels of single loggers and all below them, such as trading.execution.",
    )


def _without_color_twin(_: object, __: str, event: EventDict) -> EventDict:
    """uvicorn sends each message a second time, with escape codes."""
    event.pop("color_message", None)
    return event


def secrets_in(environment: Mapping[str, str], named: Collection[str] = ()) -> tuple[str, ...]:
    """Values of the variables whose names speak of keys, secrets, tokens and passwords, and of
    those in ``named``.

    Longest first, so that none is cut by a shorter one within it; short ones are left out: they
    are no secrets, and would be found everywhere.
    """
    found = {
        value.strip()
        for name, value in environment.items()
        if (name in named or _SECRET_NAME.search(name)) and len(value.strip()) >= SHORTEST_SECRET
    }
    return tuple(sorted(found, key=lambda value: (-len(value), value)))


class RedactingFormatter(logging.Formatter):
    """Another formatter's lines without the secrets, whoever put them there.

    Libraries log addresses, headers and settings of their own accord; what they do not know to be
    secret must not reach a file.
    """

    def __init__(self, inner: logging.Formatter, secrets: Sequence[str]) -> None:
        super().__init__()
        self._inner = inner
        self._secrets = tuple(secrets)

    def format(self, record: logging.LogRecord) -> str:
        line = self._inner.format(record)
        for secret in self._secrets:
            line = line.replace(secret, "***")
        return line


def configure_logging(
    config: LoggingConfig,
    process_name: str,
    stream: TextIO | None = None,
    *,
    secret_variables: Collection[str] = (),
) -> None:
    """Route the standard library's loggers and structlog's to ``stream`` (standard error).

    Replaces whatever was configured before. ``process_name`` is stamped into every line; secrets of
    the process's environment are in none, nor is what the ``secret_variables`` hold.
    """
    import structlog

    def stamp(_: object, __: str, event: EventDict) -> EventDict:
        event.setdefault("process", process_name)
        return event

    target = stream or sys.stderr
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        stamp,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    final: list[structlog.typing.Processor]
    if config.format is LogFormat.JSON:
        final = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        # The default traceback of structlog prints local variables: keys, where the client fails.
        final = [
            structlog.dev.ConsoleRenderer(
                colors=target.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
        ]
    handler = logging.StreamHandler(target)
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder(), _without_color_twin],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
    )
    handler.setFormatter(RedactingFormatter(formatter, secrets_in(os.environ, secret_variables)))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(config.level.value)
    for name, level in config.loggers.items():
        logging.getLogger(name).setLevel(level.value)
