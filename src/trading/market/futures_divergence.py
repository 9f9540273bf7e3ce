"""A coin's perpetual and its spot price apart from each other, for longer than a late price."""

from __future__ import annotations

from dataclasses import dataclass

from trading.market.config import DivergenceConfig
from trading.market.spike_report import Sighting, confidence_of, move_over, support_of
from trading.market.symbol_state import SymbolState
from trading.market.windows import ONE_MINUTE
from trading.model.signals import FuturesPrice
from trading.model.spike import SpikeDirection, SpikeType


@dataclass(slots=True)
class _Hold:
    direction: SpikeDirection
    since_ms: int
    seen_ms: int


class FuturesDivergence:
    """Sees ``pct`` or more between the two prices, on one side, held for ``hold_s``.

    A spot price that is too old, or a pause between futures prices, starts the hold anew: what
    was not seen did not hold.
    """

    def __init__(self, config: DivergenceConfig) -> None:
        self._config = config
        self._holds: dict[str, _Hold] = {}

    def forget(self, symbol: str) -> None:
        """End the pair's hold."""
        self._holds.pop(symbol, None)

    def on_futures_price(self, state: SymbolState, price: FuturesPrice) -> Sighting | None:
        """The pair's windows must be current."""
        config, windows, symbol = self._config, state.windows, state.symbol
        spot = windows.last_price
        gap_pct = (price.price / spot - 1.0) * 100.0
        is_fresh = abs(price.time_ms - windows.last_time_ms) <= config.max_age_ms
        if not is_fresh or abs(gap_pct) < config.pct:
            self.forget(symbol)
            return None
        direction = SpikeDirection.UP if gap_pct > 0 else SpikeDirection.DOWN
        hold = self._holds.get(symbol)
        if (
            hold is None
            or hold.direction is not direction
            or price.time_ms - hold.seen_ms > config.max_age_ms
        ):
            hold = self._holds[symbol] = _Hold(direction, price.time_ms, price.time_ms)
        hold.seen_ms = max(hold.seen_ms, price.time_ms)
        held_s = (hold.seen_ms - hold.since_ms) / 1000.0
        if held_s < config.hold_s:
            return None
        share = abs(gap_pct) / config.pct
        return Sighting(
            type=SpikeType.DIVERGENCE,
            direction=direction,
            value=abs(gap_pct),
            limit=config.pct,
            move_pct=move_over(state, ONE_MINUTE),
            minutes=1,
            confidence=confidence_of(share, support_of(state, direction, ONE_MINUTE)),
            time_ms=price.time_ms,
            evidence=f"futures {gap_pct:+.2f} % against spot for {held_s:.0f} s,"
            f" limit {config.pct:g} % for {config.hold_s:g} s",
        )
