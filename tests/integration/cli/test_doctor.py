"""`doctor` against real servers on loopback: the embedded exchange, a model endpoint, Redis."""

from __future__ import annotations

import asyncio
import http.server
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml
from pydantic import SecretStr
from venue_server import served_exchange

from crews import venue_diagnosis
from crews.checks import Check, Level
from crews.cli.app import run
from crews.config_loader import load_config
from crews.diagnosis import diagnose
from trading.simulator.server.config import AccountConfig, ExchangeServerConfig

KEY, SECRET = "k" * 64, "s" * 64


async def _findings(settings: dict[str, object]) -> dict[str, Check]:
    return await asyncio.to_thread(_diagnose, settings)


def write_config(folder: Path, settings: dict[str, object]) -> None:
    (folder / "config/crewai_config.yaml").write_text(yaml.safe_dump(settings))


def _diagnose(settings: dict[str, object]) -> dict[str, Check]:
    write_config(Path.cwd(), {"storage": {"path": "data/test.sqlite3"}, **settings})
    return {check.name: check for check in diagnose(load_config())}


@asynccontextmanager
async def _venue(can_withdraw: bool = False) -> AsyncIterator[dict[str, object]]:
    """Settings of venue binance, served on loopback."""
    account = AccountConfig(api_key=KEY, api_secret=SecretStr(SECRET), can_withdraw=can_withdraw)
    async with served_exchange(ExchangeServerConfig(accounts=(account,))) as served:
        urls = served.config().endpoints
        yield {
            "exchange": {
                "venue": "binance",
                "i_understand_this_trades_real_money": True,
                "endpoints": urls.model_dump(),
            }
        }


