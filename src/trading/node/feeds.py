"""What the core listens to, and where it goes."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from trading.model.market import Tick
from trading.model.signals import FundingRate, FuturesPrice, Liquidation
from trading.model.spike import SpikeType
from trading.node.core import TradingCore


class CoreFeed:
    """The feed's listener: every tick goes through the market engine at once."""

    def __init__(self, core: TradingCore, on_gap: Callable[[], None]) -> None:
        """``on_gap`` is called when the stream is back after a loss."""
        self._on_gap = on_gap
        self._was_lost = False
        self._market = core.parts.market
        self._board = core.parts.board

    def on_tick(self, tick: Tick) -> None:
        self._market.on_tick(tick)

    def on_feed_connected(self) -> None:
        self._board.say("feed", "market stream connected")
        if self._was_lost:
            self._was_lost = False
            self._on_gap()

    def on_feed_lost(self, reason: str) -> None:
        self._was_lost = True
        # Not a trip by itself: silence beyond its limit is one, and the guard measures that.
        self._board.say("feed", f"market stream lost: {reason}; reconnecting", "warning")


class FuturesEars:
    """The futures feed's listener. Losing it is no trip: its rules are not ready meanwhile."""

    def __init__(self, core: TradingCore) -> None:
        self._market = core.parts.market
        self._futures = core.parts.futures
        self._board = core.parts.board

    def on_futures_price(self, price: FuturesPrice) -> None:
        self._market.on_futures_price(price)
        self._futures.on_futures_price(price)

    def on_funding(self, rate: FundingRate) -> None:
        self._market.on_funding(rate)
        self._futures.on_funding(rate)

    def on_liquidation(self, order: Liquidation) -> None:
        self._market.on_liquidation(order)
        self._futures.on_liquidation(order)

    def on_futures_connected(self) -> None:
        self._market.on_futures_connected()
        self._board.say("feed", "futures stream connected")

    def on_futures_lost(self, reason: str) -> None:
        self._market.on_futures_lost()
        self._board.say("feed", f"futures stream lost: {reason}; reconnecting", "warning")


def book_duties(core: TradingCore) -> tuple[Coroutine[Any, Any, None], ...]:
    """The order books' stream, where spikes by imbalance are asked for.

    Losing it is no danger: without books there are no such spikes, and nothing else hangs on them.
    """
    config = core.parts.config
    spikes = config.spike_detection
    if not spikes.enabled or SpikeType.IMBALANCE not in spikes.types:
        return ()
    # python-binance, which its package imports, takes half a second.
    from trading.exchange.binance.book_feed import BinanceBookFeed

    feed = BinanceBookFeed(config.exchange, core.parts.clock, spikes.imbalance.levels)
    say = core.parts.board.say

    def lost(reason: str) -> None:
        say("feed", f"order book stream lost: {reason}; reconnecting")

    return (feed.run(config.market.symbols, core.parts.market.on_book, lost),)


def futures_duties(core: TradingCore) -> tuple[Coroutine[Any, Any, None], ...]:
    """The futures' stream, where there is one: witnesses, funding and liquidations."""
    config = core.parts.config
    if not config.exchange.hears_futures:
        return ()
    # python-binance, which its package imports, takes half a second.
    from trading.exchange.binance.futures_feed import BinanceFuturesFeed
    from trading.exchange.binance.open_interest import BinanceOpenInterest

    feed = BinanceFuturesFeed(config.exchange, core.parts.clock, config.market.quote_asset)
    duties: tuple[Coroutine[Any, Any, None], ...] = (feed.run(FuturesEars(core)),)
    if config.exchange.resolved_endpoints().futures_rest_url:
        interest = BinanceOpenInterest(config.exchange, core.parts.clock)
        duties += (interest.run(config.market.symbols, core.parts.futures.on_open_interest),)
    return duties
