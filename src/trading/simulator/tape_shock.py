"""Price shocks on demand: a factor on the tape that moves within a given time and then stays."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from trading.model.market import Tick


@dataclass(frozen=True, slots=True)
class _Shock:
    symbol: str | None  # None: every symbol
    factor: float
    start_ms: int
    duration_ms: int
    volume_factor: float  # while the price moves

    def at(self, now_ms: int) -> float:
        if now_ms >= self.start_ms + self.duration_ms:
            return self.factor
        share = max(0.0, (now_ms - self.start_ms) / self.duration_ms)
        return 1.0 + (self.factor - 1.0) * share


class TapeShock:
    """Changes ticks on their way from the market source to the exchange."""

    def __init__(self) -> None:
        self._shocks: list[_Shock] = []

    def add(
        self,
        symbol: str | None,
        pct: float,
        start_ms: int,
        duration_s: float,
        volume_factor: float = 1.0,
    ) -> None:
        """Move ``symbol`` (None: all) by ``pct`` per cent, linearly over market seconds, with
        ``volume_factor`` times the quantity traded meanwhile.

        Raises ValueError for a fall of 100 % or more.
        """
        if pct <= -100:
            raise ValueError(f"a price cannot fall by {-pct} %")
        self._shocks.append(
            _Shock(symbol, 1 + pct / 100, start_ms, int(duration_s * 1000), volume_factor)
        )

    def apply(self, tick: Tick) -> Tick:
        if not self._shocks:
            return tick
        factor = volume = 1.0
        for shock in self._shocks:
            if shock.symbol in (None, tick.symbol):
                factor *= shock.at(tick.time_ms)
                if 0 <= tick.time_ms - shock.start_ms < shock.duration_ms:
                    volume *= shock.volume_factor
        if factor == volume == 1.0:
            return tick
        return msgspec.structs.replace(
            tick, price=tick.price * factor, quantity=tick.quantity * volume
        )
