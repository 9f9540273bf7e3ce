"""Technical indicators of a pair's bars, by ta-lib. None until there are enough bars.

Lengths are the customary ones: RSI, ATR and ADX over 14 (Wilder 1978), MACD 12/26/9 (Appel),
Bollinger bands of 20 with two deviations, stochastic oscillator 14/3/3 (Lane).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import talib
from talib._ta_lib import MA_Type

from trading.model.market import Bar

BARS = 240
"""So many bars leave the recursive averages nothing of where they began."""


def indicators(bars: Sequence[Bar]) -> dict[str, float | None]:
    """The newest value of each indicator, oldest bar first."""
    high = np.array([bar.high for bar in bars], dtype=float)
    low = np.array([bar.low for bar in bars], dtype=float)
    close = np.array([bar.close for bar in bars], dtype=float)
    volume = np.array([bar.volume for bar in bars], dtype=float)
    if not len(bars):
        return dict.fromkeys(NAMES)
    macd, signal, histogram = talib.MACD(close, 12, 26, 9)
    upper, middle, lower = talib.BBANDS(close, 20, 2, 2)
    slow_k, slow_d = talib.STOCH(high, low, close, 14, 3, MA_Type.SMA, 3, MA_Type.SMA)
    last = float(close[-1])
    top, bottom = _last(upper), _last(lower)
    spread = None if top is None or bottom is None else top - bottom
    return {
        "rsi_14": _last(talib.RSI(close, 14)),
        "ema_9": _last(talib.EMA(close, 9)),
        "ema_21": _last(talib.EMA(close, 21)),
        "macd": _last(macd),
        "macd_signal": _last(signal),
        "macd_histogram": _last(histogram),
        "bollinger_middle": _last(middle),
        "bollinger_width_pct": None if spread is None else spread / last * 100,
        "bollinger_position": (None if not spread or bottom is None else (last - bottom) / spread),
        "atr_14_pct": _share(_last(talib.ATR(high, low, close, 14)), last),
        "adx_14": _last(talib.ADX(high, low, close, 14)),
        "stochastic_k": _last(slow_k),
        "stochastic_d": _last(slow_d),
        "money_flow_14": _last(talib.MFI(high, low, close, volume, 14)),
    }


NAMES = (
    "rsi_14",
    "ema_9",
    "ema_21",
    "macd",
    "macd_signal",
    "macd_histogram",
    "bollinger_middle",
    "bollinger_width_pct",
    "bollinger_position",
    "atr_14_pct",
    "adx_14",
    "stochastic_k",
    "stochastic_d",
    "money_flow_14",
)


def _last(values: Any) -> float | None:
    value = float(values[-1])
    return value if math.isfinite(value) else None


def _share(value: float | None, of: float) -> float | None:
    return None if value is None else value / of * 100
