"""Settings of the market half refuse what makes no sense."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from trading.market.config import (
    CoMovementConfig,
    CrashDetectionConfig,
    MarketConfig,
    MarketIndexConfig,
    SeverityConfig,
    SpikeDetectionConfig,
)
from trading.model.spike import SpikeType


def test_the_defaults_are_those_of_the_design() -> None:
    crash = CrashDetectionConfig()
    assert (crash.btc.fall_5m_pct, crash.btc.fall_1h_pct, crash.btc.fall_4h_pct) == (10, 15, 20)
    assert (crash.eth.fall_5m_pct, crash.eth.fall_1h_pct, crash.eth.fall_4h_pct) == (12, 15, 25)
    assert (crash.liquidations.usd_1h, crash.funding.rate_8h_pct) == (500e6, 1)
    assert (crash.peg.deviation_pct, crash.warning_share) == (3, 0.6)


def test_a_stablecoin_is_not_traded() -> None:
    with pytest.raises(ValidationError, match="USDCUSDT"):
        MarketConfig(symbols=("BTCUSDT", "ETHUSDT", "USDCUSDT"))


def test_symbols_must_contain_btc_and_eth() -> None:
    with pytest.raises(ValidationError, match="must contain ETHUSDT"):
        MarketConfig(symbols=("BTCUSDT", "SOLUSDT"))


def test_symbols_must_not_repeat() -> None:
    with pytest.raises(ValidationError, match="repeat"):
        MarketConfig(symbols=("BTCUSDT", "ETHUSDT", "ETHUSDT"))


def test_index_weights_must_not_exceed_the_whole() -> None:
    with pytest.raises(ValidationError, match="must not exceed 1"):
        MarketIndexConfig(btc_weight=0.8, eth_weight=0.3)


def test_every_kind_of_spike_can_be_chosen_and_no_other() -> None:
    every = [kind.value for kind in SpikeType]
    assert SpikeDetectionConfig.model_validate({"types": every}).types == tuple(SpikeType)
    with pytest.raises(ValidationError):
        SpikeDetectionConfig.model_validate({"types": ["gossip"]})


def test_classes_of_severity_must_rise() -> None:
    with pytest.raises(ValidationError, match="must rise"):
        SeverityConfig(moderate=3.0, major=2.0)


def test_shares_of_co_movement_must_be_in_order() -> None:
    with pytest.raises(ValidationError, match="must not exceed isolated_from"):
        CoMovementConfig(isolated_from=0.3, market_below=0.5)


def test_thresholds_of_a_pair_come_before_the_default() -> None:
    config = SpikeDetectionConfig()
    assert config.thresholds_of("BTCUSDT").five_minutes_pct == 1.5
    assert config.thresholds_of("SOLUSDT") == config.default_thresholds
