"""How pairs move together."""

from __future__ import annotations

import itertools
import math
from typing import Any, ClassVar

from pydantic import Field, field_validator

from tools import analytics
from tools.base import SymbolArguments, ToolArguments, ToolClass, TradingTool
from trading.model.breaker import BreakerSnapshot

_FAR_FUTURE_MS = 10**18


class CorrelationArguments(ToolArguments):
    symbols: tuple[str, ...] = Field(
        min_length=2, max_length=12, description="Pairs, two or more; the first is the reference."
    )
    minutes: int = Field(default=240, ge=30, le=1000, description="How far back, in minutes.")

    @field_validator("symbols")
    @classmethod
    def _pairs(cls, symbols: tuple[str, ...]) -> tuple[str, ...]:
        for symbol in symbols:
            SymbolArguments(symbol=symbol)
        if len(set(symbols)) != len(symbols):
            raise ValueError("symbols must not repeat")
        return symbols


class AnalyzeCorrelation(TradingTool):
    name: str = "analyze_correlation"
    description: str = (
        "Correlation of several pairs' 1-minute returns, each with each, and their betas on the "
        "first one: whether positions in them are one bet or several."
    )
    args_schema: Any = CorrelationArguments
    tool_class: ClassVar[ToolClass] = ToolClass.ANALYSE

    def perform(self, arguments: CorrelationArguments, snapshot: BreakerSnapshot) -> dict[str, Any]:
        history = self._client.history(arguments.symbols, arguments.minutes)
        reference = arguments.symbols[0]
        pairs: list[tuple[str, str, float | None]] = []
        betas: dict[str, float | None] = {}
        known: dict[tuple[str, str], float] = {}
        for one, other in itertools.combinations(arguments.symbols, 2):
            returns = analytics.common_returns_pct(
                history[other], history[one], before_ms=_FAR_FUTURE_MS
            )
            correlation, beta = analytics.correlation_and_beta(*returns)
            pairs.append((one, other, analytics.rounded(correlation)))
            if correlation is not None:
                known[one, other] = correlation
            if one == reference:
                betas[other] = analytics.rounded(beta)
        return {
            "reference": reference,
            "minutes": arguments.minutes,
            "bars": {symbol: len(history[symbol]) for symbol in arguments.symbols},
            "correlations": pairs,
            "betas": betas,
            "mean_correlation": (
                analytics.rounded(math.fsum(known.values()) / len(known)) if known else None
            ),
            "most_alike": max(known, key=lambda pair: known[pair], default=None),
            "unknown_pairs": len(pairs) - len(known),
        }
