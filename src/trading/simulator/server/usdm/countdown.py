"""countdownCancelAll: orders that die unless their account keeps asking for them to live."""

from __future__ import annotations

import asyncio
import contextlib

from trading.simulator.futures.exchange import FuturesExchange
from trading.simulator.orders import ExchangeRejection


class Countdowns:
    """One for each account and contract, in wall time."""

    def __init__(self, exchange: FuturesExchange) -> None:
        self._exchange = exchange
        self._running: dict[tuple[str, str], asyncio.TimerHandle] = {}

    def start(self, account_id: str, symbol: str, countdown_ms: int) -> None:
        """Begin again; 0 only ends the one that runs."""
        running = self._running.pop((account_id, symbol), None)
        if running is not None:
            running.cancel()
        if countdown_ms > 0:
            self._running[account_id, symbol] = asyncio.get_running_loop().call_later(
                countdown_ms / 1000, self._end, account_id, symbol
            )

    def _end(self, account_id: str, symbol: str) -> None:
        self._running.pop((account_id, symbol), None)
        with contextlib.suppress(ExchangeRejection):
            self._exchange.cancel_all(account_id, symbol)
