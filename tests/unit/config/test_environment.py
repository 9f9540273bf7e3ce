from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from dotenv import dotenv_values

from crews.config import AppConfig
from crews.config_loader import CHECKOUT, load_config
from crews.environment import (
    CONFIG_KEYS,
    Environment,
    core_environment,
    load_environment,
    worker_environment,
)
from trading.errors import ConfigurationError

REPOSITORY_FILE = CHECKOUT / "config/crewai_config.yaml"
EXAMPLE = CHECKOUT / ".env.example"
NO_FILE = Path("no.env")

# A value that differs from the default, and what it must become.
SAMPLES: dict[str, tuple[str, Any]] = {
    "OPENAI_BASE_URL": ("http://127.0.0.1:9/v1", "http://127.0.0.1:9/v1"),
    "CREWAI_ENABLED": ("false", False),
    "CREWAI_LLM_PROVIDER": ("RULE", "rule"),
    "CREWAI_LLM_MODEL": ("llama-3", "llama-3"),
    "CIRCUIT_BREAKER_ENABLED": ("0", False),
    "CIRCUIT_BREAKER_BTC_DUMP_1H": ("12.5", 12.5),
    "CIRCUIT_BREAKER_ETH_DUMP_1H": ("11", 11.0),
    "CIRCUIT_BREAKER_AUTO_RESUME": ("no", False),
    "SPIKE_DETECTION_ENABLED": ("off", False),
    "SPIKE_DETECTION_CHECK_CIRCUIT_BREAKER": ("False", False),
    "REDIS_ENABLED": ("true", True),
    "REDIS_HOST": ("redis.example", "redis.example"),
    "REDIS_PORT": ("6380", 6380),
}


def _value_at(config: AppConfig, dotted: str) -> Any:
    value: Any = config
    for part in dotted.split("."):
        value = getattr(value, part)
    return value


@pytest.mark.parametrize("variable", sorted(CONFIG_KEYS))
def test_each_variable_replaces_its_key(
    folder: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    text, expected = SAMPLES[variable]
    assert _value_at(AppConfig(), CONFIG_KEYS[variable]) != expected
    monkeypatch.setenv(variable, text)
    loaded = load_config(REPOSITORY_FILE)
    assert _value_at(loaded.config, CONFIG_KEYS[variable]) == expected


def test_the_example_names_every_variable_and_changes_nothing(folder: Path) -> None:
    names = set(dotenv_values(EXAMPLE)) | {"REDIS_PASSWORD"}  # shown there as a comment
    assert names == set(Environment.model_fields)
    (folder / "config").mkdir()
    (folder / "config/crewai_config.yaml").write_text(REPOSITORY_FILE.read_text())
    plain = load_config().config
    (folder / ".env").write_text(EXAMPLE.read_text())
    assert load_config().config == plain


def test_a_copied_example_leaves_what_the_file_sets_in_force(folder: Path) -> None:
    (folder / "config").mkdir()
    (folder / "config/crewai_config.yaml").write_text("circuit_breaker: {auto_resume: false}\n")
    (folder / ".env").write_text(EXAMPLE.read_text())
    loaded = load_config()
    assert loaded.config.circuit_breaker.auto_resume is False
    assert loaded.origins == {}


def test_an_empty_variable_counts_as_not_set(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_PORT", "")
    assert load_environment(NO_FILE).REDIS_PORT is None


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CIRCUIT_BREAKER_BTC_DUMP_1H", "-15"),
        ("CIRCUIT_BREAKER_BTC_DUMP_1H", "nan"),
        ("CIRCUIT_BREAKER_ENABLED", "maybe"),
        ("CREWAI_LLM_PROVIDER", "crystal-ball"),
        ("REDIS_PORT", "70000"),
        ("OPENAI_BASE_URL", "ftp://models"),
    ],
)
def test_a_wrong_value_names_variable_and_value(
    folder: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError) as raised:
        load_environment(NO_FILE)
    assert f"environment: {variable} = '{value}'" in str(raised.value)


@pytest.mark.parametrize("in_file", [True, False])
def test_a_misspelt_safety_setting_is_refused_instead_of_ignored(
    folder: Path, monkeypatch: pytest.MonkeyPatch, in_file: bool
) -> None:
    env_file = folder / ".env"
    if in_file:
        env_file.write_text("CIRCUIT_BREAKER_BTC_DUMP_1HR=10\n")
    else:
        monkeypatch.setenv("CIRCUIT_BREAKER_BTC_DUMP_1HR", "10")
    with pytest.raises(ConfigurationError, match="CIRCUIT_BREAKER_BTC_DUMP_1HR is not a setting"):
        load_environment(env_file)


