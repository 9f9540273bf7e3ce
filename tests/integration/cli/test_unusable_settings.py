"""Settings that cannot work end a start at once: exit code 4, the setting and its value named.

Nothing has been started by then, and no network was used.
"""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from crews.cli.app import run
from crews.cli.exit_codes import ExitCode
from trading.errors import ConfigurationError

REPLIES = '{"kind": "reply", "key": "k", "reply": {"text": "{}"}}\n'


@pytest.fixture(autouse=True)
def _nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("a process was started, or a connection made")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


def started(folder: Path, settings: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> str:
    """What `live` says on these settings before it ends with 4."""
    file = folder / "config" / "crewai_config.yaml"
    file.write_text(yaml.safe_dump({**settings, "api": {"runtime_directory": str(folder / "run")}}))
    assert run(["live", "--duration", "1"]) == ExitCode.CONFIGURATION
    return " ".join(capsys.readouterr().err.split())


UNKNOWN = {"provider": "crewai", "model": "nope/nope"}
SERVED = {"provider": "openai_compatible", "base_url": "http://127.0.0.1:9/v1"}


@pytest.mark.parametrize(
    ("agents", "named"),
    [
        ({"llm": UNKNOWN}, "agents.llm.model = 'nope/nope': cannot be used"),
        ({"llm": {**UNKNOWN, "model": "nope"}}, "agents.llm.model = 'nope': provider crewai wants"),
        (
            {"llm": {**SERVED, "fallbacks": [SERVED, UNKNOWN]}},
            "agents.llm.fallbacks.1.model = 'nope/nope': cannot be used",
        ),
        (
            {"llm": {**SERVED, "fallbacks": [{"provider": "openai"}]}},
            "agents.llm.fallbacks.0.provider = openai needs a key in OPENAI_API_KEY",
        ),
        (
            {"llm": {**SERVED, "fallbacks": [{"provider": "oracle"}]}},
            'agents.llm.fallbacks.0.provider = "oracle"',
        ),
        (
            {"market_scanner": {"llm": UNKNOWN}},
            "agents.market_scanner.llm.model = 'nope/nope': cannot be used",
        ),
        (
            {
                "llm": {"provider": "crewai", "model": "ollama/llama3"},
                "risk_assessor": {"model": "x"},
            },
            "agents.risk_assessor.model = 'x': provider crewai wants",
        ),
    ],
)
def test_a_model_that_nobody_knows(
    folder: Path, capsys: pytest.CaptureFixture[str], agents: dict[str, Any], named: str
) -> None:
    assert named in started(folder, {"agents": agents}, capsys)


@pytest.mark.parametrize(
    ("variable", "held"),
    [
        ("BINANCE_API_SECRET", "a key of the exchange"),
        ("REDIS_PASSWORD", "the password of Redis"),
        ("NOTIFY_URL", "an address of notifications"),
        ("NEWSAPI_API_KEY", "a news key"),
    ],
)
@pytest.mark.parametrize("place", ["llm", "fallback", "agent", "server"])
def test_a_secret_of_another_part_named_for_a_model_or_a_server(
    folder: Path, capsys: pytest.CaptureFixture[str], variable: str, held: str, place: str
) -> None:
    (folder / ".env").write_text(f"{variable}=json://planted-secret\n")
    model = {**SERVED, "api_key_env": variable}
    agents: dict[str, Any] = {
        "llm": {"llm": model},
        "fallback": {"llm": {**SERVED, "fallbacks": [model]}},
        "agent": {"context_analyzer": {"llm": model}},
        "server": {"mcp_servers": [{"name": "own", "command": "own", "env": [variable]}]},
    }[place]
    said = started(folder, {"agents": agents}, capsys)
    key = {
        "llm": "agents.llm.api_key_env",
        "fallback": "agents.llm.fallbacks.0.api_key_env",
        "agent": "agents.context_analyzer.llm.api_key_env",
        "server": "agents.mcp_servers.0",
    }[place]
    assert key in said
    assert variable in said
    assert held in said
    assert "planted" not in said


@pytest.mark.parametrize(
    ("mode", "content", "why"),
    [
        ("replay", None, "No such file"),
        ("replay", "no json", "is no recording"),
        ("replay", REPLIES + '{"kind": "reply"}\n', "is no recording"),
        ("replay", '{"kind": "run"}\n', "holds no reply"),
        ("record", None, "cannot be written: No such file"),
        ("record", "folder", "cannot be written: Is a directory"),
    ],
)
def test_a_recording_that_cannot_be_used(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    mode: str,
    content: str | None,
    why: str,
) -> None:
    file = folder / "recording" if content else folder / "absent" / "recording"
    if content == "folder":
        file.mkdir()
    elif content:
        file.write_text(content)
    recording = {"mode": mode, "file": str(file)}
    said = started(folder, {"agents": {"llm": {"recording": recording}}}, capsys)
    assert f"agents.llm.recording.file = '{file}'" in said
    assert why in said


def test_a_replay_with_a_model_that_nobody_knows(folder: Path) -> None:
    from crews.config_loader import load_config
    from crews.replay.driver import ReplayPass
    from crews.replay.options import ReplayOptions

    overrides = {f"agents.llm.{name}": ("test", value) for name, value in UNKNOWN.items()}
    options = ReplayOptions(data=folder, window="2020-03-12")
    market: Any = None  # not looked at before
    first = ReplayPass(load_config(None, overrides), market, options, breaker_enabled=True)
    with pytest.raises(ConfigurationError, match=r"agents.llm.model = 'nope/nope'"):
        first.require_usable_models()


def test_headlines_for_a_model_that_is_not_there(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = started(folder, {"news": {"mode": "on", "sentiment": "model"}}, capsys)
    assert "news.sentiment = model needs a model" in said


def test_a_recording_that_can_be_written_is_not_begun_by_the_check(folder: Path) -> None:
    from agents.config import AgentsConfig, LlmConfig
    from agents.model_config import RecordingConfig, RecordingMode
    from crews.model_preflight import require_usable_models

    file = folder / "new.jsonl"
    recording = RecordingConfig(mode=RecordingMode.RECORD, file=str(file))
    require_usable_models(AgentsConfig(llm=LlmConfig(recording=recording)), {})
    assert not file.exists()


def test_a_runtime_directory_that_cannot_be_written(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "run").write_text("a file where the folder should be")
    said = started(folder, {}, capsys)
    assert f"api.runtime_directory: nothing can be written to {folder / 'run'}" in said
