"""Open interest of USD-M perpetuals, which no stream tells: asked for once a minute."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import aiohttp
import msgspec

from trading.clock import MINUTE_MS, Clock
from trading.exchange.config import ExchangeConfig
from trading.model.signals import OpenInterest

PATH = "/fapi/v1/openInterest"
LOOK_EVERY_S = 1.0
PAUSE_AFTER_REFUSAL_MS = 10 * MINUTE_MS
_NO_SUCH_CONTRACT = 400
log = logging.getLogger(__name__)


class _Answer(msgspec.Struct, frozen=True):
    open_interest: float = msgspec.field(name="openInterest")
    time: int


_decoder = msgspec.json.Decoder(_Answer, strict=False)  # numbers come as strings


class BinanceOpenInterest:
    """Asks for one pair after another, with weight 1 each, far below the venue's limit.

    Nothing but what is shown hangs on it, so no failure is more than a figure that is missing: a
    pair without a contract of its name is not asked for again, and a venue that refuses is left
    alone for ten minutes.
    """

    def __init__(self, config: ExchangeConfig, clock: Clock) -> None:
        self._url = config.resolved_endpoints().futures_rest_url
        self._timeout_s = config.request_timeout_s
        self._clock = clock

    async def run(self, symbols: tuple[str, ...], deliver: Callable[[OpenInterest], None]) -> None:
        """Deliver until cancelled."""
        due_ms, asked = 0, list(symbols)
        timeout = aiohttp.ClientTimeout(total=self._timeout_s)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                now_ms = self._clock.now_ms()
                if now_ms >= due_ms:
                    due_ms = now_ms + MINUTE_MS
                    for symbol in tuple(asked):
                        status = await self._ask(session, symbol, deliver)
                        if status == _NO_SUCH_CONTRACT:
                            asked.remove(symbol)
                        elif status in (418, 429, 403):
                            due_ms = now_ms + PAUSE_AFTER_REFUSAL_MS
                            break
                await asyncio.sleep(LOOK_EVERY_S)

    async def _ask(
        self,
        session: aiohttp.ClientSession,
        symbol: str,
        deliver: Callable[[OpenInterest], None],
    ) -> int:
        """The HTTP status; 0 for no usable answer."""
        try:
            async with session.get(self._url + PATH, params={"symbol": symbol}) as response:
                if response.status == 200:
                    answer = _decoder.decode(await response.read())
                    deliver(OpenInterest(symbol, answer.open_interest, answer.time))
                return response.status
        except (aiohttp.ClientError, TimeoutError, msgspec.MsgspecError) as error:
            log.info("no open interest of %s: %s", symbol, type(error).__name__)
            return 0
