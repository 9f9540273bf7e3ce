"""Price shocks on demand: a factor on the tape that moves within a given time and then stays."""

from __future__ import annotations

from dataclasses import dataclass

from trading.model.market import Tick


@dataclass(frozen=True, slots=True)
class _Shock:
    symbol: str | None  # None: every symbol
    factor: float
    start_ms: int
    duration_ms: int

    def at(self, now_ms: int) -> float:
        if now_ms >= self.start_ms + self.duration_ms:
            return self.factor
        share = max(0.0, (now_ms - self.start_ms) / self.duration_ms)
        return 1.0 + (self.factor - 1.0) * share


class TapeShock:
    """Changes ticks on their way from the market source to the exchange."""

    def __init__(self) -> None:
        self._shocks: list[_Shock] = []

    def add(self, symbol: str | None, pct: float, start_ms: int, duration_s: float) -> None:
        """Move ``symbol`` (None: all) by ``pct`` per cent, linearly over market seconds.

        Raises ValueError for a fall of 100 % or more.
        """
        if pct <= -100:
            raise ValueError(f"a price cannot fall by {-pct} %")
        self._shocks.append(_Shock(symbol, 1 + pct / 100, start_ms, int(duration_s * 1000)))

    def apply(self, tick: Tick) -> Tick:
        if not self._shocks:
            return tick
        factor = 1.0
        for shock in self._shocks:
            if shock.symbol in (None, tick.symbol):
                factor *= shock.at(tick.time_ms)
        return tick if factor == 1.0 else tick._replace(price=tick.price * factor)
