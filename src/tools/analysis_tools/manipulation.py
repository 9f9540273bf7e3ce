"""How much a rise looks like a pump that is about to be dumped."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from tools import analytics
from tools.analysis_tools.spike_context import spike_of_run
from tools.base import SymbolArguments, ToolClass, TradingTool
from tools.binance_tools import BOOK_LEVELS
from trading.model.breaker import BreakerSnapshot
from trading.model.metrics import PumpView
from trading.model.news import NewsKind
from trading.model.order import Side

# From where on a feature is named as a sign. Judgement, for whoever reads the answer: what is
# measured on labelled pumps is the likelihood as a whole (docs/detection.md).
RUSH_SHARE = 0.35
PRE_MOVE_TIMES = 2.0
PCT_PER_SECOND = 0.1
BURST_TIMES = 20.0
THIN_USD_A_MINUTE = 10_000.0
BURST_OF_POSTS = 3.0
THIN_BOOK_USD = 20_000.0
BOOK_DISTANCE_PCT = 1.0


def warning_signs(features: dict[str, float]) -> list[str]:
    """Features of ``trading.market.pump_likelihood`` beyond what ordinary moves show."""
    if not features:
        return []
    signs = {
        f"{features['rush_share']:.0%} of the volume in runs of rising orders": (
            features["rush_share"] > RUSH_SHARE
        ),
        f"bought ahead: {math.expm1(features['pre_move']):.1f} times the usual volume before": (
            math.expm1(features["pre_move"]) > PRE_MOVE_TIMES
        ),
        f"rises {math.exp(features['speed']):.2f} % a second": (
            math.exp(features["speed"]) > PCT_PER_SECOND
        ),
        f"{math.exp(features['burst']):.0f} times the usual volume": (
            math.exp(features["burst"]) > BURST_TIMES
        ),
        f"usually trades {10 ** features['thinness']:,.0f} USD a minute": (
            10 ** features["thinness"] < THIN_USD_A_MINUTE
        ),
    }
    return [text for text, holds in signs.items() if holds]


def outside_signs(burst: float | None, offered: float) -> list[str]:
    """Signs beside the trades: a sudden talk, and a book that little money moves."""
    signs = []
    if burst is not None and burst >= BURST_OF_POSTS:
        signs.append(f"{burst:.0f} times the usual number of posts")
    if offered < THIN_BOOK_USD:
        signs.append(f"{offered:,.0f} USD are offered within {BOOK_DISTANCE_PCT:g} %")
    return signs


def score(likelihood: float | None, outside: int) -> float | None:
    """The measured likelihood, and for each outside sign a tenth of what is left to 1.

    No social posts or books of labelled pumps are recorded, so that tenth is judgement.
    """
    return None if likelihood is None else 1.0 - (1.0 - likelihood) * 0.9**outside


class DetectManipulation(TradingTool):
    name: str = "detect_manipulation"
    description: str = (
        "Pump-and-dump score of a pair's newest rise, 0 to 1, with what speaks for it: buying "
        "ahead, runs of orders, a thin market and book, speed, a burst of posts."
    )
    args_schema: Any = SymbolArguments
    tool_class: ClassVar[ToolClass] = ToolClass.ANALYSE

    def perform(self, arguments: SymbolArguments, snapshot: BreakerSnapshot) -> dict[str, Any]:
        symbol = arguments.symbol
        likelihood, features = _worse(self._client.pump(symbol), symbol)
        burst = self._client.news(symbol, NewsKind.SOCIAL, 1.0, 1).burst
        book = self._client.order_book(symbol, BOOK_LEVELS)
        offered = analytics.notional_near_mid(book, Side.BUY, BOOK_DISTANCE_PCT)
        outside = outside_signs(burst, float(offered))
        return {
            "symbol": symbol,
            "pump_and_dump_likelihood": analytics.rounded(likelihood),
            "score": analytics.rounded(score(likelihood, len(outside))),
            "social_burst": analytics.rounded(burst),
            "offered_near_mid": analytics.rounded(offered, 2),
            "features": {name: analytics.rounded(value) for name, value in features.items()},
            "warning_signs": warning_signs(features) + outside,
            "problem": "" if likelihood is not None else "too little of the pair's past is known",
        }


def _worse(now: PumpView, symbol: str) -> tuple[float | None, dict[str, float]]:
    """As of now or as of the run's spike, whichever looks more like a pump."""
    spike = spike_of_run(symbol)
    if spike is None or spike.pump_likelihood is None:
        return now.likelihood, now.features
    if now.likelihood is not None and now.likelihood >= spike.pump_likelihood:
        return now.likelihood, now.features
    return spike.pump_likelihood, spike.pump_features
