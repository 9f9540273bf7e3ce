"""Which pairs belong together, because they tend to fall together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

UNLISTED = "unlisted"

# The pairs of the default market and their usual neighbours, by what the coins are for.
DEFAULT_SECTORS: dict[str, tuple[str, ...]] = {
    "majors": ("BTCUSDT", "ETHUSDT"),
    "payments": ("XRPUSDT", "LTCUSDT", "XLMUSDT", "BCHUSDT", "TRXUSDT"),
    "platforms": (
        "BNBUSDT",
        "SOLUSDT",
        "ADAUSDT",
        "AVAXUSDT",
        "DOTUSDT",
        "NEARUSDT",
        "ATOMUSDT",
        "APTUSDT",
        "SUIUSDT",
    ),
    "finance": ("LINKUSDT", "UNIUSDT", "AAVEUSDT", "MKRUSDT", "CRVUSDT"),
    "memes": ("DOGEUSDT", "SHIBUSDT", "PEPEUSDT", "WIFUSDT", "BONKUSDT"),
}


def sector_of(symbol: str, sectors: Mapping[str, Sequence[str]]) -> str:
    """Name of the sector; pairs of none share one, because nothing is known to part them."""
    return next((name for name, members in sectors.items() if symbol in members), UNLISTED)


def repeated(sectors: Mapping[str, Sequence[str]]) -> list[str]:
    """Pairs that stand in more than one place."""
    counts = Counter(symbol for members in sectors.values() for symbol in members)
    return sorted(symbol for symbol, count in counts.items() if count > 1)
