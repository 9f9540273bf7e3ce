"""Paces a market source by the market clock into the exchange."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator

from trading.clock import ScaledClock
from trading.model.market import Tick
from trading.simulator.exchange import SimulatedExchange
from trading.simulator.tape_shock import TapeShock

log = logging.getLogger(__name__)
LONGEST_SLEEP_S = 0.5
PAUSED_SLEEP_S = 0.05
LONGEST_BURST_NS = 5_000_000  # ticks handed over in a row before others get the loop


async def pump_market(
    exchange: SimulatedExchange, ticks: Iterator[Tick], shock: TapeShock, clock: ScaledClock
) -> None:
    """Deliver every tick when the clock reaches its time; returns after the last one.

    While the clock is paused, nothing is delivered, not even what is late.
    """
    burst_started_ns = time.monotonic_ns()
    for tick in ticks:
        while (early_ms := tick.time_ms - clock.now_ms()) > 0 or not clock.speed:
            wait_s = early_ms / 1000 / clock.speed if clock.speed else PAUSED_SLEEP_S
            await asyncio.sleep(min(LONGEST_SLEEP_S, wait_s))
            burst_started_ns = time.monotonic_ns()
        exchange.on_tick(shock.apply(tick))
        if time.monotonic_ns() - burst_started_ns > LONGEST_BURST_NS:
            await asyncio.sleep(0)
            burst_started_ns = time.monotonic_ns()
    log.info("the market's data has ended")
