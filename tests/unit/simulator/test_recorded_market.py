"""Recorded markets from a directory made up here, named as the real one is."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trading.errors import MarketDataError
from trading.simulator.recorded_market import RecordedMarket

MINUTE_MS = 60_000
START_MS = 1_583_928_000_000  # 2020-03-11 12:00
WINDOW_MINUTES = 300


def bars(
    price: float, minutes: int = WINDOW_MINUTES, start_ms: int = START_MS
) -> dict[str, list[float]]:
    """Rising and falling bars in turn."""
    rising = [minute % 2 == 0 for minute in range(minutes)]
    return {
        "ts": [start_ms + minute * MINUTE_MS for minute in range(minutes)],
        "open": [price if up else price * 1.01 for up in rising],
        "high": [price * 1.02] * minutes,
        "low": [price * 0.99] * minutes,
        "close": [price * 1.01 if up else price for up in rising],
        "volume": [8.0] * minutes,
    }


def write(directory: Path, name: str, *parts: dict[str, list[object]]) -> None:
    tables = [pa.table(part) for part in parts]
    pq.write_table(pa.concat_tables(tables), directory / name)


def part(price: float, minutes: int = WINDOW_MINUTES, **columns: str) -> dict[str, list[object]]:
    filled = {name: [value] * minutes for name, value in columns.items()}
    return {**filled, **bars(price, minutes)}  # type: ignore[dict-item]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    write(
        tmp_path,
        "core_BTC_ETH_crash_windows_1m.parquet",
        part(8000.0, window="2020-03-12", symbol="BTCUSDT"),
        part(200.0, window="2020-03-12", symbol="ETHUSDT"),
        part(9000.0, window="2020-03-13", symbol="BTCUSDT"),
        part(250.0, window="2020-03-13", symbol="ETHUSDT"),
        part(100.0, window="quiet-2020", symbol="BTCUSDT"),
        part(1.0, window="quiet-2020", symbol="ETHUSDT"),
    )
    return tmp_path


def test_the_market_starts_four_hours_into_the_window(directory: Path) -> None:
    market = RecordedMarket.load(directory, window="2020-03-12")
    assert market.start_ms == START_MS + 240 * MINUTE_MS
    assert market.end_ms == START_MS + WINDOW_MINUTES * MINUTE_MS
    assert {symbol: len(bars) for symbol, bars in market.history().items()} == {
        "BTCUSDT": 240,
        "ETHUSDT": 240,
    }
    assert market.bar_count == 2 * 60


def test_a_window_may_begin_later_and_no_time_outside_it(directory: Path) -> None:
    later_ms = START_MS + 270 * MINUTE_MS
    market = RecordedMarket.load(directory, window="2020-03-12", start_ms=later_ms)
    assert market.start_ms == later_ms
    assert {len(bars) for bars in market.history().values()} == {270}
    for outside_ms in (START_MS - 1, START_MS + WINDOW_MINUTES * MINUTE_MS):
        with pytest.raises(MarketDataError, match=r"outside window .*2020-03-12"):
            RecordedMarket.load(directory, window="2020-03-12", start_ms=outside_ms)


def test_every_bar_becomes_four_ticks_in_time_order(directory: Path) -> None:
    market = RecordedMarket.load(directory, window="2020-03-12")
    ticks = list(market.ticks())
    assert len(ticks) == market.bar_count * 4
    times = [tick.time_ms for tick in ticks]
    assert times == sorted(times)
    assert times[0] == market.start_ms
    assert [(tick.symbol, tick.price) for tick in ticks[:2]] == [
        ("BTCUSDT", 8000.0),
        ("ETHUSDT", 200.0),
    ]
    assert list(market.ticks()) == ticks


@pytest.mark.parametrize(
    ("name", "found"),
    [("2020-03-13", "2020-03-13"), ("quiet", "quiet-2020"), (None, "2020-03-13")],
)
def test_windows_are_found_by_name_or_part_of_it(
    directory: Path, name: str | None, found: str
) -> None:
    assert RecordedMarket.load(directory, window=name).name == f"recorded {found}"


@pytest.mark.parametrize("name", ["2021-01-01", "2020-03"])
def test_unknown_and_ambiguous_windows_are_refused_with_the_names_there_are(
    directory: Path, name: str
) -> None:
    with pytest.raises(MarketDataError, match=r"2020-03-12, 2020-03-13, quiet-2020"):
        RecordedMarket.load(directory, window=name)


def test_a_directory_without_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MarketDataError, match="core_BTC_ETH"):
        RecordedMarket.load(tmp_path, window="2020-03-12")
    with pytest.raises(MarketDataError, match="no directory"):
        RecordedMarket.load(tmp_path / "absent", window="2020-03-12")


def test_pairs_against_btc_are_turned_into_usdt_by_its_price(directory: Path) -> None:
    write(
        directory,
        "binance_spot_altbtc_1m_2020-03-12_crash.parquet",
        part(0.001, symbol="ATOMBTC"),
    )
    market = RecordedMarket.load(directory, window="2020-03-12")
    bar = market.history()["ATOMUSDT"][0]
    assert (bar.open, bar.close) == (8.0, pytest.approx(8.0 * 1.01**2, rel=1e-4))
    assert bar.low <= bar.open <= bar.close <= bar.high
    assert bar.volume == 8.0


def test_a_coin_comes_from_the_best_venue_that_has_it(directory: Path) -> None:
    write(
        directory,
        "ticks_2020-03-12_bars_1m.parquet",
        part(10.0, exchange="coinbase", symbol="SOL-USD"),
        part(11.0, exchange="binance-delivery", symbol="SOLUSD_PERP"),
        part(12.0, exchange="binance-delivery", symbol="DOTUSD_PERP"),
        part(13.0, exchange="gemini", symbol="DOTUSD"),
        part(14.0, exchange="binance", symbol="TRXUSDT"),
        part(15.0, exchange="gemini", symbol="BTCUSD"),
    )
    market = RecordedMarket.load(directory, window="2020-03-12")
    opens = {symbol: bars[0].open for symbol, bars in market.history().items()}
    assert opens == {
        "BTCUSDT": 8000.0,
        "ETHUSDT": 200.0,
        "DOTUSDT": 12.0,
        "SOLUSDT": 10.0,
        "TRXUSDT": 14.0,
    }
    assert "binance-delivery" in market.origins["DOTUSDT"]
    contracts_in_coins = 8.0 * 10 / market.history()["DOTUSDT"][0].close
    assert market.history()["DOTUSDT"][0].volume == pytest.approx(contracts_in_coins)


def test_spot_pairs_come_before_futures_and_currencies_stay_out(directory: Path) -> None:
    write(
        directory,
        "binance_spot_alts_1m_2020-03-12_crash.parquet",
        part(5.0, symbol="ADAUSDT"),
        part(1.3, symbol="GBPUSDT"),
    )
    write(directory, "binance_um_alts_1m_2020-03.parquet", part(6.0, symbol="ADAUSDT"))
    market = RecordedMarket.load(directory, window="2020-03-12")
    assert market.symbols == ("BTCUSDT", "ETHUSDT", "ADAUSDT")
    assert market.history()["ADAUSDT"][0].open == 5.0


def test_a_range_reads_the_yearly_files_with_their_decimals(tmp_path: Path) -> None:
    for symbol, price in (("BTCUSDT", "8000.25"), ("ETHUSDT", "200.50")):
        exact = pa.array([Decimal(price)] * 600, pa.decimal128(18, 2))
        times = [START_MS + minute * MINUTE_MS for minute in range(600)]
        columns = dict.fromkeys(("open", "high", "low", "close", "volume"), exact)
        pq.write_table(
            pa.table({"ts": times, **columns}), tmp_path / f"binance_spot_{symbol}_1m_2020.parquet"
        )
    begin_ms, end_ms = START_MS + 300 * MINUTE_MS, START_MS + 310 * MINUTE_MS
    market = RecordedMarket.load(tmp_path, start_ms=begin_ms, end_ms=end_ms)
    assert (market.start_ms, market.end_ms) == (begin_ms, end_ms)
    assert len(market.history()["BTCUSDT"]) == 300
    assert market.bar_count == 20
    assert next(market.ticks()).price == 8000.25
    assert market.price_decimals == {"BTCUSDT": 2, "ETHUSDT": 1}


def test_a_range_without_records_is_refused(directory: Path) -> None:
    with pytest.raises(MarketDataError, match="no minute bars of BTCUSDT"):
        RecordedMarket.load(directory, start_ms=0, end_ms=MINUTE_MS)


@pytest.mark.parametrize(
    "choice",
    [
        {"window": "2020-03-12", "start_ms": 0, "end_ms": 1},
        {"end_ms": 5},
        {"start_ms": 5, "window": "2020-03-12", "end_ms": 7},
        {"start_ms": 5, "end_ms": 5},
    ],
)
def test_a_window_and_a_range_exclude_each_other(directory: Path, choice: dict[str, int]) -> None:
    with pytest.raises(MarketDataError, match="window, or a start and a later end"):
        RecordedMarket.load(directory, **choice)  # type: ignore[arg-type]


def test_a_record_that_contradicts_itself_names_its_file(tmp_path: Path) -> None:
    wrong = part(8000.0, window="2020-03-12", symbol="BTCUSDT")
    wrong["low"] = [9000.0] * WINDOW_MINUTES
    eth = part(200.0, window="2020-03-12", symbol="ETHUSDT")
    write(tmp_path, "core_BTC_ETH_crash_windows_1m.parquet", wrong, eth)
    with pytest.raises(MarketDataError, match=r"core_BTC_ETH.*low 9000"):
        RecordedMarket.load(tmp_path, window="2020-03-12").history()


def test_chosen_symbols_narrow_the_market_and_keep_btc_and_eth(directory: Path) -> None:
    write(
        directory,
        "binance_spot_alts_1m_2020-03-12_crash.parquet",
        part(5.0, symbol="ADAUSDT"),
        part(6.0, symbol="XRPUSDT"),
    )
    market = RecordedMarket.load(directory, window="2020-03-12", symbols=("XRPUSDT",))
    assert market.symbols == ("BTCUSDT", "ETHUSDT", "XRPUSDT")
