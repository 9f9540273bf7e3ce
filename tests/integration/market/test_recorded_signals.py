"""Rules that listen to futures, on what is recorded of them: no crash, so they must be silent."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from trading.market.config import CrashDetectionConfig
from trading.market.funding_watch import FundingWatch
from trading.market.liquidation_total import LiquidationTotal
from trading.model.signals import FundingRate

CONFIG = CrashDetectionConfig()
HOUR_MS = 3_600_000


def rows(path: Path, order: str) -> list[dict[str, float]]:
    if not path.is_file():
        pytest.skip(f"{path.name} is not recorded")
    found: list[dict[str, float]] = pq.read_table(path).sort_by(order).to_pylist()
    return found


def test_no_funding_of_any_year_reaches_the_warning(recorded_data: Path) -> None:
    watch = FundingWatch(CONFIG.funding, ("BTCUSDT", "ETHUSDT"))
    worst = 0.0
    settled = rows(recorded_data / "binance_um_funding_rates.parquet", "ts")
    for hour, together in groupby(settled, key=lambda row: int(row["ts"]) // HOUR_MS):
        at_ms = hour * HOUR_MS
        for row in together:
            rate = FundingRate(str(row["symbol"]), row["funding_rate"], at_ms, at_ms)
            watch.add(rate)
        worst = max(worst, watch.rate_8h_pct(at_ms) or 0.0)
    assert 0.1 < worst < CONFIG.funding.rate_8h_pct * CONFIG.warning_share


def test_liquidations_of_half_a_year_reach_no_warning(recorded_data: Path) -> None:
    total = LiquidationTotal(CONFIG.liquidations)
    worst = 0.0
    for row in rows(recorded_data / "coinglass_BTC_liquidations_1h.parquet", "ts"):
        total.add(row["totalUsd"], int(row["ts"]))
        worst = max(worst, total.usd(int(row["ts"])))
    assert 50e6 < worst < CONFIG.liquidations.usd_1h * CONFIG.warning_share
