"""Exit codes, usage, speed and imports of the command line."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from crews.cli.app import run
from crews.cli.exit_codes import ExitCode, exit_code_of
from crews.config_loader import CHECKOUT
from trading import errors

# What no command can do without, imported alone: about half a second of an old processor.
LIBRARIES = "import asyncio, rich.table, sqlite3, typer, pydantic_settings, yaml"
MOST_TIMES_BARE = 4
HEAVY = ("crewai", "sqlite_utils", "pandas", "aiohttp", "binance", "openai", "redis", "uvicorn")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ConfigurationError("x"), ExitCode.CONFIGURATION),
        (errors.CoreNotRunningError("x"), ExitCode.NOT_RUNNING),
        (errors.CoreTimeoutError("x"), ExitCode.TIMEOUT),
        (errors.StoreMissingError("x"), ExitCode.NOT_FOUND),
        (errors.OrderNotFoundError("x"), ExitCode.NOT_FOUND),
        (errors.WindowNotFoundError("x"), ExitCode.NOT_FOUND),
        (errors.StaleEpochError("x"), ExitCode.ERROR),
        (errors.SpikeguardError("x"), ExitCode.ERROR),
    ],
)
def test_errors_have_their_exit_codes(error: errors.SpikeguardError, code: ExitCode) -> None:
    assert exit_code_of(error) is code


@pytest.mark.parametrize(
    "arguments",
    [
        ["unknown"],
        ["breaker", "clear"],
        ["breaker", "clear", "--reason", "x", "--epoch", "minus"],
        ["live", "--venue", "kraken"],
        ["replay", "--data", "."],
        ["replay", "--data", ".", "--window", "a", "--from", "2020-01-01", "--to", "2020-01-02"],
        ["replay", "--data", "absent", "--window", "a"],
        ["replay", "--data", ".", "--from", "2020-01-02", "--to", "2020-01-01"],
        ["live", "--data", ".", "--scenario", "calm"],
        ["live", "--venue", "testnet", "--speed", "5"],
        ["live", "--venue", "testnet", "--faults", "7"],
    ],
)
def test_wrong_usage_exits_with_4_and_never_with_2(folder: Path, arguments: list[str]) -> None:
    assert run(arguments) == ExitCode.CONFIGURATION


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["breaker", "--help"], ["live", "--help"], ["replay", "--help"], ["--version"]],
)
def test_help_and_version_succeed_without_a_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(arguments) == ExitCode.OK


def test_a_wrong_setting_stops_with_4_and_names_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "config/crewai_config.yaml").write_text("risk:\n  risk_per_trade_pct: 900\n")
    for command in (["config", "validate"], ["breaker", "status"], ["live"], ["doctor"]):
        assert run(command) == ExitCode.CONFIGURATION
        assert "risk.risk_per_trade_pct = 900" in capsys.readouterr().err
    assert run(["config", "validate", "--json"]) == ExitCode.CONFIGURATION
    assert json.loads(capsys.readouterr().out)["error"] == "ConfigurationError"


def test_real_money_needs_keys_and_confirmation(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(["init"]) == 0
    monkeypatch.setenv("BINANCE_API_KEY", "key")
    monkeypatch.setenv("BINANCE_API_SECRET", "secret")
    assert run(["live", "--venue", "binance"]) == ExitCode.CONFIGURATION
    assert "i_understand_this_trades_real_money = false" in capsys.readouterr().err
    assert run(["live", "--venue", "testnet"]) == ExitCode.CONFIGURATION
    assert "BINANCE_TESTNET_API_KEY" in capsys.readouterr().err


def test_config_show_redacts_secrets_and_names_what_replaced_a_key(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BINANCE_API_SECRET", "in-clear")
    monkeypatch.setenv("CIRCUIT_BREAKER_BTC_DUMP_1H", "9")
    assert run(["config", "show", "--json"]) == 0
    text = capsys.readouterr().out
    shown = json.loads(text)
    assert "in-clear" not in text
    assert shown["secrets"]["BINANCE_API_SECRET"] == "set"
    assert shown["secrets"]["OPENAI_API_KEY"] == "not set"
    assert shown["config"]["crash_detection"]["btc"]["fall_1h_pct"] == 9
    assert shown["origins"] == {"crash_detection.btc.fall_1h_pct": "CIRCUIT_BREAKER_BTC_DUMP_1H"}
    assert run(["config", "show"]) == 0
    assert "in-clear" not in capsys.readouterr().out
    assert run(["config", "show", "crash_detection.btc", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["fall_1h_pct"] == 9
    assert run(["config", "show", "no.such.key"]) == ExitCode.CONFIGURATION


def test_the_configuration_can_be_named_before_the_command(folder: Path) -> None:
    (folder / "other.yaml").write_text("redis:\n  port: 0\n")
    assert run(["config", "validate"]) == 0
    assert run(["--config", "other.yaml", "config", "validate"]) == ExitCode.CONFIGURATION


def _run_python(folder: Path, code: str) -> tuple[float, str]:
    """Processor seconds of a process of its own, and what it wrote to standard error."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT / "src")},
        capture_output=True,
        text=True,
        timeout=170,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stderr


def _quick_command(folder: Path, *arguments: str) -> tuple[float, set[str]]:
    """Processor seconds a command takes as a process of its own, and the modules it imported."""
    code = (
        "import sys\n"
        "from crews.cli.app import run\n"
        f"code = run({list(arguments)!r})\n"
        "sys.stderr.write('\\n'.join(sys.modules))\n"
        "sys.exit(code)\n"
    )
    seconds, modules = _run_python(folder, code)
    return seconds, {name.partition(".")[0] for name in modules.split("\n")}


@pytest.mark.parametrize(
    "arguments", [("breaker", "status"), ("breaker", "trip"), ("config", "show")]
)
def test_quick_commands_import_nothing_heavy_and_cost_a_few_times_their_own_libraries(
    folder: Path, arguments: tuple[str, ...]
) -> None:
    assert run(["init"]) == 0
    for _ in range(5):  # a busy machine makes also the processor slower
        bare, _ = _run_python(folder, LIBRARIES)
        seconds, modules = _quick_command(folder, *arguments)
        if seconds < MOST_TIMES_BARE * bare:
            break
    assert modules & set(HEAVY) == set()
    assert "pydantic" in modules  # the list is really the command's
    assert seconds < MOST_TIMES_BARE * bare


@pytest.mark.parametrize(
    ("provider", "missing"),
    [("openai", "OPENAI_API_KEY"), ("openai_compatible", "OPENAI_BASE_URL")],
)
def test_a_model_without_key_or_address_stops_the_start(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    provider: str,
    missing: str,
) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CREWAI_LLM_PROVIDER", provider)
    assert run(["live"]) == ExitCode.CONFIGURATION
    assert missing in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["breaker", "clear", "--json"],
        ["live", "--venue", "kraken", "--json"],
        ["--json", "unknown"],
    ],
)
def test_wrong_usage_is_told_in_json_too(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert run(arguments) == ExitCode.CONFIGURATION
    assert json.loads(capsys.readouterr().out)["error"] == "UsageError"
