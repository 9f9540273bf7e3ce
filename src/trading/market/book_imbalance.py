"""One side of a pair's order book far heavier than the other, for longer than a spoofed order."""

from __future__ import annotations

from dataclasses import dataclass

from trading.market.config import BookImbalanceConfig
from trading.market.spike_report import Sighting, confidence_of, move_over, support_of
from trading.market.symbol_state import SymbolState
from trading.market.windows import ONE_MINUTE
from trading.model.signals import BookTop
from trading.model.spike import SpikeDirection, SpikeType

_MOST = 100.0  # an empty side is no infinite ratio


@dataclass(slots=True)
class _Hold:
    direction: SpikeDirection
    since_ms: int
    seen_ms: int


class BookImbalance:
    """Sees ``ratio`` between the sides' notionals, ``min_notional_usd`` on the heavier one, held.

    A pause between two views of the book starts the hold anew, and so does a book that is crossed
    or has an empty side: it is no book to trade by.
    """

    def __init__(self, config: BookImbalanceConfig) -> None:
        self._config = config
        self._holds: dict[str, _Hold] = {}

    def forget(self, symbol: str) -> None:
        """End the pair's hold."""
        self._holds.pop(symbol, None)

    def on_book(self, state: SymbolState, book: BookTop) -> Sighting | None:
        """The pair's windows must be current."""
        config, symbol = self._config, state.symbol
        bids, asks = book.bids[: config.levels], book.asks[: config.levels]
        if not bids or not asks or bids[0][0] >= asks[0][0]:
            self.forget(symbol)
            return None
        bid_usd = sum(price * quantity for price, quantity in bids)
        ask_usd = sum(price * quantity for price, quantity in asks)
        heavy, light = max(bid_usd, ask_usd), min(bid_usd, ask_usd)
        if heavy < config.min_notional_usd or heavy < config.ratio * light:
            self.forget(symbol)
            return None
        direction = SpikeDirection.UP if bid_usd > ask_usd else SpikeDirection.DOWN
        hold = self._holds.get(symbol)
        if (
            hold is None
            or hold.direction is not direction
            or not 0 <= book.time_ms - hold.seen_ms <= config.max_gap_ms
        ):
            hold = self._holds[symbol] = _Hold(direction, book.time_ms, book.time_ms)
        hold.seen_ms = book.time_ms
        held_s = (hold.seen_ms - hold.since_ms) / 1000.0
        if held_s < config.hold_s:
            return None
        ratio = min(_MOST, heavy / light) if light > 0.0 else _MOST
        side = "bids" if direction is SpikeDirection.UP else "asks"
        return Sighting(
            type=SpikeType.IMBALANCE,
            direction=direction,
            value=ratio,
            limit=config.ratio,
            move_pct=move_over(state, ONE_MINUTE),
            minutes=1,
            confidence=confidence_of(
                ratio / config.ratio, support_of(state, direction, ONE_MINUTE)
            ),
            time_ms=book.time_ms,
            evidence=f"{side} outweigh {ratio:.1f} to 1 with {heavy / 1e6:.2f} M USD for"
            f" {held_s:.0f} s, limit {config.ratio:g} to 1 with"
            f" {config.min_notional_usd / 1e6:g} M USD for {config.hold_s:g} s",
        )
