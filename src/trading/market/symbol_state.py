"""Everything the engine keeps about one pair."""

from __future__ import annotations

import sys

from trading.market.columns import (
    TRADE_BYTES,
    Numbers,
    bounds,
    columns,
    last_trade,
    prices_from,
)
from trading.market.config import CrashDetectionConfig
from trading.market.minute_bars import MinuteBars
from trading.market.pair_figures import Figure, PairFigures
from trading.market.tick_filter import TickFilter
from trading.market.windows import ONE_HOUR, WINDOW_NAMES, RollingWindows
from trading.model.metrics import SymbolStats, WindowStats

_INFINITY = float("inf")
# The largest number, so that an infinite quantity is never within it.
UNLIMITED_VOLUME = sys.float_info.max


class SymbolState:
    """Windows, bars and sanity of one pair.

    Accepted trades are ``staged``, packed, and reach windows and bars when somebody looks at
    these, which is rare: ``windows`` and ``bars`` are always current, because reading them settles
    what is staged. Only the engine's thread may read them; ``last_price`` and ``last_trade_ms``
    are for all.

    Guards say which trades need no look at all. Strictly between ``guard_low`` and ``guard_high``
    no threshold of any detector can be met, whatever the trades in between were; from
    ``guard_until_ms`` on that no longer holds, because a cool-down or a minute ends. ``room`` is
    the volume that may trade before a volume can be unusual, or before a move that is large enough
    already comes on enough trading to count. While a volume may be unusual (``is_volume_due``), the
    guards heed the smaller moves that make a spike of it. All are set from exact windows, which
    only shrink until the next trade outside, so the guards become too narrow with time, never too
    wide.
    """

    __slots__ = (
        "_bars",
        "_settled",
        "_trail_at",
        "_trail_high",
        "_trail_low",
        "_windows",
        "alarm_line",
        "ceiling",
        "fall_left",
        "figures",
        "filter",
        "floor",
        "guard_high",
        "guard_low",
        "guard_until_ms",
        "heeds_falls",
        "heeds_rises",
        "is_volume_due",
        "number",
        "price_spare",
        "room",
        "seen",
        "staged",
        "symbol",
        "volume_look_ms",
        "volume_spare",
        "width",
    )

    # What the pass over all pairs compares.
    fall_line = Figure[float]()  # above it, the pair cannot be falling
    sure_fall_line = Figure[float]()  # at or below it, it is falling for sure, until …
    falling_until_ms = Figure[int]()
    tracked_until_ms = Figure[int]()  # breadth counts the pair at least until then
    untracked_until_ms = Figure[int]()  # or does not at least until then
    weigh_from_ms = Figure[int]()  # when the usual volume must be looked at again
    is_falling = Figure[int]()  # beyond the breadth rule's fall

    def __init__(
        self,
        symbol: str,
        crash: CrashDetectionConfig,
        baseline_minutes: int,
        figures: PairFigures,
        number: int,
    ) -> None:
        """``number`` is the pair's row in ``figures``."""
        self.symbol = symbol
        self.figures = figures
        self.number = number
        self.filter = TickFilter(crash)
        self._windows = RollingWindows()
        self._bars = MinuteBars(symbol, baseline_minutes)
        self._settled = 0  # trades in the windows, ever
        self.staged = bytearray()
        # Of the staged bytes, those that the last pass over all pairs has seen; -1 if there are
        # settled trades that it has not.
        self.seen = 0
        self.volume_look_ms = 0  # not before then
        self.alarm_line = 0.0  # a trade at or below it may prove a crash; set by the last look
        self.distrust_guards()

    def distrust_guards(self, new_trades: int = 0) -> None:
        """Look at the next trade, whatever it is; ``new_trades`` came into the windows."""
        self._settled += new_trades
        self.close_guard()
        self.fall_line = _INFINITY
        self.fall_left = 1.0  # of a high, where the fall begins
        self.sure_fall_line = 0.0
        self.falling_until_ms = 0
        self.tracked_until_ms = 0
        self.untracked_until_ms = 0
        self.doubt_volume()
        self.set_room(_INFINITY, _INFINITY)

    def doubt_volume(self) -> None:
        """A volume may be unusual from now on."""
        self.is_volume_due = True
        self.weigh_from_ms = self.volume_look_ms

    def set_room(self, of_volume: float, of_price: float) -> None:
        """How much may trade before a volume is unusual, and before a move counts."""
        self.room = room = min(of_volume, of_price, UNLIMITED_VOLUME)
        # What is left of the one that is larger, when the smaller is used up.
        self.volume_spare, self.price_spare = of_volume - room, of_price - room

    def close_guard(self) -> None:
        """No price is within the guards."""
        self.guard_low, self.guard_high, self.guard_until_ms = _INFINITY, 0.0, 0
        # No band reaches beyond these, and none is wider; as prices, and as a ratio of two.
        self.floor, self.ceiling, self.width = _INFINITY, 0.0, 1.0
        # Whether a fall, or a rise, from a price that comes may be one.
        self.heeds_falls = self.heeds_rises = True
        self.begin_trail(0.0)

    def begin_trail(self, price: float) -> None:
        """The guards are set anew: ``trail`` is of this price and those that come."""
        self._trail_low = self._trail_high = price
        self._trail_at = len(self.staged)

    def trail(self) -> tuple[float, float]:
        """The lowest and the highest price since the guards were set."""
        if len(self.staged) > self._trail_at:
            self._follow(prices_from(self.staged, self._trail_at))
            self._trail_at = len(self.staged)
        return self._trail_low, self._trail_high

    def _follow(self, prices: Numbers) -> None:
        """Take the trail on to the last of these."""
        low, high = bounds(prices)
        self._trail_low = min(self._trail_low, low)
        self._trail_high = max(self._trail_high, high)

    @property
    def windows(self) -> RollingWindows:
        """The rolling windows, with every trade so far."""
        if self.staged:
            self.settle()
        return self._windows

    @property
    def bars(self) -> MinuteBars:
        """The one-minute bars, with every trade so far."""
        if self.staged:
            self.settle()
        return self._bars

    @property
    def tick_count(self) -> int:
        return self._settled + len(self.staged) // TRADE_BYTES

    @property
    def has_price(self) -> bool:
        return self._settled > 0 or len(self.staged) > 0

    @property
    def last_price(self) -> float:
        """Price of the last trade; 0 before the first. From any thread."""
        staged = self.staged  # settled meanwhile, it still ends with the last trade
        return last_trade(staged)[1] if staged else self._windows.last_price

    @property
    def last_trade_ms(self) -> int:
        """Time of the last trade; 0 before the first. From any thread."""
        staged, settled_ms = self.staged, self._windows.last_time_ms
        return max(settled_ms, last_trade(staged)[0]) if staged else self._windows.last_time_ms

    def hour_high(self, now_ms: int) -> tuple[float, int]:
        """The 1 h high as of ``now_ms``, and a time until which it was traded. What is staged
        stays so where it can, for this is asked of many pairs in a fall."""
        if self.staged and self._settled:
            times, prices, _ = columns(self.staged)
            high = self._windows.high_after(ONE_HOUR, now_ms, times, prices)
            if high:
                return high
        self.windows.expire(now_ms)
        return self._windows.high(ONE_HOUR), self._windows.high_time_ms(ONE_HOUR)

    def settle(self) -> None:
        """Bring the staged trades into windows and bars."""
        staged = self.staged
        times, prices, quantities = columns(staged)
        if len(staged) > self._trail_at:
            self._follow(prices[self._trail_at // TRADE_BYTES :])
        self._trail_at = 0
        times = self._windows.extend(times, prices, quantities)
        self._bars.extend(times, prices, quantities)
        self._settled += len(times)
        self.seen = -1 if len(staged) > self.seen else 0
        # Last: whoever reads the last price meanwhile finds it here or there.
        self.staged = bytearray()

    def volume_multiple(self, window: int) -> float:
        """The window's volume against what is usual for the pair."""
        return self.bars.volume_multiple(window, self.windows.volume(window))

    def stats(self, now_ms: int) -> SymbolStats:
        """All windows as of ``now_ms``."""
        windows, bars = self.windows, self.bars
        windows.expire(now_ms)
        last = windows.last_price
        result = {}
        for window, name in enumerate(WINDOW_NAMES):
            change = last / windows.first_price(window) - 1.0
            result[name] = WindowStats(
                window=name,
                ready=windows.is_ready(window),
                high=windows.high(window),
                low=windows.low(window),
                last=last,
                return_pct=change * 100.0,
                drawdown_pct=windows.drawdown_pct(window),
                volatility_pct=bars.volatility_pct(window),
                z_score=bars.z_score(window, change),
                volume=windows.volume(window),
                volume_multiple=self.volume_multiple(window),
            )
        return SymbolStats(symbol=self.symbol, time_ms=now_ms, last_price=last, windows=result)
