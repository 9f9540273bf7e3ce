"""How the pairs of the generated market behave: price, liquidity, noise."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SymbolProfile:
    """One generated pair.

    ``beta`` is its share in moves of the whole market; ``idio_pct`` the standard deviation of its
    own one-minute returns, in %; ``activity`` multiplies the configured trades per second;
    ``trade_notional`` is the mean size of a trade, in the quote asset.
    """

    price: float
    price_decimals: int
    quantity_decimals: int
    beta: float
    idio_pct: float
    activity: float
    trade_notional: float


# Prices and decimals as on Binance in the second half of 2024; noise of quiet days there.
_PROFILES: dict[str, SymbolProfile] = {
    "BTCUSDT": SymbolProfile(65_000.0, 2, 5, 1.00, 0.015, 1.7, 2_500.0),
    "ETHUSDT": SymbolProfile(3_200.0, 2, 4, 1.15, 0.025, 1.6, 1_800.0),
    "BNBUSDT": SymbolProfile(580.0, 1, 3, 0.95, 0.030, 1.0, 700.0),
    "SOLUSDT": SymbolProfile(150.0, 2, 3, 1.35, 0.045, 1.2, 900.0),
    "XRPUSDT": SymbolProfile(0.55, 4, 0, 1.10, 0.040, 1.0, 600.0),
    "ADAUSDT": SymbolProfile(0.40, 4, 1, 1.20, 0.045, 0.9, 400.0),
    "DOGEUSDT": SymbolProfile(0.12, 5, 0, 1.40, 0.055, 1.1, 500.0),
    "AVAXUSDT": SymbolProfile(27.0, 2, 2, 1.40, 0.050, 0.9, 400.0),
    "LINKUSDT": SymbolProfile(12.0, 2, 2, 1.25, 0.045, 0.8, 400.0),
    "DOTUSDT": SymbolProfile(5.20, 3, 2, 1.25, 0.045, 0.8, 350.0),
    "LTCUSDT": SymbolProfile(72.0, 2, 3, 0.95, 0.035, 0.8, 400.0),
    "TRXUSDT": SymbolProfile(0.15, 4, 1, 0.70, 0.030, 0.8, 350.0),
}
_OTHER = SymbolProfile(10.0, 3, 2, 1.20, 0.045, 0.8, 350.0)


def profile_of(symbol: str) -> SymbolProfile:
    """The pair's profile; one of a middling alt coin for a pair without its own."""
    return _PROFILES.get(symbol, _OTHER)
