"""Keeps our requests below the venue's limits, so that it never has to refuse one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from trading.errors import RateLimitedError

USED_WEIGHT = "X-MBX-USED-WEIGHT-1M"
ORDER_COUNT_10S = "X-MBX-ORDER-COUNT-10S"
MINUTE_MS = 60_000
TEN_SECONDS_MS = 10_000

# Until exchangeInfo says otherwise. Source: binance-spot-api-docs, enums.md.
WEIGHT_PER_MINUTE = 6_000
ORDERS_PER_10S = 100

# Shares of a limit. The rest is for others behind the same address, and for what the venue counted
# and we did not.
ORDINARY_SHARE = 0.7
ESSENTIAL_SHARE = 0.9
ENTRY_SHARE = 0.7  # exits and protective stops may use the whole order count


@dataclass(slots=True)
class _Window:
    """A count that starts again at every multiple of ``length_ms``, as the venue's does."""

    length_ms: int
    limit: int
    number: int = -1
    used: int = 0

    def roll(self, now_ms: int) -> None:
        number = now_ms // self.length_ms
        if number != self.number:
            self.number, self.used = number, 0

    def left_ms(self, now_ms: int) -> int:
        return (self.number + 1) * self.length_ms - now_ms


class RequestBudget:
    """Counts what was asked in the venue's own windows; the venue's headers correct the count.

    A request that does not fit waits for the next window, up to ``patience_s``. One loop only.
    """

    def __init__(self, patience_s: float, now_s: Callable[[], float] = time.time) -> None:
        self._patience_s = patience_s
        self._now_s = now_s
        self._weight = _Window(MINUTE_MS, WEIGHT_PER_MINUTE)
        self._orders = _Window(TEN_SECONDS_MS, ORDERS_PER_10S)
        self.offset_ms = 0  # the venue's clock minus ours

    async def take(self, weight: int, *, essential: bool) -> None:
        """Count a request that is about to be sent; one without weight passes always.

        Raises RateLimitedError when it would have to wait for longer than ``patience_s``.
        """
        if weight == 0:
            return
        share = ESSENTIAL_SHARE if essential else ORDINARY_SHARE
        waited_s = 0.0
        while True:
            now_ms = self._venue_ms()
            self._weight.roll(now_ms)
            # A request larger than the share of a small limit goes alone, in a fresh window.
            if not self._weight.used or self._weight.used + weight <= self._weight.limit * share:
                self._weight.used += weight
                return
            left_s = self._weight.left_ms(now_ms) / 1000
            if waited_s + left_s > self._patience_s:
                raise RateLimitedError(
                    f"{self._weight.used} of {self._weight.limit} request weight used this minute;"
                    f" nothing more is asked for {left_s:.0f} s",
                    retry_after_s=left_s,
                )
            await asyncio.sleep(left_s + 0.001)
            waited_s += left_s

    def take_order(self, *, increases_risk: bool) -> None:
        """Count an order that is about to be sent; raises RateLimitedError when it may not be."""
        now_ms = self._venue_ms()
        self._orders.roll(now_ms)
        share = ENTRY_SHARE if increases_risk else 1.0
        if self._orders.used + 1 > self._orders.limit * share:
            left_s = self._orders.left_ms(now_ms) / 1000
            raise RateLimitedError(
                f"{self._orders.used} of {self._orders.limit} orders sent within 10 s;"
                f" the next one in {left_s:.0f} s",
                retry_after_s=left_s,
            )
        self._orders.used += 1

    def heed(self, headers: Mapping[str, str]) -> None:
        """Take the venue's own count, where it is the higher one."""
        now_ms = self._venue_ms()
        for window, name in ((self._weight, USED_WEIGHT), (self._orders, ORDER_COUNT_10S)):
            text = headers.get(name, "")
            if text.isdecimal():
                window.roll(now_ms)
                window.used = max(window.used, int(text))

    def learn(self, limits: object) -> None:
        """Take the limits of an exchangeInfo answer; what is not understood changes nothing."""
        for limit in limits if isinstance(limits, list) else ():
            match limit:
                case {
                    "rateLimitType": "REQUEST_WEIGHT",
                    "interval": "MINUTE",
                    "intervalNum": 1,
                    "limit": int(most),
                }:
                    self._weight.limit = most
                case {
                    "rateLimitType": "ORDERS",
                    "interval": "SECOND",
                    "intervalNum": 10,
                    "limit": int(most),
                }:
                    self._orders.limit = most

    def _venue_ms(self) -> int:
        return round(self._now_s() * 1000) + self.offset_ms