@pytest.fixture
def keys(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BINANCE_API_KEY", KEY)
    monkeypatch.setenv("BINANCE_API_SECRET", SECRET)


async def test_a_fresh_checkout_is_healthy_and_told_that_the_store_is_not_there_yet(
    folder: Path,
) -> None:
    findings = await _findings({})
    assert {check.level for check in findings.values()} == {Level.OK, Level.WARNING}
    assert findings["store"].level is Level.WARNING
    assert "rules" in findings["language model"].detail


def test_failures_exit_with_1_and_are_listed_in_json(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(["init"])
    (folder / "data/test.sqlite3").write_bytes(b"\0" * 5000)
    capsys.readouterr()
    assert run(["doctor", "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["healthy"] is False
    assert [c["name"] for c in answer["checks"] if c["level"] == "fail"] == ["store"]
    assert run(["doctor"]) == 1


@pytest.mark.usefixtures("keys")
async def test_a_key_that_may_trade_and_not_withdraw_passes(folder: Path) -> None:
    async with _venue() as settings:
        findings = await _findings(settings)
    assert findings["venue"].level is Level.OK
    assert findings["clock"].level is Level.OK
    assert findings["API key"] == Check("API key", Level.OK, "may trade, may not withdraw")


@pytest.mark.usefixtures("keys")
async def test_a_key_that_may_withdraw_fails(folder: Path) -> None:
    async with _venue(can_withdraw=True) as settings:
        findings = await _findings(settings)
    assert findings["API key"].level is Level.FAIL
    assert "withdraw" in findings["API key"].detail


async def test_a_wrong_key_fails_and_is_not_shown(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BINANCE_API_KEY", "some-other-key")
    monkeypatch.setenv("BINANCE_API_SECRET", "some-other-secret")
    async with _venue() as settings:
        findings = await _findings(settings)
    assert findings["API key"].level is Level.FAIL
    assert "some-other" not in str(findings)


async def test_a_missing_key_fails_before_the_venue_is_asked(folder: Path) -> None:
    async with _venue() as settings:
        findings = await _findings(settings)
    assert findings["permission to trade"].level is Level.FAIL
    assert "API key" not in findings


async def test_a_venue_that_cannot_be_reached_fails(folder: Path) -> None:
    closed = {"rest_url": "http://127.0.0.1:1", "stream_url": "", "ws_api_url": ""}
    findings = await _findings({"exchange": {"venue": "testnet", "endpoints": closed}})
    assert findings["venue"].level is Level.FAIL


@pytest.mark.parametrize(
    ("offset_ms", "level"),
    [
        (0, Level.OK),
        (500, Level.OK),
        (-501, Level.WARNING),
        (1000, Level.WARNING),
        (1001, Level.FAIL),
        (-1001, Level.FAIL),
    ],
)
async def test_the_clock_is_judged_against_the_receive_window_in_both_directions(
    folder: Path, monkeypatch: pytest.MonkeyPatch, offset_ms: int, level: Level
) -> None:
    async def skewed(*_: object) -> int:
        return offset_ms

    monkeypatch.setattr(venue_diagnosis, "_clock_offset_ms", skewed)
    findings = await _findings({"exchange": {"venue": "binance", "dry_run": True}})
    assert findings["clock"].level is level
    assert findings["API key"].detail == "not used: dry run"


class _Models(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        allowed = self.headers["Authorization"] == "Bearer good"
        body = json.dumps({"data": [{"id": "small-model"}]}).encode()
        self.send_response(200 if allowed else 401)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:  # type: ignore[override]
        pass


@pytest.fixture
def model_url() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Models)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("key", "model", "level"),
    [
        ("good", "small-model", Level.OK),
        ("good", "other-model", Level.WARNING),
        ("bad", "small-model", Level.FAIL),
    ],
)
async def test_the_model_endpoint_is_asked_for_address_key_and_model(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    model_url: str,
    key: str,
    model: str,
    level: Level,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    monkeypatch.setenv("OPENAI_BASE_URL", model_url)
    monkeypatch.setenv("CREWAI_LLM_MODEL", model)
    findings = await _findings({})
    assert findings["language model"].level is level, findings["language model"].detail


async def test_secrets_readable_by_others_are_warned_about(folder: Path) -> None:
    (folder / ".env").write_text("REDIS_PORT=6379\n")
    (folder / ".env").chmod(0o644)
    assert (await _findings({}))["secrets"].level is Level.WARNING
    (folder / ".env").chmod(0o600)
    assert (await _findings({}))["secrets"].level is Level.OK


@pytest.mark.parametrize("setting", ["allowed_symbols", "blocked_symbols"])
async def test_a_mistyped_pair_in_a_rule_is_warned_about(folder: Path, setting: str) -> None:
    findings = await _findings({"risk": {setting: ["BTCUSDT", "ETHUSTD"]}})
    assert findings["pairs"].level is Level.WARNING
    assert f"risk.{setting} names ETHUSTD, which" in findings["pairs"].detail
    assert "pairs" not in await _findings({"risk": {setting: ["BTCUSDT"]}})


async def test_redis_that_does_not_answer_fails(folder: Path) -> None:
    findings = await _findings({"redis": {"enabled": True, "port": 1}})
    assert findings["redis"].level is Level.FAIL


async def test_a_breaker_that_is_switched_off_is_not_healthy(folder: Path) -> None:
    findings = await _findings({"circuit_breaker": {"enabled": False}})
    assert findings["circuit breaker"].level is Level.FAIL


@pytest.mark.usefixtures("folder")
def test_the_results_are_shown_as_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor"]) == 0
    shown = capsys.readouterr().out
    assert "ok" in shown.split()
    assert "[" not in shown


async def test_a_store_that_was_used_and_is_gone_fails(folder: Path) -> None:
    (folder / "data/run").mkdir(parents=True)
    (folder / "data/run/core.json").write_text("{}")
    assert (await _findings({}))["store"].level is Level.FAIL


async def test_sources_of_news_without_a_key_are_named_with_their_variables(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEWSAPI_API_KEY", "planted-key")
    found = (await _findings({"news": {"mode": "on"}}))["news"]
    assert found.level is Level.OK
    assert "1 sources with a key" in found.detail
    assert "Reddit (REDDIT_CLIENT_ID, REDDIT_CLIENT_SECRET)" in found.detail
    assert "NEWSAPI" not in found.detail
    assert "planted-key" not in found.detail
    off = (await _findings({"news": {"mode": "on", "feeds": []}}))["news"]
    assert off.level is Level.OK
    monkeypatch.delenv("NEWSAPI_API_KEY")
    assert (await _findings({"news": {"mode": "on", "feeds": []}}))["news"].level is Level.WARNING
