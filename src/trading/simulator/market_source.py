"""Where the embedded exchange and the replay get a market from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from trading.model.market import Bar, Tick


class MarketSource(Protocol):
    """A market, generated or recorded, in absolute market time (UTC milliseconds).

    Reading it twice gives the same market twice.
    """

    @property
    def name(self) -> str:
        """What to show: the scenario or the recorded window."""
        ...

    @property
    def symbols(self) -> tuple[str, ...]: ...

    @property
    def start_ms(self) -> int:
        """Market time of the first tick or just before it; ``history`` ends here."""
        ...

    @property
    def end_ms(self) -> int | None:
        """Market time after the last tick; None when the market goes on for ever."""
        ...

    @property
    def tick_gap_ms(self) -> int:
        """Pause between two ticks of a liquid pair that is normal for this source.

        Hand it to ``MarketEngine(tick_gap_ms=…)``, which would call minute bars stale otherwise.
        """
        ...

    @property
    def price_decimals(self) -> Mapping[str, int]:
        """Decimal places of every symbol's prices, from which tick sizes follow."""
        ...

    def history(self) -> dict[str, tuple[Bar, ...]]:
        """One-minute bars before ``start_ms``, oldest first: four hours and more where known."""
        ...

    def ticks(self) -> Iterator[Tick]:
        """Trades in time order from ``start_ms`` on."""
        ...
