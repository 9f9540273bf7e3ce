"""Settings of the market half refuse what makes no sense."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from trading.market.config import (
    CrashDetectionConfig,
    MarketConfig,
    MarketIndexConfig,
    SpikeDetectionConfig,
)


def test_the_defaults_are_those_of_the_design() -> None:
    crash = CrashDetectionConfig()
    assert (crash.btc.fall_5m_pct, crash.btc.fall_1h_pct, crash.btc.fall_4h_pct) == (10, 15, 20)
    assert (crash.eth.fall_5m_pct, crash.eth.fall_1h_pct, crash.eth.fall_4h_pct) == (12, 15, 25)
    assert crash.market_index.fall_4h_pct == 20
    assert (crash.breadth.fall_pct, crash.warning_share) == (15, 0.6)


def test_symbols_must_contain_btc_and_eth() -> None:
    with pytest.raises(ValidationError, match="must contain ETHUSDT"):
        MarketConfig(symbols=("BTCUSDT", "SOLUSDT"))


def test_symbols_must_not_repeat() -> None:
    with pytest.raises(ValidationError, match="repeat"):
        MarketConfig(symbols=("BTCUSDT", "ETHUSDT", "ETHUSDT"))


def test_index_weights_must_not_exceed_the_whole() -> None:
    with pytest.raises(ValidationError, match="must not exceed 1"):
        MarketIndexConfig(btc_weight=0.8, eth_weight=0.3)


def test_kinds_of_spike_that_nothing_detects_are_refused() -> None:
    with pytest.raises(ValidationError):
        SpikeDetectionConfig.model_validate({"types": ["news"]})


def test_thresholds_of_a_pair_come_before_the_default() -> None:
    config = SpikeDetectionConfig()
    assert config.thresholds_of("BTCUSDT").five_minutes_pct == 1.5
    assert config.thresholds_of("SOLUSDT") == config.default_thresholds
