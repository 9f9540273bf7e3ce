"""Planted secrets are in no prompt, row, record, answer or log line."""

from __future__ import annotations

import io
import json
import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from crew_stage import ENVIRONMENT, crew_stage

from agents.config import AgentConfig, AgentsConfig, LlmProvider, ModelConfig
from agents.llm_choice import worker_variables
from tools.mcp_config import McpServerConfig
from tools.registry import all_tools
from trading.node import logs
from trading.node.logs import LogFormat, LoggingConfig, LogLevel, configure_logging, secrets_in

MODEL_KEY = ENVIRONMENT["OPENAI_API_KEY"]


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def stored_text(path: Path) -> str:
    """Everything that the store holds, as text."""
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    try:
        return "\n".join(connection.iterdump())
    finally:
        connection.close()


def test_keys_of_model_and_exchange_stay_where_they_belong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = io.StringIO()
    with crew_stage(tmp_path) as stage:
        key = stage.core.server.keys[0]
        monkeypatch.setenv("OPENAI_API_KEY", MODEL_KEY)
        monkeypatch.setenv("BINANCE_SIM_API_KEY", key.key)
        monkeypatch.setenv("BINANCE_SIM_API_SECRET", key.secret)
        everything = LoggingConfig(level=LogLevel.DEBUG, loggers={})
        configure_logging(everything, "test", said)
        report = stage.crew().run(stage.claim())
        assert stage.orders == 1, report  # signed requests were sent
        assert stage.model.keys == {f"Bearer {MODEL_KEY}"}  # and the model's key was used
        answers = [tool.run() for tool in all_tools(stage.core.worker) if _needs_nothing(tool)]
        places = {
            "prompts": json.dumps(stage.model.requests),
            "rows": stored_text(stage.core.config.storage.path),
            "answers": str(answers),
            "status": stage.core.operator.status().model_dump_json(),
            "report": report.model_dump_json(),
            "logs": said.getvalue(),
        }
    for place, text in places.items():
        assert len(text) > 100, place
        for secret in (MODEL_KEY, key.key, key.secret):
            assert secret not in text, place


def _needs_nothing(tool: object) -> bool:
    return not getattr(tool, "args_schema").model_json_schema().get("required")  # noqa: B009 - Any


@pytest.mark.parametrize("format_", list(LogFormat))
def test_a_secret_of_the_environment_is_in_no_log_line_whoever_logs_it(
    format_: LogFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "planted-api-key" not in logged(format_, monkeypatch)


def test_a_build_that_does_not_redact_would_log_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "secrets_in", lambda *_: ())
    assert "planted-api-key" in logged(LogFormat.JSON, monkeypatch)


def logged(format_: LogFormat, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("CRYPTOPANIC_API_KEY", "planted-api-key")
    said = io.StringIO()
    configure_logging(LoggingConfig(format=format_), "test", said)
    logger = logging.getLogger("somebody.elses")
    logger.warning("GET https://x.example/?auth_token=%s", "planted-api-key")
    logger.warning("extra", extra={"url": "https://x.example/?auth_token=planted-api-key"})
    try:
        raise ValueError("key planted-api-key refused")
    except ValueError:
        logger.exception("failed")
    text = said.getvalue()
    assert text.count("failed") == 1
    return text


def test_only_what_is_named_like_a_secret_and_long_enough_is_one() -> None:
    environment = {
        "OPENAI_API_KEY": "sk-0123456789",
        "REDDIT_CLIENT_ID": "planted-id",
        "REDIS_PASSWORD": "short",
        "HOME": "/root/a-long-path",
        "X_BEARER_TOKEN": "  padded-token ",
    }
    assert set(secrets_in(environment)) == {"sk-0123456789", "planted-id", "padded-token"}


def test_what_settings_name_as_a_secret_is_one_whatever_it_is_called() -> None:
    server = McpServerConfig(name="own", command="own", env=("MY_LOGIN", "PATH"))
    model = ModelConfig(provider=LlmProvider.ANTHROPIC, api_key_env="MY_MODEL")
    agents = AgentsConfig(mcp_servers=(server,), market_scanner=AgentConfig(llm=model))
    environment = {"MY_LOGIN": "planted-login", "MY_MODEL": "planted-model", "PATH": "/usr/bin/all"}
    found = secrets_in(environment, worker_variables(agents))
    assert set(found) == {"planted-login", "planted-model"}
