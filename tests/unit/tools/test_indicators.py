"""Technical indicators against their definitions."""

from __future__ import annotations

import itertools
import math

import pytest

from tools import indicators
from trading.model.market import Bar


def bars_of(closes: list[float], spread: float = 0.0) -> list[Bar]:
    return [
        Bar("SOLUSDT", i * 60_000, 60_000, c, c + spread, c - spread, c, 1.0 + i % 3)
        for i, c in enumerate(closes)
    ]


def wilder_rsi(closes: list[float], length: int = 14) -> float:
    """RSI as Wilder defines it, step by step."""
    changes = [b - a for a, b in itertools.pairwise(closes)]
    gain = math.fsum(max(c, 0.0) for c in changes[:length]) / length
    loss = math.fsum(max(-c, 0.0) for c in changes[:length]) / length
    for change in changes[length:]:
        gain = (gain * (length - 1) + max(change, 0.0)) / length
        loss = (loss * (length - 1) + max(-change, 0.0)) / length
    return 100 * gain / (gain + loss)


WAVE = [100 + 5 * math.sin(i / 7) + i / 50 for i in range(indicators.BARS)]


def test_rsi_is_wilders() -> None:
    assert indicators.indicators(bars_of(WAVE))["rsi_14"] == pytest.approx(wilder_rsi(WAVE))


def test_averages_lie_below_a_rising_price_and_macd_is_positive() -> None:
    figures = indicators.indicators(bars_of([100 + i * 0.1 for i in range(240)], spread=0.1))
    assert figures["ema_21"] < figures["ema_9"] < 100 + 239 * 0.1  # type: ignore[operator]
    assert figures["macd"] > 0  # type: ignore[operator]
    assert figures["adx_14"] == pytest.approx(100.0)


def test_a_quiet_price_has_a_range_of_its_spread_and_sits_in_no_band() -> None:
    figures = indicators.indicators(bars_of([100.0] * 240, spread=0.5))
    assert figures["atr_14_pct"] == pytest.approx(1.0)
    assert figures["bollinger_width_pct"] == 0.0
    assert figures["bollinger_position"] is None


@pytest.mark.parametrize("count", [0, 1, 5, 20])
def test_too_few_bars_give_no_figure_rather_than_a_wrong_one(count: int) -> None:
    figures = indicators.indicators(bars_of(WAVE[:count]))
    assert tuple(figures) == indicators.NAMES
    assert figures["macd"] is None
    assert figures["adx_14"] is None
    assert all(value is None or math.isfinite(value) for value in figures.values())