def test_half_a_key_pair_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BINANCE_TESTNET_API_KEY", "k")
    environment = load_environment(NO_FILE)
    with pytest.raises(ConfigurationError, match="BINANCE_TESTNET_API_SECRET is not set"):
        environment.binance_credentials("testnet")
    assert environment.binance_credentials("binance") is None
    assert environment.binance_credentials("sim") is None


def test_secrets_do_not_appear_when_the_environment_is_printed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BINANCE_API_KEY", "key-in-clear")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-in-clear")
    environment = load_environment(NO_FILE)
    for text in (repr(environment), str(environment), environment.model_dump_json()):
        assert "in-clear" not in text


def test_each_process_gets_only_its_own_secrets(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (
        "BINANCE_API_KEY",
        "BINANCE_API_SECRET",
        "BINANCE_TESTNET_API_KEY",
        "BINANCE_TESTNET_API_SECRET",
        "BINANCE_SOMETHING_ELSE",
    ):
        monkeypatch.setenv(name, "exchange")
    monkeypatch.setenv("UNRELATED", "kept")
    env_file = folder / ".env"
    env_file.write_text("OPENAI_API_KEY=model\nMY_MODEL_KEY=other\nREDIS_PASSWORD=redis\n")
    environment = load_environment(env_file)

    core = core_environment(environment, "testnet")
    assert {name for name in core if name.startswith("BINANCE_")} == {
        "BINANCE_TESTNET_API_KEY",
        "BINANCE_TESTNET_API_SECRET",
    }
    assert "OPENAI_API_KEY" not in core
    assert core["REDIS_PASSWORD"] == "redis"
    assert core["UNRELATED"] == "kept"

    worker = worker_environment(environment, env_file, {"MY_MODEL_KEY"})
    assert "exchange" not in worker.values()
    assert "redis" not in worker.values()
    assert worker["MY_MODEL_KEY"] == "other"
    assert worker["OPENAI_API_KEY"] == "model"
    assert worker["UNRELATED"] == "kept"

    assert not [name for name in core_environment(environment, "sim") if "BINANCE" in name]


def test_what_mcp_servers_are_promised_reaches_the_workers_alone_from_the_env_file_too(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / ".env").write_text("RESEARCH_TOKEN=stored\nOTHER_TOKEN=overruled\nUNNAMED=x\n")
    monkeypatch.setenv("OTHER_TOKEN", "set")
    (folder / "config").mkdir()
    server = "{name: own, command: own, env: [RESEARCH_TOKEN, OTHER_TOKEN, PATH]}"
    file = folder / "config/crewai_config.yaml"
    file.write_text(f"agents: {{mcp_servers: [{server}]}}")
    loaded = load_config()
    core, worker = loaded.core_environment(), loaded.worker_environment()
    assert (worker["RESEARCH_TOKEN"], worker["OTHER_TOKEN"]) == ("stored", "set")
    assert "UNNAMED" not in worker
    assert not {"RESEARCH_TOKEN", "OTHER_TOKEN"} & set(core)
    assert "PATH" in core


def test_a_recording_is_found_beside_the_configuration(folder: Path) -> None:
    (folder / "config").mkdir()
    file = folder / "config/crewai_config.yaml"
    file.write_text("agents: {llm: {recording: {mode: replay, file: data/model.jsonl}}}")
    recording = load_config().config.agents.llm.recording
    assert recording.file == str(folder / "data/model.jsonl")


def test_notification_addresses_go_to_the_core_alone_from_the_environment_and_from_env_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / ".env").write_text("NOTIFY_PHONE=json://stored\nNOTIFY_URL=json://overruled\n")
    monkeypatch.setenv("NOTIFY_URL", "json://set")
    channels = "[{name: default, url_env: NOTIFY_URL}, {name: phone, url_env: NOTIFY_PHONE}]"
    (folder / "config").mkdir()
    file = folder / "config/crewai_config.yaml"
    file.write_text(f"monitoring: {{notifications: {{channels: {channels}}}}}")
    loaded = load_config()
    core, worker = loaded.core_environment(), loaded.worker_environment()
    assert (core["NOTIFY_URL"], core["NOTIFY_PHONE"]) == ("json://set", "json://stored")
    assert not [name for name in worker if name.startswith("NOTIFY_")]
