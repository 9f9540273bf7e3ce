"""The market engine with its guards in force, beside one that looks at every trade."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator

from market_reference import FIRST_PRICES, SPIKES, START_MS, SYMBOLS, Event, make_engine, ticks

from trading.market.config import SpikeDetectionConfig
from trading.market.spike_bounds import Bounds
from trading.model.market import Bar


class NoBounds:
    """Has the detectors look at every trade, whatever it is."""

    def of_price(self, *_: object) -> Bounds:
        return Bounds(math.inf, 0.0, math.inf, of_minute=False)

    of_volume = of_price


def outputs(
    events: list[Event],
    *,
    always_look: bool,
    history: Callable[[str], Iterator[Bar]] | None = None,
    spikes: SpikeDetectionConfig = SPIKES,
) -> list[str]:
    """What the engine publishes, with its guards in force or never trusted."""
    engine, clock, seen = make_engine(spikes)
    if history:
        for symbol in SYMBOLS:
            engine.on_bar_history(symbol, history(symbol))
    if always_look:
        engine._examination._bounds = NoBounds()  # type: ignore[assignment]  # the reference
    for number, tick in enumerate(ticks(events, clock)):
        if always_look:
            for state in engine._states.values():
                state.distrust_guards()
        engine.on_tick(tick)
        if number % 3 == 0:
            snapshot = engine.advance(clock.now_ms())
            seen.append(f"{snapshot.breadth_falling} of {snapshot.breadth_tracked}")
    return seen


def uneven_bars(symbol: str) -> Iterator[Bar]:
    """Hours in which a minute's volume is mostly small and at times large, so that many times the
    usual volume may still be no deviation to speak of."""
    price = FIRST_PRICES[symbol]
    for number in range(240):
        start_ms = START_MS - (240 - number) * 60_000
        volume = 30.0 if number % 20 == 0 else 1.0
        yield Bar(symbol, start_ms, 60_000, price, price, price, price, volume)


def lively_bars(symbol: str) -> Iterator[Bar]:
    """Hours of moves of some thousandths a minute, on volumes of all sizes."""
    rng, price = random.Random(symbol), FIRST_PRICES[symbol]
    for number in range(240):
        start_ms, opened = START_MS - (240 - number) * 60_000, price
        price = FIRST_PRICES[symbol] * (1.0 + rng.gauss(0.0, 0.004))
        low, high = min(opened, price), max(opened, price)
        yield Bar(symbol, start_ms, 60_000, opened, high, low, price, rng.expovariate(0.2))


def bars_that_end_in_a_rise(symbol: str) -> Iterator[Bar]:
    """Lively hours, and a minute not over yet, in which the price has risen by a tenth on fifty
    times the usual volume."""
    last = FIRST_PRICES[symbol]
    for bar in lively_bars(symbol):
        ohlc = (price / 1.1 for price in (bar.open, bar.high, bar.low, bar.close))
        yield Bar(symbol, bar.open_time_ms, 60_000, *ohlc, bar.volume)
    yield Bar(symbol, START_MS, 60_000, last / 1.1, last, last / 1.1, last, 250.0)
