from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from trading.node.logs import LogFormat, LoggingConfig, LogLevel, configure_logging


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in ("quiet", "httpx", "websockets")}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


def _logged(config: LoggingConfig, process: str = "core") -> str:
    stream = io.StringIO()
    configure_logging(config, process, stream)
    logging.getLogger("trading.test").info("sent %d orders", 3, extra={"symbol": "BTCUSDT"})
    logging.getLogger("trading.test").debug("detail")
    logging.getLogger("quiet.below").info("chatter")
    try:
        raise ValueError("broken")
    except ValueError:
        logging.getLogger("trading.test").exception("failed")
    return stream.getvalue()


def test_json_lines_carry_process_level_logger_and_values() -> None:
    config = LoggingConfig(format=LogFormat.JSON, loggers={"quiet": LogLevel.WARNING})
    lines = [json.loads(line) for line in _logged(config).splitlines()]
    assert [line["event"] for line in lines] == ["sent 3 orders", "failed"]
    first, second = lines
    assert first["process"] == "core"
    assert first["level"] == "info"
    assert first["logger"] == "trading.test"
    assert first["symbol"] == "BTCUSDT"
    assert first["timestamp"].endswith("Z")
    assert "ValueError: broken" in second["exception"]


def test_the_level_decides_what_is_logged() -> None:
    config = LoggingConfig(level=LogLevel.DEBUG, loggers={})
    text = _logged(config)
    assert "detail" in text
    assert "chatter" in text
    assert "sent 3 orders" not in _logged(LoggingConfig(level=LogLevel.ERROR))


@pytest.mark.parametrize("format_", list(LogFormat))
def test_a_traceback_in_the_log_tells_the_line_but_no_local_variable(format_: LogFormat) -> None:
    stream = io.StringIO()
    configure_logging(LoggingConfig(format=format_), "core", stream)
    api_secret = "".join(["never", "to", "be", "seen"])
    try:
        raise ValueError(len(api_secret))
    except ValueError:
        logging.getLogger("trading.test").exception("signing failed")
    assert "signing failed" in stream.getvalue()
    assert "test_logs.py" in stream.getvalue()
    assert api_secret not in stream.getvalue()


def test_the_colored_twin_of_a_message_is_left_out() -> None:
    stream = io.StringIO()
    configure_logging(LoggingConfig(), "core", stream)
    logging.getLogger("uvicorn.error").info("Started", extra={"color_message": "\x1b[36mStarted"})
    assert "Started" in stream.getvalue()
    assert "color_message" not in stream.getvalue()
