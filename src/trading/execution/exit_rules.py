"""What a position's price and age call for: a part of the profit, a higher stop, or the end.

Decides, and sends nothing. Highs are kept in memory: after a restart they begin at the entry's
price, and a stop that has followed already stays where it is, because stops only rise.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from trading.clock import MINUTE_MS
from trading.execution.exit_config import ExitConfig
from trading.execution.positions import HeldPosition, PositionBook
from trading.model.order import ZERO
from trading.risk.proposal_rules import SpikeFacts
from trading.risk.sizing import percent

TIME_STOP = "time_stop"
SPIKE_RESOLVED = "spike_resolved"
# Lot steps leave a little of every level; a share below this is not worth another order.
DONE_WITHIN = Decimal("0.02")


class ExitRules:
    """``find_spike`` gives a recorded spike, ``resolved_share`` is when one counts as resolved."""

    def __init__(
        self,
        config: ExitConfig,
        positions: PositionBook,
        *,
        resolved_share: float,
        find_spike: Callable[[str], SpikeFacts | None],
    ) -> None:
        self._config = config
        self._positions = positions
        self._resolved_share = Decimal(str(resolved_share))
        self._find_spike = find_spike
        self._levels = [
            (Decimal(str(way)), Decimal(str(share))) for way, share in config.take_profits
        ]
        self._highs: dict[str, Decimal] = {}  # by entry
        self._spikes: dict[str, SpikeFacts | None] = {}  # by entry

    def profit_quantity(self, held: HeldPosition, price: Decimal) -> Decimal:
        """How much is to be sold at ``price`` for the profit levels that it has reached."""
        target = held.take_profit_price
        if target is None:
            return ZERO
        sellable = self._positions.sellable(held)
        due = left = ZERO
        for number, (way, share) in enumerate(self._levels, start=1):
            due += share
            level = held.average_entry_price + way * (target - held.average_entry_price)
            # The last one is the target itself, as it was rounded to the venue's ticks.
            if price < (target if way == 1 else level):
                break
            if number == len(self._levels):
                return sellable
            left = due * held.bought - held.taken
        if left <= held.bought * DONE_WITHIN:
            return ZERO
        return min(left, sellable)

    def stop_price(self, held: HeldPosition, price: Decimal) -> Decimal | None:
        """Where the stop should be by now, if that is a step above where it is."""
        config, entry = self._config, held.average_entry_price
        wanted: Decimal | None = None
        if config.breakeven_after_first and held.taken > 0:
            wanted = entry
        if config.trailing_stop_pct > 0:
            high = max(self._highs.get(held.entry_id, entry), price)
            self._highs[held.entry_id] = high
            if high >= entry * (1 + percent(config.trailing_from_pct)):
                followed = high * (1 - percent(config.trailing_stop_pct))
                wanted = followed if wanted is None else max(wanted, followed)
        if wanted is None or wanted >= price:
            return None
        current = held.stop_price
        if current is not None and wanted < current * (1 + percent(config.trailing_step_pct)):
            return None
        return wanted

    def end_reason(self, held: HeldPosition, price: Decimal | None, now_ms: int) -> str | None:
        """Why the whole position is to be sold now; None while it may stay."""
        config = self._config
        age_ms = now_ms - held.opened_at_ms
        if 0 < config.max_holding_minutes * MINUTE_MS <= age_ms:
            return TIME_STOP
        if config.exit_when_resolved and price is not None:
            spike = self._spike_of(held)
            if spike is not None and spike.undone_share(price) >= self._resolved_share:
                return SPIKE_RESOLVED
        return None

    def forget_closed(self) -> None:
        """Drop what is known of positions that are no more."""
        open_entries = {held.entry_id for held in self._positions.all()}
        for known in (self._highs, self._spikes):
            for entry_id in known.keys() - open_entries:
                del known[entry_id]

    def _spike_of(self, held: HeldPosition) -> SpikeFacts | None:
        if held.entry_id not in self._spikes:
            spike_id = held.spike_id
            self._spikes[held.entry_id] = self._find_spike(spike_id) if spike_id else None
        return self._spikes[held.entry_id]
