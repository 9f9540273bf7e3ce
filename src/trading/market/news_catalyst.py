"""A headline and a move of the pair it is about, close together in time."""

from __future__ import annotations

import math
from collections.abc import Iterable

from trading.market.config import NewsCatalystConfig
from trading.market.spike_report import Sighting, confidence_of
from trading.market.symbol_state import SymbolState
from trading.market.windows import FIVE_MINUTES
from trading.model.signals import Headline
from trading.model.spike import SpikeDirection, SpikeType


class NewsCatalyst:
    """Sees ``move_pct`` or more within ``within_s``, no farther from a headline than that.

    The move may have begun before the headline: markets often know first. A headline that was
    already older than that when it came is none.
    """

    def __init__(self, config: NewsCatalystConfig) -> None:
        self._config = config
        self._span_ms = config.within_s * 1000
        self._headlines: dict[str, Headline] = {}  # the newest of each pair

    def on_headline(self, headline: Headline, watched: Iterable[str]) -> None:
        for symbol in set(headline.symbols).intersection(watched):
            known = self._headlines.get(symbol)
            if known is None or known.time_ms <= headline.time_ms:
                self._headlines[symbol] = headline

    def pending(self, now_ms: int) -> tuple[str, ...]:
        """Pairs with a headline that is still fresh; forgets the others."""
        for symbol, headline in tuple(self._headlines.items()):
            if now_ms - headline.time_ms > self._span_ms:
                del self._headlines[symbol]
        return tuple(self._headlines)

    def look(self, state: SymbolState, now_ms: int) -> Sighting | None:
        """A move beside the pair's fresh headline. The pair's windows must be current."""
        headline = self._headlines.get(state.symbol)
        windows = state.windows
        if headline is None or now_ms - headline.time_ms > self._span_ms:
            return None
        if now_ms - windows.last_time_ms > self._span_ms:
            return None  # the price is older than the headline: it says nothing of it
        since_ms = windows.last_time_ms - self._span_ms
        last, limit = windows.last_price, self._config.move_pct
        (low,) = windows.lows_since((FIVE_MINUTES,), since_ms)
        (high,) = windows.highs_since((FIVE_MINUTES,), since_ms)
        up_pct, down_pct = (last / low - 1.0) * 100.0, (last / high - 1.0) * 100.0
        move_pct = up_pct if up_pct >= -down_pct else down_pct
        if abs(move_pct) <= limit:
            return None
        return Sighting(
            type=SpikeType.NEWS,
            direction=SpikeDirection.UP if move_pct > 0 else SpikeDirection.DOWN,
            value=abs(move_pct),
            limit=limit,
            move_pct=move_pct,
            minutes=math.ceil(self._config.within_s / 60),
            confidence=confidence_of(abs(move_pct) / limit, 1.0),
            time_ms=windows.last_time_ms,
            # Not its words: evidence is read by agents that have order tools.
            evidence=f"{move_pct:+.2f} % within {self._config.within_s} s of headline"
            f" {headline.id[:32]}, limit {limit:g} %",
            window=FIVE_MINUTES,
        )
