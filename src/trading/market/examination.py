"""The look at one trade: is it a crash or a spike, and when must the pair be looked at again."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from trading.clock import MINUTE_MS
from trading.events import EventBus, SpikeDetected
from trading.market.breadth import BreadthWatch
from trading.market.config import SpikeDetectionConfig
from trading.market.crash_detector import Breach, CrashDetector
from trading.market.guards import least_move, set_price_guard, volume_room
from trading.market.spike_bounds import UNBOUNDED, Bounds, SpikeBounds
from trading.market.spike_detector import SpikeDetector
from trading.market.spike_report import FAR_FUTURE_MS, SpikeReporter
from trading.market.symbol_state import SymbolState
from trading.model.spike import SpikeDirection

# In a crash every pair's volume is unusual. Trades are looked at as they come; this only says when
# to ask whether that may end, and asking it of all pairs more often holds up the trades.
VOLUME_LOOK_INTERVAL_MS = 10_000


class Examination:
    """Examines trades that are outside their pair's guards, and sets these anew.

    ``on_crash`` is told the breaches of a leader's trade at once; spikes go to the bus.
    """

    def __init__(
        self,
        config: SpikeDetectionConfig,
        states: Iterable[SymbolState],
        crash: CrashDetector,
        breadth: BreadthWatch,
        reporter: SpikeReporter,
        bus: EventBus,
        on_crash: Callable[[list[Breach], int], None],
    ) -> None:
        states = tuple(states)
        symbols = tuple(state.symbol for state in states)
        self._config = config
        self._crash = crash
        self._breadth = breadth
        self._detector = SpikeDetector(config, symbols, reporter)
        self._bounds = SpikeBounds(config, symbols, reporter)
        self._bus = bus
        self._on_crash = on_crash
        self._least_moves = {state.symbol: self._least_move(state) for state in states}

    def examine(self, state: SymbolState, time_ms: int, price: float, now_ms: int) -> None:
        """Look for a crash and a spike at the pair's last trade."""
        state.begin_trail(price)  # what came before is in the windows
        windows = state.windows
        windows.expire(time_ms)
        if state.is_volume_due and not self._detector.watches_volume:
            self.weigh_volume(state, now_ms)
        leader = self._crash.leader_of(state)
        trip_price = self._crash.trip_price(leader) if leader else 0.0
        if leader and price <= trip_price:
            breaches = self._crash.on_leader_trade(leader, windows.last_time_ms)
            if breaches:
                self._on_crash(breaches, now_ms)
            trip_price = self._crash.trip_price(leader)
        state.alarm_line = trip_price
        bounds = self._bounds_at(state, time_ms, price)
        of_price, of_volume = bounds
        spike = None
        if not of_price.down < price < of_price.up:
            spike = self._detector.on_price(state, time_ms, now_ms)
        if spike is None and not of_volume.down < price < of_volume.up:
            spike = self._detector.on_volume(state, time_ms, now_ms)
        if spike:
            bounds = self._bounds_at(state, time_ms, price)
            self._bus.publish(SpikeDetected(spike))
        self._guard(state, time_ms, price, bounds)

    def prepare(self, state: SymbolState, now_ms: int) -> None:
        """Set the guards of a pair that has history alone, so that a calm first trade needs no
        look; not of a leader, nor where something stands out already."""
        if self._crash.leader_of(state):
            return
        time_ms, price = state.last_trade_ms, state.last_price
        state.windows.expire(time_ms)
        if state.is_volume_due:
            self.weigh_volume(state, now_ms)
        bounds = self._bounds_at(state, time_ms, price)
        if all(each.down < price < each.up for each in bounds):
            self._guard(state, time_ms, price, bounds)

    def _guard(
        self, state: SymbolState, time_ms: int, price: float, bounds: tuple[Bounds, Bounds]
    ) -> None:
        """Set the pair's guards by what has just been looked at."""
        of_price, of_volume = bounds
        leader = self._crash.leader_of(state)
        least = self._least_moves[state.symbol]
        down = max(of_price.down, of_volume.down, state.alarm_line)
        up = min(of_price.up, of_volume.up)
        if state.is_volume_due:
            state.set_room(of_volume.room, of_price.room)
            least *= min(1.0, self._config.volume_min_move_share)
        else:
            state.set_room(state.room + state.volume_spare, of_price.room)
        until_ms = min(self._detector.quiet_until(state, time_ms), of_volume.until_ms)
        if of_price.of_minute or state.is_volume_due:
            # What is usual changes with every minute that closes.
            until_ms = min(until_ms, state.bars.open_ms + MINUTE_MS)
        state.heeds_rises = self._detector.heeds(state, SpikeDirection.UP, time_ms)
        state.heeds_falls = leader is not None or self._detector.heeds(
            state, SpikeDirection.DOWN, time_ms
        )
        if not (state.heeds_rises or state.heeds_falls):
            least = math.inf  # no move counts, whatever its size
        set_price_guard(state, price, down, up, least, until_ms)
        self._breadth.set_lines(state, time_ms)

    def weigh_volume(self, state: SymbolState, now_ms: int) -> None:
        """Say how much may trade before a volume can be unusual; if it may be, look at trades."""
        if not self._detector.watches_volume:
            state.is_volume_due, state.weigh_from_ms = False, FAR_FUTURE_MS
            return
        state.volume_look_ms = now_ms + VOLUME_LOOK_INTERVAL_MS
        was_due, of_price = state.is_volume_due, state.room + state.price_spare
        state.windows.expire(now_ms)
        room, until_ms = volume_room(state, self._config)
        state.is_volume_due = room <= 0.0
        state.weigh_from_ms = state.volume_look_ms
        if room > 0.0:
            state.weigh_from_ms = max(until_ms, state.volume_look_ms)
            state.set_room(room, of_price)
        elif not was_due:  # otherwise a trade has set it, for all that a volume spike asks
            state.close_guard()

    def _bounds_at(self, state: SymbolState, time_ms: int, price: float) -> tuple[Bounds, Bounds]:
        """Where no price spike can be, and no volume spike; without one that is due, anywhere."""
        least = self._least_moves[state.symbol]
        of_price = self._bounds.of_price(state, time_ms, price, least)
        if not state.is_volume_due:
            return of_price, UNBOUNDED
        return of_price, self._bounds.of_volume(state, time_ms, price, least)

    def _least_move(self, state: SymbolState) -> float:
        leader = self._crash.leader_of(state)
        falls_pct = [rule.limit_pct for rule in leader.rules] if leader else []
        return least_move(self._config, state.symbol, falls_pct)
