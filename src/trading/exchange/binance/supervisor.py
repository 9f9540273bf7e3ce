"""Keeps one stream alive: a fresh connection after every failure, for ever, with back-off."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import NoReturn

from trading.errors import ConfigurationError
from trading.exchange.binance.translate import translate
from trading.exchange.config import ReconnectConfig

log = logging.getLogger(__name__)

# Two streams that break every two seconds for ever make 300 connections in five minutes, which is
# what the venue allows.
STEADY_S = 2.0

# One connection from beginning to end: calls its argument once the stream works, returns why it
# ended. An exception is an end too.
Attempt = Callable[[Callable[[], None]], Awaitable[str]]


async def supervise(
    name: str, config: ReconnectConfig, attempt: Attempt, on_lost: Callable[[str], None]
) -> NoReturn:
    """Run ``attempt`` again and again until cancelled.

    ``on_lost`` is told the reason once for each outage, however many attempts it takes. The pause
    between attempts doubles, and starts afresh after a connection that lasted ``STEADY_S``, or the
    longest pause if that is shorter.

    Raises:
        ConfigurationError: no attempt can ever succeed (a host that is not the venue's).
    """
    pause_ms = config.first_delay_ms
    steady_s = min(STEADY_S, config.max_delay_ms / 1000)
    is_down = False
    alive_since: float | None = None

    def alive() -> None:
        nonlocal is_down, alive_since
        is_down = False
        alive_since = time.monotonic()
        log.info("%s is up", name)

    while True:
        alive_since = None
        try:
            reason = await attempt(alive)
        except ConfigurationError:
            raise
        except Exception as error:
            reason = str(translate(error))
        if not is_down:
            is_down = True
            log.warning("%s is lost: %s", name, reason)
            on_lost(reason)
        if alive_since is not None and time.monotonic() - alive_since > steady_s:
            pause_ms = config.first_delay_ms
        await asyncio.sleep(pause_ms / 1000)
        pause_ms = min(2 * pause_ms, config.max_delay_ms)


async def supervise_reports(
    name: str, config: ReconnectConfig, attempt: Attempt, on_gap: Callable[[str], None]
) -> NoReturn:
    """``supervise`` a stream that repeats nothing from before a connection.

    ``on_gap`` is called after every connection, the first included, with the reason of the last
    loss.
    """
    last_loss = "the stream has just begun"

    def on_lost(reason: str) -> None:
        nonlocal last_loss
        last_loss = reason

    async def announced(alive: Callable[[], None]) -> str:
        def connected() -> None:
            alive()
            on_gap(f"{name} connected after: {last_loss}")

        return await attempt(connected)

    await supervise(name, config, announced, on_lost)
