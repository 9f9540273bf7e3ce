"""Settings of the generated market."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from trading.model.base import ConfigModel, SymbolName


class Scenario(StrEnum):
    """Scripts of the generated market; see ``trading.simulator.scenarios``."""

    DEFAULT = "default"
    CALM = "calm"
    FLASH_CRASH = "flash_crash"
    SLOW_CRASH = "slow_crash"
    PUMP_AND_DUMP = "pump_and_dump"


class MarketGeneratorConfig(ConfigModel):
    """A generated market is a function of these settings alone: same settings, same ticks."""

    scenario: Scenario = Field(
        default=Scenario.DEFAULT,
        description="Script: default (spikes within two minutes, a flash crash after fifteen),"
        " calm, flash_crash, slow_crash, pump_and_dump.",
    )
    seed: int = Field(default=1, ge=0, description="Seed of every random number of the market.")
    symbols: tuple[SymbolName, ...] | None = Field(
        default=None,
        min_length=2,
        description="Pairs of the market, BTC's and ETH's first; those of market.symbols that are"
        " missing here are not traded. Null: market.symbols.",
    )
    ticks_per_second: float = Field(
        default=3.0,
        gt=0,
        le=50,
        description="Trades per second of an average pair; BTC and ETH have more.",
    )
    volatility: float = Field(
        default=1.0, gt=0, le=20, description="Multiplies the noise of all prices."
    )
    history_minutes: int = Field(
        default=300, ge=0, le=1000, description="Minutes of calm market before the start."
    )
    endless: bool = Field(
        default=True,
        description="Go on after the script, with random regimes or, of calm, with calm; when false"
        " the market ends.",
    )
