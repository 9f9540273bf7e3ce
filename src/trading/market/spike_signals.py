"""Spikes that trades alone do not show: futures, order books, liquidations, headlines.

What cannot be true (no finite positive figures, a time ahead of the clock by more than
``max_future_ms``) is logged and ignored; it ends the hold of what it was to continue, because a
hold that skips bad data would not have been seen to hold. Events of pairs that are not watched or
have not traded yet are ignored.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping

from trading.market.book_imbalance import BookImbalance
from trading.market.config import SpikeDetectionConfig
from trading.market.futures_divergence import FuturesDivergence
from trading.market.liquidation_cascade import LiquidationCascade
from trading.market.news_catalyst import NewsCatalyst
from trading.market.spike_report import Sighting, SpikeReporter
from trading.market.symbol_state import SymbolState
from trading.model.signals import BookTop, FuturesPrice, Headline, Liquidation
from trading.model.spike import Spike, SpikeType

log = logging.getLogger(__name__)


class SpikeSignals:
    """Takes the events, one call each, and gives the spike they make, if any."""

    def __init__(
        self,
        config: SpikeDetectionConfig,
        states: Mapping[str, SymbolState],
        reporter: SpikeReporter,
        max_future_ms: int,
    ) -> None:
        self._states = states
        self._reporter = reporter
        self._max_future_ms = max_future_ms
        self._divergence = FuturesDivergence(config.divergence)
        self._imbalance = BookImbalance(config.imbalance)
        self._liquidation = LiquidationCascade(config.liquidation)
        self._news = NewsCatalyst(config.news)

    def on_futures_price(self, price: FuturesPrice, now_ms: int) -> Spike | None:
        state = self._watched(SpikeType.DIVERGENCE, price.symbol, now_ms)
        if state is None:
            return None
        if not self._is_possible(price, (price.price,), price.time_ms, now_ms):
            self._divergence.forget(price.symbol)
            return None
        return self._report(state, self._divergence.on_futures_price(state, price), now_ms)

    def on_book(self, book: BookTop, now_ms: int) -> Spike | None:
        state = self._watched(SpikeType.IMBALANCE, book.symbol, now_ms)
        if state is None:
            return None
        figures = [figure for level in (*book.bids, *book.asks) for figure in level]
        if not self._is_possible(book, figures, book.time_ms, now_ms):
            self._imbalance.forget(book.symbol)
            return None
        return self._report(state, self._imbalance.on_book(state, book), now_ms)

    def on_liquidation(self, order: Liquidation, now_ms: int) -> Spike | None:
        state = self._watched(SpikeType.LIQUIDATION, order.symbol, now_ms)
        if state is None or not self._is_possible(
            order, (order.notional_usd,), order.time_ms, now_ms
        ):
            return None
        return self._report(state, self._liquidation.on_liquidation(state, order), now_ms)

    def on_headline(self, headline: Headline, now_ms: int) -> tuple[Spike, ...]:
        """Spikes of the pairs that have moved already; later ones come from ``on_second``."""
        if not self._reporter.watches(SpikeType.NEWS) or not self._is_possible(
            headline, (), headline.time_ms, now_ms
        ):
            return ()
        self._news.on_headline(headline, self._states)
        return self.on_second(now_ms)

    def on_second(self, now_ms: int) -> tuple[Spike, ...]:
        """Once a second: pairs with a fresh headline, and what they have done since."""
        found = []
        for symbol in self._news.pending(now_ms):
            state = self._watched(SpikeType.NEWS, symbol, now_ms)
            if state is not None:
                found.append(self._report(state, self._news.look(state, now_ms), now_ms))
        return tuple(spike for spike in found if spike)

    def _watched(self, kind: SpikeType, symbol: str, now_ms: int) -> SymbolState | None:
        """The pair's state with its windows as of now, where spikes of the kind are looked for."""
        if not self._reporter.watches(kind):
            return None
        state = self._states.get(symbol)
        if state is None or not state.has_price:
            return None
        state.windows.expire(now_ms)
        return state

    def _is_possible(
        self, event: object, figures: tuple[float, ...] | list[float], time_ms: int, now_ms: int
    ) -> bool:
        if time_ms <= now_ms + self._max_future_ms and all(
            0.0 < figure < math.inf for figure in figures
        ):
            return True
        log.warning("impossible event: %s", event)
        return False

    def _report(self, state: SymbolState, sighting: Sighting | None, now_ms: int) -> Spike | None:
        return self._reporter.report(state, sighting, now_ms) if sighting else None
