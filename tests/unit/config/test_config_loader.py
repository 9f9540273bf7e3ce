from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from crews.config import AppConfig
from crews.config_loader import CHECKOUT, DEFAULT_PATH, load_config
from trading.errors import ConfigurationError

REPOSITORY_FILE = CHECKOUT / DEFAULT_PATH


def _file(folder: Path, settings: dict[str, Any] | str) -> Path:
    path = folder / "my.yaml"
    text = settings if isinstance(settings, str) else yaml.safe_dump(settings)
    path.write_text(text)
    return path


def _refusal(path: Path) -> str:
    with pytest.raises(ConfigurationError) as raised:
        load_config(path)
    return str(raised.value)


def test_the_repositorys_file_gives_the_defaults_with_absolute_paths(folder: Path) -> None:
    config = load_config(REPOSITORY_FILE).config
    defaults = AppConfig()
    assert config.storage.path == folder / defaults.storage.path
    assert config.api.runtime_directory == str(folder / defaults.api.runtime_directory)
    same = {"storage": defaults.storage, "api": defaults.api}
    assert config.model_copy(update=same) == defaults


def test_a_key_left_out_keeps_the_default_of_its_place_not_of_its_class(folder: Path) -> None:
    path = _file(folder, {"crash_detection": {"eth": {"fall_1h_pct": 12.0}}})
    eth = load_config(path).config.crash_detection.eth
    assert eth.fall_1h_pct == 12.0
    assert eth.fall_4h_pct == AppConfig().crash_detection.eth.fall_4h_pct
    assert eth.fall_4h_pct != AppConfig().crash_detection.btc.fall_4h_pct


def test_a_map_is_replaced_as_a_whole_so_that_entries_can_be_removed(folder: Path) -> None:
    path = _file(folder, {"simulator": {"initial_balances": {"BTC": "2"}}})
    assert {**load_config(path).config.simulator.initial_balances} == {"BTC": 2}


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("risk:\n  risk_per_trade_pct: 200\n", ":2: risk.risk_per_trade_pct = 200", "less than"),
        ("risk:\n  risk_per_trade_pct: yes\n", ":2: risk.risk_per_trade_pct = true", "number"),
        ("risk:\n  risk_per_trade_pct: '1'\n", '.risk_per_trade_pct = "1"', "number"),
        ("circuit_breaker:\n  max_trips_24h: 2.5\n", "max_trips_24h = 2.5", "integer"),
        ("circuit_breaker:\n  positions_policy: hold\n", '= "hold"', "'close_at_market'"),
        ("exchange:\n  venue: kraken\n", '.venue = "kraken"', "'testnet'"),
        ("circuit_breaker: 3\n", ":1: circuit_breaker = 3", ""),
        ("circuit_breaker:\n", ":1: circuit_breaker = null", ""),
        (
            "market:\n  symbols: [BTCUSDT, ethusdt]\n",
            'market.symbols.1 = "ethusdt"',
            "pattern",
        ),
        (
            "exchange:\n  recv_window_ms: 5000\n",
            "configuration",
            "execution.not_found_grace_ms = 5000 must be longer than",
        ),
        (
            "circuit_breaker:\n  easing_share: 0.7\n",
            "circuit_breaker.easing_share = 0.7",
            "below crash_detection.warning_share = 0.6",
        ),
    ],
)
def test_a_wrong_value_names_file_line_key_value_and_what_is_allowed(
    folder: Path, text: str, where: str, what: str
) -> None:
    message = _refusal(_file(folder, text))
    assert "my.yaml" in message
    assert where in message
    assert what in message


def test_every_wrong_value_is_named_at_once(folder: Path) -> None:
    message = _refusal(_file(folder, "risk:\n  min_confidence: 7\nredis:\n  port: 0\n"))
    assert re.search(r"my.yaml:2: risk.min_confidence = 7: .* 1 \(", message)
    assert re.search(r"my.yaml:4: redis.port = 0: .* 1 \(Port of the server\)", message)


def test_an_unknown_key_is_refused_with_the_nearest_known_one(folder: Path) -> None:
    message = _refusal(_file(folder, "circuit_breaker:\n  cooldown_minuts: 5\n"))
    assert "my.yaml:2: circuit_breaker.cooldown_minuts: there is no such key" in message
    assert "did you mean cooldown_minutes?" in message


def test_a_secret_in_the_file_is_refused_without_being_shown(folder: Path) -> None:
    message = _refusal(_file(folder, "exchange:\n  api_key: sk-very-secret\n"))
    assert "exchange.api_key: there is no such key" in message
    assert "sk-very-secret" not in message


def test_later_sources_win_and_are_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _file(folder, {"crews": {"enabled": True}, "redis": {"port": 1}})
    (folder / ".env").write_text("CREWAI_ENABLED=false\nREDIS_PORT=2\nREDIS_HOST=from-dotenv\n")
    monkeypatch.setenv("REDIS_PORT", "3")
    loaded = load_config(path, {"exchange.dry_run": ("--dry-run", True)})
    assert loaded.config.crews.enabled is False
    assert loaded.config.redis.port == 3
    assert loaded.config.redis.host == "from-dotenv"
    assert loaded.config.exchange.dry_run is True
    assert loaded.origins == {
        "crews.enabled": "CREWAI_ENABLED",
        "redis.host": "REDIS_HOST",
        "redis.port": "REDIS_PORT",
        "exchange.dry_run": "--dry-run",
    }


def test_an_option_that_is_wrong_is_named_as_the_option(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"^--scenario: market_generator.scenario ="):
        load_config(
            _file(folder, {"crews": {"enabled": True}}),
            {"market_generator.scenario": ("--scenario", "doomsday")},
        )


def test_the_path_comes_from_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _file(folder, {"redis": {"port": 7777}})
    monkeypatch.setenv("CREWAI_CONFIG_PATH", "my.yaml")
    loaded = load_config()
    assert loaded.config.redis.port == 7777
    assert loaded.path == folder / "my.yaml"


def test_started_elsewhere_the_checkouts_file_and_paths_are_used(folder: Path) -> None:
    loaded = load_config()
    assert loaded.path == REPOSITORY_FILE
    assert loaded.config.storage.path.is_relative_to(CHECKOUT)
    assert not loaded.config.storage.path.is_relative_to(folder)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("restricted_periods: [{symbol: []}]", "did you mean symbols? allowed here: end, reason"),
        ("trading_hours: [{dayz: [mon]}]", "did you mean days? allowed here: days, end, start"),
    ],
)
def test_an_unknown_key_of_a_lists_element_is_told_what_is_allowed(
    folder: Path, setting: str, said: str
) -> None:
    assert said in _refusal(_file(folder, f"compliance:\n  {setting}\n"))


def test_no_empty_list_of_keys_is_offered(folder: Path) -> None:
    message = _refusal(_file(folder, "news:\n  rss_feeds: [{nope: 1}]\n  nope: {deeper: 1}\n"))
    assert not re.search(r"allowed here: *$", message, re.MULTILINE)
