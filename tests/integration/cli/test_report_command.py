"""``report``, over a store that a real order path has written."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment
from order_path import OrderPath

from crews.cli.app import run
from trading.clock import MINUTE_MS, iso
from trading.model.breaker import Actor
from trading.model.decision import AgentDecision
from trading.model.model_call import ModelCall
from trading.node.equity import EquityRecorder
from trading.node.records import Records
from trading.storage.decision_repository import DecisionRepository
from trading.storage.model_call_repository import ModelCallRepository
from trading.storage.risk_event_repository import ACCOUNT_FORGOTTEN, RiskEventRepository

HOSTILE = "</td><script>fetch('http://evil.example')</script><img src=x onerror=alert(1)>"
EMPTY_ELEMENTS = {"meta", "img", "br"}


class Page(HTMLParser):
    """The tags of a page, and whether each is closed where it should be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.open: list[str] = []
        self.well_formed = True
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in EMPTY_ELEMENTS:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        self.well_formed &= bool(self.open) and self.open.pop() == tag


async def traded(directory: Path) -> int:
    """Refuse, buy, take the profit, trip; equity on record. Returns when it began."""
    async with OrderPath(directory) as path:
        records = Records(path.storage, inline=True)
        EquityRecorder(records, path.bus, path.client.venue, lambda: path.prices["BTCUSDT"])
        started_ms = path.clock.now_ms()
        await path.advance(MINUTE_MS)
        proposal = path.proposal(confidence=0.1)
        await path.service.propose(proposal)
        now_ms = path.clock.now_ms()
        with path.database() as connection:
            DecisionRepository(connection).record(
                AgentDecision(
                    agent_name="risk_assessor",
                    agent_role="risk",
                    decision_type="risk_evaluation",
                    decision="enter",
                    confidence=0.9,
                    reasoning=HOSTILE,
                    input_data={},
                    output_data={},
                    execution_time_ms=1.0,
                    spike_event_id=proposal.spike_id,
                    model_calls=2,
                    tokens=1200,
                    cost_micro_usd=2500,
                ),
                now_ms,
            )
            ModelCallRepository(connection).record(
                ModelCall(
                    crew="spike_trading",
                    agent_name="risk_assessor",
                    task="risk",
                    provider="openai",
                    model="a<b>model",
                    prompt_hash="",
                    ok=True,
                    error="",
                    input_tokens=1000,
                    output_tokens=200,
                    estimated=False,
                    cost_micro_usd=2500,
                    duration_ms=800.0,
                    spike_event_id=proposal.spike_id,
                ),
                now_ms,
            )
        await path.service.propose(proposal.model_copy(update={"confidence": 0.9}))
        await path.advance(MINUTE_MS)
        await path.tick("BTCUSDT", 52_500.0)
        await path.advance(MINUTE_MS)
        path.breaker.trigger(f"it fell {HOSTILE}", actor=Actor.LLM, rule="judgement")
        path.breaker.trigger("it fell further", actor=Actor.RULE, rule="btc_drawdown_1h")
        await path.advance(MINUTE_MS)
    records.close()
    return started_ms


