"""Regimes of the generated market, and the scripts made of them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from trading.simulator.market_config import Scenario


class Regime(StrEnum):
    CALM = "calm"
    TRENDING_UP = "trending_up"
    TRENDING_DOWN = "trending_down"
    HIGH_VOLATILITY = "high_volatility"
    PUMP_AND_DUMP = "pump_and_dump"
    FLASH_CRASH = "flash_crash"
    SLOW_CRASH = "slow_crash"
    RECOVERY = "recovery"


@dataclass(frozen=True, slots=True)
class RegimeShape:
    """``move_pct`` is that of the whole market, or of the one pair of a pump."""

    move_pct: float
    noise: float  # multiplies the standard deviation of returns
    volume: float  # multiplies traded volume, of the whole market or of the pumped pair


SHAPES: dict[Regime, RegimeShape] = {
    Regime.CALM: RegimeShape(0.0, 1.0, 1.0),
    Regime.TRENDING_UP: RegimeShape(2.5, 1.2, 1.3),
    Regime.TRENDING_DOWN: RegimeShape(-2.5, 1.3, 1.4),
    Regime.HIGH_VOLATILITY: RegimeShape(0.0, 3.0, 2.0),
    Regime.PUMP_AND_DUMP: RegimeShape(7.0, 1.0, 8.0),
    Regime.FLASH_CRASH: RegimeShape(-20.0, 3.0, 6.0),
    Regime.SLOW_CRASH: RegimeShape(-18.0, 2.0, 2.5),
    Regime.RECOVERY: RegimeShape(14.0, 1.6, 1.5),
}


@dataclass(frozen=True, slots=True)
class Segment:
    """A regime for a while. ``target`` is the pair of a pump, drawn at random where None."""

    regime: Regime
    duration_s: float
    target: str | None = None
    move_pct: float | None = None  # the regime's own where None

    @property
    def move(self) -> float:
        return SHAPES[self.regime].move_pct if self.move_pct is None else self.move_pct


_CALM, _UP, _DOWN = Regime.CALM, Regime.TRENDING_UP, Regime.TRENDING_DOWN
_WILD, _PUMP, _RECOVERY = Regime.HIGH_VOLATILITY, Regime.PUMP_AND_DUMP, Regime.RECOVERY

SCRIPTS: dict[Scenario, tuple[Segment, ...]] = {
    Scenario.DEFAULT: (
        Segment(_CALM, 40),
        Segment(_PUMP, 40, "SOLUSDT"),
        Segment(_PUMP, 40, "LINKUSDT", 8.0),
        Segment(_CALM, 60),
        Segment(_UP, 120),
        Segment(_PUMP, 60, "AVAXUSDT"),
        Segment(_WILD, 120),
        Segment(_PUMP, 60, "ADAUSDT", -6.0),
        Segment(_DOWN, 120),
        Segment(_PUMP, 60, "DOGEUSDT", 9.0),
        Segment(_CALM, 180),
        Segment(Regime.FLASH_CRASH, 60),  # from 15:00 on
        Segment(_WILD, 240),
        Segment(_RECOVERY, 900),
        Segment(_CALM, 600),
    ),
    Scenario.CALM: (Segment(_CALM, 3_600),),
    Scenario.FLASH_CRASH: (
        Segment(_CALM, 30),
        Segment(Regime.FLASH_CRASH, 60),
        Segment(_WILD, 120),
        Segment(_RECOVERY, 900),
        Segment(_CALM, 1_800),
    ),
    Scenario.SLOW_CRASH: (
        Segment(_CALM, 60),
        Segment(Regime.SLOW_CRASH, 2_400),
        Segment(_CALM, 600),
        Segment(_RECOVERY, 1_800),
        Segment(_CALM, 1_800),
    ),
    Scenario.PUMP_AND_DUMP: (
        Segment(_CALM, 30),
        Segment(_PUMP, 60, "DOGEUSDT", 10.0),
        Segment(_CALM, 60),
        Segment(_PUMP, 60, "ADAUSDT"),
        Segment(_CALM, 60),
        Segment(_PUMP, 90, "DOTUSDT", 12.0),
        Segment(_CALM, 600),
    ),
}

_RANDOM_WEIGHTS: dict[Regime, int] = {
    _CALM: 34,
    _UP: 14,
    _DOWN: 14,
    _WILD: 12,
    _PUMP: 24,
    Regime.SLOW_CRASH: 1,
    Regime.FLASH_CRASH: 1,
}


def random_segments(rng: random.Random) -> Iterator[Segment]:
    """Regimes without end; a crash is followed by turbulence and a recovery."""
    regimes = list(_RANDOM_WEIGHTS)
    weights = list(_RANDOM_WEIGHTS.values())
    while True:
        regime = rng.choices(regimes, weights)[0]
        if regime is _PUMP:
            move = rng.choice((-1, 1, 1)) * rng.uniform(5.0, 12.0)
            yield Segment(regime, rng.uniform(40, 90), None, move)
        elif regime in (Regime.FLASH_CRASH, Regime.SLOW_CRASH):
            is_flash = regime is Regime.FLASH_CRASH
            fall = rng.uniform(14.0, 22.0)
            duration_s = rng.uniform(45, 120) if is_flash else rng.uniform(1_500, 3_000)
            yield Segment(regime, duration_s, None, -fall)
            yield Segment(_WILD, rng.uniform(180, 600))
            # Back to where it came from, so that an endless market does not fade away.
            yield Segment(_RECOVERY, rng.uniform(900, 2_400), None, 100 * fall / (100 - fall))
        else:
            yield Segment(regime, rng.uniform(60, 300))
