"""What the market tells besides trades: futures prices, books, liquidations, headlines.

Plain tuples of floats, as ``Tick`` is: they arrive thousands a second and only feed statistics.
``time_ms`` is the venue's event time, UTC. ``symbol`` is always the watched spot pair that the
event is about (``BTCUSDT``), whatever contract it came from.
"""

from __future__ import annotations

import re
from typing import NamedTuple

# 1000PEPEUSDT is quoted per thousand coins; BTCUSDC, BTCUSD_PERP and BTCUSDT_260327 are BTC's.
_CONTRACT = re.compile(r"^(1000000|1000|1M)?([A-Z0-9]+?)(?:USDT|USDC|BUSD|USD)(?:_[A-Z0-9]+)?$")

_MULTIPLIERS = {"": 1, "1000": 1_000, "1M": 1_000_000, "1000000": 1_000_000}


class FuturesPrice(NamedTuple):
    """Price of the perpetual on ``symbol``'s asset, per coin (mark price or last trade)."""

    symbol: str
    price: float
    time_ms: int


class Liquidation(NamedTuple):
    """One forced order. ``is_long``: a long was closed, so the order sold."""

    symbol: str
    is_long: bool
    notional_usd: float
    time_ms: int


class FundingRate(NamedTuple):
    """What the perpetual on ``symbol``'s asset will settle at ``next_funding_ms``, as a share of
    the position (0.0001 is 0.01 %); longs pay a positive rate."""

    symbol: str
    rate: float
    next_funding_ms: int
    time_ms: int


class OpenInterest(NamedTuple):
    """Open contracts of the perpetual on ``symbol``'s asset, in coins, of one side."""

    symbol: str
    coins: float
    time_ms: int


class BookTop(NamedTuple):
    """Best levels of an order book as (price, quantity), best first on both sides."""

    symbol: str
    bids: tuple[tuple[float, float], ...]
    asks: tuple[tuple[float, float], ...]
    time_ms: int


class Headline(NamedTuple):
    """A news headline and the pairs that it is about. ``time_ms``: when it was published."""

    id: str
    symbols: tuple[str, ...]
    title: str
    time_ms: int


def asset_of(contract: str) -> str:
    """The coin behind a futures contract's name: ``1000PEPEUSDT`` → ``PEPE``.

    A name of another form is returned as it is.
    """
    match = _CONTRACT.match(contract)
    return match[2] if match else contract


def coins_a_contract(contract: str) -> int:
    """How many coins the contract's price is for: 1000 for ``1000PEPEUSDT``."""
    match = _CONTRACT.match(contract)
    return _MULTIPLIERS[match[1] or ""] if match else 1