def answer(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> tuple[int, Any]:
    code = run([*arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


def everything_in(store: Path) -> list[str]:
    with sqlite3.connect(store) as connection:
        return list(connection.iterdump())


def page_of(tmp_path: Path) -> str:
    return (tmp_path / "page.html").read_text(encoding="utf-8")


async def test_a_report_tells_what_the_store_has(
    tmp_path: Path, config: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    await traded(tmp_path)
    out = str(tmp_path / "page.html")
    code, report = answer(capsys, [*config, "report", "--out", out])
    assert code == 0
    assert report["out"] == out
    with sqlite3.connect(tmp_path / "store.sqlite3") as connection:
        pnl, fees = connection.execute("SELECT pnl, fees FROM trades").fetchone()
    trips = report["round_trips"]
    assert (trips["count"], trips["winning"], trips["win_rate"]) == (1, 1, 1.0)
    assert trips["profit"] == pytest.approx(float(pnl))
    assert Decimal(report["fees"]) == Decimal(fees)
    gained = report["equity_end"] - report["equity_start"]
    assert gained == pytest.approx(float(pnl), abs=0.01)
    assert report["account"]["total_return"] == pytest.approx(gained / report["equity_start"])
    assert report["holding"]["total_return"] == pytest.approx(0.05)
    assert [row["rule"] for row in report["refusals"]] == ["min_confidence"]
    assert (report["trips"], report["retrips"]) == (1, 1)
    assert [zone["status"] for zone in report["zones"]] == ["TRIGGERED"]
    assert report["minutes_by_status"]["TRIGGERED"] == pytest.approx(1.0, abs=0.1)
    assert report["spike_types"][0]["profitable"] == 1
    assert [(row["agent_name"], row["accuracy"]) for row in report["agents"]] == [
        ("risk_assessor", 100.0)
    ]
    agent = report["agents"][0]
    assert (agent["model_calls"], agent["tokens"], agent["cost_micro_usd"]) == (2, 1200, 2500)
    assert report["models"][0]["cost_micro_usd"] == 2500
    assert {one["purpose"] for one in report["execution"]} >= {"ENTRY", "TAKE_PROFIT"}
    page = page_of(tmp_path)
    for heading in ("Equity", "Circuit breaker", "Trades", "Spikes", "Agents", "Models"):
        assert f"<h2>{heading}</h2>" in page
    assert page.count("<svg") == 2
    assert "1 <small>and 1 further cause meanwhile</small>" in page
    assert 'class="zone triggered"' in page


async def test_accounts_that_lived_through_the_same_times_are_told(
    tmp_path: Path, config: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    started_ms = await traded(tmp_path)
    ask = [*config, "report", "--out", str(tmp_path / "page.html")]
    assert not answer(capsys, ask)[1]["accounts_overlap"]
    with closing(sqlite3.connect(tmp_path / "store.sqlite3", isolation_level=None)) as connection:
        connection.row_factory = sqlite3.Row
        RiskEventRepository(connection).record(ACCOUNT_FORGOTTEN, "played again", started_ms)
    assert answer(capsys, ask)[1]["accounts_overlap"]
    assert "lived through the same times" in page_of(tmp_path)


async def test_nothing_that_a_model_or_venue_says_becomes_markup(
    tmp_path: Path, config: list[str]
) -> None:
    await traded(tmp_path)
    assert run([*config, "report", "--out", str(tmp_path / "page.html")]) == 0
    text = page_of(tmp_path)
    page = Page(text)
    assert page.well_formed
    assert page.open == []
    assert not page.tags & {"script", "img", "iframe", "object", "link"}
    assert not [name for name in page.attributes if name.startswith("on")]
    assert text.count("&lt;script&gt;") >= 2  # the rationale and the cause of the trip
    assert "a&lt;b&gt;model" in text
    assert "default-src 'none'" in text


async def test_a_page_asks_for_nothing_from_elsewhere(tmp_path: Path, config: list[str]) -> None:
    await traded(tmp_path)
    assert run([*config, "report", "--out", str(tmp_path / "page.html")]) == 0
    page = page_of(tmp_path)
    assert not re.search(r"\b(src|href)\s*=\s*[\"']|@import|url\(", page)


async def test_a_period_leaves_out_what_is_not_in_it(
    tmp_path: Path, config: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    started_ms = await traded(tmp_path)
    first_minute = iso(started_ms + MINUTE_MS + 1)
    out = str(tmp_path / "page.html")
    _, before = answer(capsys, [*config, "report", "--to", first_minute, "--out", out])
    _, after = answer(capsys, [*config, "report", "--from", first_minute, "--out", out])
    assert (before["round_trips"]["count"], after["round_trips"]["count"]) == (0, 1)
    assert (before["trips"], after["trips"]) == (0, 1)
    assert before["zones"] == []


async def test_the_state_that_a_period_begins_in_is_that_of_the_last_change_before_it(
    tmp_path: Path, config: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    started_ms = await traded(tmp_path)
    late = iso(started_ms + 4 * MINUTE_MS)
    _, report = answer(
        capsys, [*config, "report", "--from", late, "--out", str(tmp_path / "page.html")]
    )
    assert report["trips"] == 0
    assert [zone["status"] for zone in report["zones"]] == ["TRIGGERED"]


async def test_a_report_can_be_made_while_the_store_is_in_use(
    tmp_path: Path, config: list[str]
) -> None:
    async with OrderPath(tmp_path) as path:
        await path.service.propose(path.proposal())
        assert run([*config, "report", "--out", str(tmp_path / "page.html")]) == 0
        await path.tick("BTCUSDT", 52_500.0)
        assert len(path.rows("SELECT * FROM trades")) == 1


async def test_a_report_changes_nothing_in_the_store(tmp_path: Path, config: list[str]) -> None:
    await traded(tmp_path)
    before = everything_in(tmp_path / "store.sqlite3")
    assert run([*config, "report", "--out", str(tmp_path / "page.html")]) == 0
    assert everything_in(tmp_path / "store.sqlite3") == before


async def test_a_venue_that_the_store_does_not_know_is_refused_with_those_it_knows(
    tmp_path: Path, config: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    await traded(tmp_path)
    out = str(tmp_path / "page.html")
    code, error = answer(capsys, [*config, "report", "--venue", "mars", "--out", out])
    assert code == 4
    assert "replay" in error["message"]


def test_an_empty_store_gives_a_page_that_says_so(tmp_path: Path, config: list[str]) -> None:
    assert run([*config, "init"]) == 0
    assert run([*config, "report", "--out", str(tmp_path / "page.html")]) == 0
    page = page_of(tmp_path)
    assert "Nothing is recorded in this period" in page
    assert Page(page).well_formed


def test_a_store_that_is_missing_is_not_found_and_no_page_is_left(
    tmp_path: Path, config: list[str]
) -> None:
    assert run([*config, "report", "--out", str(tmp_path / "page.html")]) == 2
    assert not (tmp_path / "page.html").exists()


def test_a_store_of_an_older_release_is_named_with_what_to_do(
    tmp_path: Path, config: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*config, "init"]) == 0
    with sqlite3.connect(tmp_path / "store.sqlite3") as connection:
        connection.execute("PRAGMA user_version = 3")
    capsys.readouterr()
    code, error = answer(capsys, [*config, "report", "--out", str(tmp_path / "page.html")])
    assert code == 1
    assert "init" in error["message"]


def test_a_page_that_cannot_be_written_is_an_error_that_names_it(
    tmp_path: Path, config: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*config, "init"]) == 0
    capsys.readouterr()
    out = tmp_path / "nowhere" / "page.html"
    code, error = answer(capsys, [*config, "report", "--out", str(out)])
    assert code == 4
    assert str(out) in error["message"]
    assert "no such folder" in error["message"]


def test_times_that_make_no_period_are_refused(tmp_path: Path, config: list[str]) -> None:
    assert run([*config, "report", "--from", "2026-11-02", "--to", "2026-11-01"]) == 4


async def test_a_page_that_did_not_escape_would_be_noticed(
    tmp_path: Path, config: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await traded(tmp_path)

    def careless(**settings: Any) -> Environment:
        return Environment(**{**settings, "autoescape": False})

    monkeypatch.setattr("crews.report.page.Environment", careless)
    assert run([*config, "report", "--out", str(tmp_path / "page.html")]) == 0
    assert "script" in Page(page_of(tmp_path)).tags
