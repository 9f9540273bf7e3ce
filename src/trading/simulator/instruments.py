"""Steps of the pairs that the embedded exchange lists.

The best known pairs have Binance's own steps; any other gets steps derived from its price: five
significant digits of price, and a smallest quantity worth about a tenth of a quote unit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal

from trading.model.market import Bar, Instrument
from trading.simulator.market_source import MarketSource

QUOTE_ASSETS = ("USDT", "USDC", "FDUSD", "BUSD", "USD", "BTC", "ETH", "BNB")
PRICE_DIGITS = 5
MIN_NOTIONAL = Decimal("5")
MAX_QUANTITY = Decimal("9000000")
KNOWN_STEPS: Mapping[str, tuple[str, str]] = {  # tick size, step size
    "BTCUSDT": ("0.01", "0.00001"),
    "ETHUSDT": ("0.01", "0.0001"),
    "BNBUSDT": ("0.01", "0.001"),
    "SOLUSDT": ("0.01", "0.001"),
    "XRPUSDT": ("0.0001", "0.1"),
    "ADAUSDT": ("0.0001", "0.1"),
    "DOGEUSDT": ("0.00001", "1"),
    "AVAXUSDT": ("0.01", "0.01"),
    "LINKUSDT": ("0.01", "0.01"),
    "DOTUSDT": ("0.001", "0.01"),
    "LTCUSDT": ("0.01", "0.001"),
    "MATICUSDT": ("0.0001", "0.1"),
}


def split_symbol(symbol: str) -> tuple[str, str]:
    """Base and quote asset of a pair's name. Raises ValueError for an unknown quote asset."""
    for quote in QUOTE_ASSETS:
        if symbol.endswith(quote) and len(symbol) > len(quote):
            return symbol[: -len(quote)], quote
    raise ValueError(f"{symbol} ends in none of the known quote assets {', '.join(QUOTE_ASSETS)}")


def make_instrument(
    symbol: str, price: float | None = None, price_decimals: int | None = None
) -> Instrument:
    """The pair's steps, known or derived from ``price``.

    ``price_decimals``, where given, decides the tick size, and stands in for an unknown price.
    """
    base, quote = split_symbol(symbol)
    known = KNOWN_STEPS.get(symbol)
    if price is not None:
        magnitude = math.floor(math.log10(price))
    else:
        magnitude = PRICE_DIGITS - 1 - (price_decimals or 0)
    if price_decimals is not None:
        tick = Decimal(1).scaleb(-price_decimals)
    elif known is not None:
        tick = Decimal(known[0])
    else:
        tick = Decimal(1).scaleb(min(magnitude + 1 - PRICE_DIGITS, 0))
    step = Decimal(known[1]) if known else Decimal(1).scaleb(min(-magnitude - 1, 0))
    return Instrument(
        symbol=symbol,
        base_asset=base,
        quote_asset=quote,
        tick_size=tick,
        step_size=step,
        min_quantity=step,
        max_quantity=MAX_QUANTITY,
        min_notional=MIN_NOTIONAL,
    )


def list_market(source: MarketSource) -> tuple[tuple[Instrument, ...], dict[str, tuple[Bar, ...]]]:
    """Instruments of every pair of ``source``, and the history from which they were derived."""
    history = source.history()
    decimals = source.price_decimals
    instruments = tuple(
        make_instrument(
            symbol,
            history[symbol][-1].close if history.get(symbol) else None,
            decimals.get(symbol),
        )
        for symbol in source.symbols
    )
    return instruments, history
