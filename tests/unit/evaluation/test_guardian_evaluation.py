"""The guardian's evaluation on a small record made for the test, files named like the real ones."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from crews.cli.app import app
from crews.evaluation import guardian_tape
from crews.evaluation.archive import Archive, NamedSpan
from crews.evaluation.guardian import evaluate_guardian, hear, rules_without_data
from crews.evaluation.guardian_events import judge
from crews.evaluation.guardian_page import guardian_page
from crews.evaluation.guardian_report import Figures, GuardianReport
from crews.evaluation.guardian_tape import Tape, record, signals_of
from crews.evaluation.guardian_text import unusable_rows
from crews.evaluation.guardian_tuning import Candidate, _best, tune_guardian
from crews.evaluation.outcome import Outcomes
from crews.evaluation.runner import Listened, listen
from trading.clock import MINUTE_MS
from trading.errors import MarketDataError
from trading.market.config import CrashDetectionConfig
from trading.market.crash_detector import LEADER_RULES

CONFIG = CrashDetectionConfig()
START = datetime(2031, 3, 1, tzinfo=UTC)
MINUTES = 3 * 1440
CRASH, DIP = 1440, 2 * 1440 + 240  # minutes at which the two falls begin
ALTS = tuple(f"ALT{number}USDT" for number in range(9))


def prices(start: float, *falls: tuple[int, float, int, float]) -> list[float]:
    """Closes by minute; each fall is (begins, %, minutes that it takes, % that comes back)."""
    result = []
    for minute in range(MINUTES):
        price = start * (1 + 0.0005 * (minute % 2))
        for begins, pct, takes, back in falls:
            done = min(1.0, max(0.0, (minute - begins) / takes))
            again = min(1.0, max(0.0, (minute - begins - takes) / 20))
            price *= (1 - pct / 100 * done) * (1 + back / 100 * again)
        result.append(price)
    return result


def bars(closes: Sequence[float], symbol: str | None, start: datetime = START) -> pa.Table:
    opens = [closes[0], *closes[:-1]]
    first_ms = round(start.timestamp() * 1000)
    columns: dict[str, Any] = {
        "ts": [first_ms + minute * MINUTE_MS for minute in range(len(closes))],
        "open": opens,
        "high": [max(pair) for pair in zip(opens, closes, strict=True)],
        "low": [min(pair) for pair in zip(opens, closes, strict=True)],
        "close": list(closes),
        "volume": [10.0] * len(closes),
    }
    if symbol:
        columns["symbol"] = [symbol] * len(closes)
    return pa.table(columns)


CRASH_PCT, FURTHER = 18.0, (CRASH + 90, 15.0, 60, 0.0)


def write(folder: Path, *, start: datetime = START, alts: bool = False) -> Path:
    """A crash of 18 % that goes on falling, and a day later a dip of 16 % that comes back."""
    falls = ((CRASH, CRASH_PCT, 12, 0.0), FURTHER, (DIP, 16.0, 12, 19.0))
    for symbol, price in (("BTCUSDT", 60_000.0), ("ETHUSDT", 3_000.0)):
        table = bars(prices(price, *falls), None, start)
        pq.write_table(table, folder / f"binance_spot_{symbol}_1m_{start.year}.parquet")
    if alts:
        tables = [bars(prices(10.0, (CRASH + 3, 30.0, 5, 0.0)), name, start) for name in ALTS]
        name = f"binance_spot_alts_1m_{start:%Y-%m-%d}_crash.parquet"
        pq.write_table(pa.concat_tables(tables), folder / name)
    crossed = start + timedelta(minutes=CRASH + 10)
    with (folder / "crashes.csv").open("a", newline="") as file:
        rows = csv.writer(file)
        if file.tell() == 0:
            rows.writerow(["asset", "threshold_pct", "first_cross_utc", "first_cross_close_utc"])
        for asset in ("BTC", "ETH"):
            text = crossed.strftime("%Y-%m-%d %H:%M:%S")
            rows.writerow([asset, "15", text, text])
    return folder


def evaluated(folder: Path, config: CrashDetectionConfig = CONFIG) -> GuardianReport:
    archive = Archive(folder)
    return evaluate_guardian(archive, config, Outcomes(archive, 0.1))


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> GuardianReport:
    return evaluated(write(tmp_path_factory.mktemp("record")))


def test_a_crash_of_a_year_that_nobody_named_is_found_and_caught_in_time(
    report: GuardianReport,
) -> None:
    assert [event.asset for event in report.events] == ["BTC", "ETH"]
    assert all(event.required and event.in_time for event in report.events)
    assert report.missed == ()
    assert report.rates[2].name == "2031"


def test_a_crash_that_the_limits_are_too_wide_for_is_reported_as_missed(tmp_path: Path) -> None:
    wide = {"fall_5m_pct": 90, "fall_1h_pct": 90, "fall_4h_pct": 90}
    config = CrashDetectionConfig.model_validate(
        {"btc": wide, "eth": wide, "market_index": {"fall_1h_pct": 90, "fall_4h_pct": 90}}
    )
    found = evaluated(write(tmp_path), config)
    assert [event.tripped for event in found.missed] == [False, False]
    assert found.trips == ()


def test_seconds_count_from_the_trade_that_crossed_the_threshold(report: GuardianReport) -> None:
    btc = report.events[0]
    assert btc.seconds is not None
    assert btc.crossed_ms % MINUTE_MS in (0, 15_000, 30_000, MINUTE_MS - 1)
    first = report.trips[0].time_ms
    assert btc.seconds == (first - btc.crossed_ms) / 1000


def test_a_trip_is_false_when_nothing_fell_on_and_right_when_it_did(
    report: GuardianReport,
) -> None:
    at_crash = [trip for trip in report.trips if trip.time_ms < minute_ms(DIP)]
    at_dip = [trip for trip in report.trips if trip.time_ms >= minute_ms(DIP)]
    assert not at_crash[0].after.is_false
    assert at_dip
    assert all(trip.after.is_false for trip in at_dip)
    assert report.rates[0].false_trips == len([t for t in report.trips if t.after.is_false])


def test_many_pairs_falling_together_make_a_trip_right(tmp_path: Path) -> None:
    archive = Archive(write(tmp_path, alts=True))
    assert Outcomes(archive, 0.1).of(minute_ms(CRASH + 5)).breadth_event
    assert not Outcomes(archive, 0.1).of(minute_ms(DIP + 10)).breadth_event


def test_hours_of_pairs_without_minutes_make_a_trip_right_too(tmp_path: Path) -> None:
    archive = Archive(write_hours(write(tmp_path), fall_pct=20.0))
    assert Outcomes(archive, 0.1).of(minute_ms(DIP)).breadth_event
    (tmp_path / "calm").mkdir()
    calm = Archive(write_hours(write(tmp_path / "calm"), fall_pct=5.0))
    assert not Outcomes(calm, 0.1).of(minute_ms(DIP)).breadth_event


def test_what_a_trip_saves_is_what_holding_lost_less_both_fees(tmp_path: Path) -> None:
    archive = Archive(write(tmp_path))
    free, dear = (Outcomes(archive, fee).of(minute_ms(CRASH + 40)) for fee in (0.0, 1.0))
    assert free.saved_at_low_pct == pytest.approx(15.0, abs=0.1)
    assert dear.saved_at_low_pct == pytest.approx(free.saved_at_low_pct - 1.99, abs=1e-6)


def test_what_screening_leaves_out_would_have_said_nothing(tmp_path: Path) -> None:
    archive = Archive(write(tmp_path, alts=True))
    (span,) = archive.spans
    whole = listen(archive.cut(span.start_ms, span.end_ms), span, CONFIG)
    heard = hear(archive, CONFIG, lambda text: None)
    hours = sum(part.span.end_ms - part.span.start_ms for part in heard) / 3_600_000
    assert hours < 0.6 * MINUTES / 60
    screened = [(one.time_ms, one.rule) for part in heard for one in part.signals]
    assert screened == [(one.time_ms, one.rule) for one in whole.signals]


def test_the_search_decides_on_its_tape_as_the_detector_does(tmp_path: Path) -> None:
    archive = Archive(write(tmp_path, alts=True))
    span = NamedSpan("the crash", minute_ms(CRASH - 300), minute_ms(CRASH + 200))
    said = listen(archive.cut(span.start_ms, span.end_ms), span, CONFIG).signals
    taped = signals_of(record(archive, span, CONFIG), CONFIG)
    assert sorted(one.rule for one in taped) == sorted(one.rule for one in said)
    for rule in {one.rule for one in said}:
        pairs = zip(times(said, rule), times(taped, rule), strict=True)
        assert all(abs(ours - theirs) <= 61_000 for ours, theirs in pairs), rule


def test_a_tape_with_figures_that_are_too_small_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shrunk(archive: Archive, span: NamedSpan, config: CrashDetectionConfig) -> Tape:
        tape = guardian_tape.record(archive, span, config)
        return replace(tape, values={rule: 0.8 * one for rule, one in tape.values.items()})

    monkeypatch.setattr(sys.modules[__name__], "record", shrunk)
    with pytest.raises(AssertionError):
        test_the_search_decides_on_its_tape_as_the_detector_does(tmp_path)


def test_no_later_year_enters_the_choice_for_an_earlier_one() -> None:
    def years(*caught: int) -> dict[int, Figures]:
        return {
            year: Figures(required=10, required_in_time=count, months=12.0)
            for year, count in zip((2030, 2031, 2032), caught, strict=True)
        }

    early, late = (Candidate(15.0, 0.5, pct, 15.0, 0.5) for pct in (12.0, 13.0))
    scored = [(early, years(5, 1, 1)), (late, years(4, 10, 10))]
    assert _best(scored, (2030,))[0] is early
    assert _best(scored, (2030, 2031))[0] is late


def test_of_equal_candidates_the_configured_one_stays() -> None:
    one, other = (Candidate(15.0, 0.5, pct, 15.0, 0.5) for pct in (12.0, 13.0))
    scored = [(one, {2030: Figures(months=1.0)}), (other, {2030: Figures(months=1.0)})]
    assert _best(scored, (2030,))[0] is one


def test_the_search_reports_every_year_in_fold_and_out_of_fold(tmp_path: Path) -> None:
    write(write(tmp_path), start=START.replace(year=2032))
    archive = Archive(tmp_path)
    found = tune_guardian(archive, CONFIG, 3, Outcomes(archive, 0.1))
    (fold,) = found.folds
    assert (fold.year, fold.in_fold.required, fold.out_of_fold.required) == (2032, 2, 2)
    assert found.configured.required_in_time == 4
    assert {one.name for one in found.variations} == set(Candidate.__dataclass_fields__)


def test_one_year_alone_cannot_be_searched(tmp_path: Path) -> None:
    archive = Archive(write(tmp_path))
    with pytest.raises(MarketDataError, match="no two years"):
        tune_guardian(archive, CONFIG, 3, Outcomes(archive, 0.1))


def test_without_labels_and_windows_trips_and_rates_are_still_told(tmp_path: Path) -> None:
    (write(tmp_path) / "crashes.csv").unlink()
    found = evaluated(tmp_path)
    assert (found.events, found.windows) == ((), ())
    assert found.trips
    assert "0 of 0" in guardian_page(found)


def test_rows_that_are_no_bars_are_left_out_and_counted(tmp_path: Path) -> None:
    path = write(tmp_path) / "binance_spot_BTCUSDT_1m_2031.parquet"
    clean = evaluated(tmp_path)
    table = pq.read_table(path)
    rows = table.slice(100, 4).to_pylist()
    rows[0]["close"], rows[1]["high"], rows[2]["volume"], rows[3]["low"] = None, 1.0, -1.0, 0.0
    bad = pa.Table.from_pylist(rows, schema=table.schema)
    pq.write_table(pa.concat_tables([table.slice(0, 100), bad, table.slice(104)]), path)
    found = evaluated(tmp_path)
    assert found.rows_left_out == {path.name: 4}
    assert clean.rows_left_out == {}
    assert found.events == clean.events
    assert "4 rows of binance_spot_BTCUSDT_1m_2031.parquet" in unusable_rows(found)


def test_an_event_without_minutes_is_counted_as_such(tmp_path: Path) -> None:
    with (write(tmp_path) / "crashes.csv").open("a") as file:
        file.write("BTC,15,2029-01-01 00:00:00,2029-01-01 00:00:00\n")
    found = evaluated(tmp_path)
    assert (len(found.events), found.events_without_data) == (2, 1)


def test_a_breach_that_is_still_on_counts_from_when_it_began(tmp_path: Path) -> None:
    archive = Archive(write(tmp_path))
    (heard,) = (
        part
        for part in hear(archive, CONFIG, lambda text: None)
        if part.span.start_ms <= minute_ms(CRASH + 10) < part.span.end_ms
    )
    first = heard.signals[0]
    late = replace(archive.events[0], close_minute_ms=minute_ms(CRASH + 80))
    silent = Listened(heard.span, [first], [(first.time_ms, (first.rule,))])
    found = judge(archive, late, [silent])
    assert found is not None
    assert found.tripped
    assert found.seconds is not None
    assert found.seconds < -3600


def test_without_btc_and_eth_breadth_and_index_are_judged_and_the_rest_is_said_not_to_be(
    tmp_path: Path,
) -> None:
    write(tmp_path, alts=True)
    for path in tmp_path.glob("binance_spot_*USDT_1m_*"):
        path.unlink()
    found = evaluated(tmp_path)
    tripped = {rule for trip in found.trips for rule in trip.rules}
    assert {"breadth_1h", "market_index_1h"} <= tripped
    assert set(found.rules_without_data) == {*LEADER_RULES, "volume_collapse"}
    assert "not judged, for want of minute bars of BTC or ETH: btc_drawdown" in guardian_page(found)
    assert found.events_without_data == 2


def test_without_eth_the_times_and_rules_are_those_of_btc(tmp_path: Path) -> None:
    (write(tmp_path) / "binance_spot_ETHUSDT_1m_2031.parquet").unlink()
    archive = Archive(tmp_path)
    (span,) = archive.spans
    assert span.end_ms - span.start_ms == MINUTES * MINUTE_MS
    eth_rules = {rule for rule in LEADER_RULES if rule.startswith("eth")}
    assert set(rules_without_data(archive)) == {*eth_rules, "volume_collapse"}


def broken_file(folder: Path) -> str:
    (folder / "binance_spot_BTCUSDT_1m_2031.parquet").write_bytes(b"no parquet")
    return "binance_spot_BTCUSDT_1m_2031.parquet cannot be read"


def lacking_column(folder: Path) -> str:
    table = bars([1.0, 2.0], None).drop_columns(["volume"])
    pq.write_table(table, folder / "binance_spot_ETHUSDT_1m_2031.parquet")
    return "binance_spot_ETHUSDT_1m_2031.parquet has no column volume"


def words_for_numbers(folder: Path) -> str:
    table = bars([1.0, 2.0], "XUSDT")
    at = table.column_names.index("close")
    table = table.set_column(at, "close", pa.array(["one", "two"]))
    pq.write_table(table, folder / "binance_spot_alts_1m_2031.parquet")
    return "binance_spot_alts_1m_2031.parquet: "


def no_bars(folder: Path) -> str:
    for path in folder.glob("*.parquet"):
        path.unlink()
    return "has no minute bars of any pair"


def wrong_label(folder: Path) -> str:
    with (folder / "crashes.csv").open("a") as file:
        file.write("BTC,much,2031-03-02 00:00:00,\n")
    return "crashes.csv, line 4"


@pytest.mark.parametrize(
    "damage", [broken_file, lacking_column, words_for_numbers, no_bars, wrong_label]
)
def test_a_bad_file_is_named_in_one_line(tmp_path: Path, damage: Callable[[Path], str]) -> None:
    named = damage(write(tmp_path))
    result = CliRunner().invoke(app, ["evaluate", "guardian", "--data", str(tmp_path)])
    assert result.exit_code != 0
    assert isinstance(result.exception, MarketDataError)
    assert named in str(result.exception)


def test_the_command_prints_json_draws_and_writes_its_section_only(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    data, page, plots = tmp_path / "data", tmp_path / "page.md", tmp_path / "plots"
    data.mkdir()
    write(data)
    page.write_text("# Detection\n\nBy hand.\n")
    command = ["evaluate", "guardian", "--data", str(data), "--json"]
    options = ["--plots", str(plots), "--report", str(page)]
    result = CliRunner().invoke(app, [*command, *options])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert [event["tripped"] for event in found["events"]] == [True, True]
    assert {"seconds", "rule", "saved_at_low_pct", "saved_after_24h_pct"} <= set(found["events"][0])
    names = {row["rules"] for row in found["ablation"]}
    assert {"all together", "breadth_1h alone", "volume_collapse alone"} <= names
    assert len(list(plots.glob("*.png"))) >= 2
    text = page.read_text()
    assert text.startswith("# Detection\n\nBy hand.\n")
    assert "2 of 2" in text
    CliRunner().invoke(app, [*command, *options])
    assert page.read_text() == text


def minute_ms(minute: int) -> int:
    return round(START.timestamp() * 1000) + minute * MINUTE_MS


def times(signals: Sequence[Any], rule: str) -> list[int]:
    return [one.time_ms for one in signals if one.rule == rule]


def write_hours(folder: Path, fall_pct: float) -> Path:
    """Hourly bars of six pairs, which fall in the third hour after the dip."""
    first_ms = minute_ms(DIP)
    rows = []
    for number in range(6):
        for hour in range(8):
            low = 10.0 * (1 - fall_pct / 100) if hour >= 3 else 10.0
            high = 10.0 if hour <= 3 else low
            rows.append(
                {
                    "window": "2031-03-03",
                    "market": "spot",
                    "symbol": f"HOUR{number}USDT",
                    "ts": first_ms + hour * 3_600_000,
                    "open": high,
                    "high": high,
                    "low": low,
                    "close": low,
                    "volume": 1.0,
                }
            )
    pq.write_table(pa.Table.from_pylist(rows), folder / "binance_market_1h_windows.parquet")
    return folder
