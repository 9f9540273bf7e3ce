"""How much a rise looks like a pump-and-dump: a documented score from recorded trades alone.

The likelihood is ``1 / (1 + exp(-(b + Σ wᵢ xᵢ)))`` over the features below, each a plain figure
clipped to its range. What the features are follows the literature on pumps announced on Telegram:
rush orders, market orders that eat through a thin book at one moment (La Morgia et al. 2020, "Pump
and Dumps in the Bitcoin Era"), buying ahead of the signal, and a rise within seconds (Xu and
Livshits 2019, "The Anatomy of a Cryptocurrency Pump-and-Dump Scheme"). The weights come from
``evaluate spikes``, which shows them beside those of every fold; see docs/detection.md.
"""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass

from trading.clock import MINUTE_MS
from trading.market.symbol_state import SymbolState
from trading.market.windows import FIFTEEN_MINUTES, ONE_MINUTE

_NEWEST_TRADES = 300  # bounds the work at an alert; in a rush these are the last seconds
_RUSH_MS = 60_000
_PRE_MOVE_MINUTES = 30
_MIN_BARS = 60


@dataclass(frozen=True, slots=True)
class PumpFeatures:
    """What the score looks at, as of the alert. Logarithms are natural unless the name says ten."""

    thinness: float  # log10 of the pair's usual notional a minute, in the quote asset (USD)
    speed: float  # log of the rise in % per second since the low of the last 15 minutes
    rush_share: float  # share of the last minute's notional in runs of rising same-moment trades
    burst: float  # log of the last minute's volume over the usual
    pre_move: float  # log of (1 + volume of the half hour before over the usual)
    isolated: float  # share of the move that BTC does not explain


RANGES: PumpFeatures = PumpFeatures(8.0, 3.0, 1.0, 8.0, 4.0, 1.0)
"""Upper ends of the features' ranges."""
LOWEST: PumpFeatures = PumpFeatures(0.0, -6.0, 0.0, -2.0, 0.0, 0.0)
"""Lower ends."""

WEIGHTS: PumpFeatures = PumpFeatures(-1.0, 0.5, 3.5, 1.8, 0.7, 1.0)
BIAS = -7.0

FREE_TO_FIT: PumpFeatures = PumpFeatures(-1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
"""Signs that the features' meanings give their weights: a fit may only keep or drop them."""


def pump_likelihood(features: PumpFeatures) -> float:
    """The module's formula, 0 to 1."""
    total = BIAS + math.fsum(
        weight * value for weight, value in zip(astuple(WEIGHTS), clipped(features), strict=True)
    )
    return 1.0 / (1.0 + math.exp(-total))


def clipped(features: PumpFeatures) -> tuple[float, ...]:
    """The features within their ranges, in the order of the class."""
    columns = zip(astuple(LOWEST), astuple(features), astuple(RANGES), strict=True)
    return tuple(max(low, min(value, high)) for low, value, high in columns)


def measure_pump(
    state: SymbolState, isolated_share: float | None, now_ms: int
) -> PumpFeatures | None:
    """The features as of now; None while the pair's past is too short to say what is usual.

    The pair's windows must be current.
    """
    windows, bars = state.windows, state.bars
    usual = bars.usual_volume
    if bars.closed_count < _MIN_BARS or usual <= 0.0 or isolated_share is None:
        return None
    last = windows.last_price
    low, low_ms = windows.low(FIFTEEN_MINUTES), windows.low_time_ms(FIFTEEN_MINUTES)
    rise_pct = (last / low - 1.0) * 100.0
    rise_s = max(0.1, (windows.last_time_ms - low_ms) / 1000.0)
    rise_minutes = math.ceil(rise_s * 1000 / MINUTE_MS)
    before = bars.last(_PRE_MOVE_MINUTES + rise_minutes + 1)[: -(rise_minutes + 1)]
    before_usual = (
        math.fsum(bar.volume for bar in before) / (len(before) * usual) if before else 0.0
    )
    return PumpFeatures(
        thinness=math.log10(max(1.0, usual * low)),
        speed=math.log(max(1e-3, rise_pct / rise_s)),
        rush_share=_rush_share(state, now_ms),
        burst=math.log(max(1e-2, windows.volume(ONE_MINUTE) / usual)),
        pre_move=math.log1p(before_usual),
        isolated=isolated_share,
    )


def _rush_share(state: SymbolState, now_ms: int) -> float:
    """Share of the newest trades' notional that rushed: one moment, several rising prices."""
    total = rushed = 0.0
    run_ms, run_notional, run_first, run_last = -1, 0.0, 0.0, 0.0
    for time_ms, price, quantity in state.windows.newest(_NEWEST_TRADES, now_ms - _RUSH_MS):
        notional = price * quantity
        total += notional
        if time_ms == run_ms:
            run_notional += notional
            run_last = price
            continue
        if run_first < run_last:
            rushed += run_notional
        run_ms, run_notional, run_first, run_last = time_ms, notional, price, price
    if run_first < run_last:
        rushed += run_notional
    return rushed / total if total else 0.0
