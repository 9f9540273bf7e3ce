"""Rules about the market of the pair: how wild, how thin, how dear. No figure, no entry."""

from __future__ import annotations

import math
from decimal import Decimal

from trading.model.market import Book
from trading.model.order import ZERO
from trading.risk.entry_facts import HUNDRED, EntryFacts
from trading.risk.risk_config import RiskConfig
from trading.risk.rule import Breach, Rule, decimal_of

UNKNOWN = "unknown"


def _volatility(facts: EntryFacts, config: RiskConfig) -> Breach | None:
    value = facts.market.volatility_pct
    if value is not None and value <= config.max_volatility_pct:
        return None
    return Breach(str(config.max_volatility_pct), UNKNOWN if value is None else f"{value:.3f}")


def _share_of_volume(facts: EntryFacts, config: RiskConfig) -> Breach | None:
    limit = str(config.max_share_of_volume_pct)
    volume = facts.market.quote_volume_1h
    if volume is None or not math.isfinite(volume) or volume <= 0:
        return Breach(limit, UNKNOWN, "nothing is known to have traded in the last hour")
    share_pct = facts.order.notional / decimal_of(volume) * HUNDRED
    if share_pct <= decimal_of(config.max_share_of_volume_pct):
        return None
    return Breach(limit, f"{share_pct:.2f}", f"{volume:.0f} traded in the last hour")


def _spread(facts: EntryFacts, config: RiskConfig) -> Breach | None:
    limit = str(config.max_spread_pct)
    book = facts.market.book
    mid = book.mid if book is not None else None
    if book is None or mid is None:
        return Breach(limit, UNKNOWN, "the order book is not to be had, or one-sided")
    spread_pct = (book.asks[0].price - book.bids[0].price) / mid * HUNDRED
    if spread_pct <= decimal_of(config.max_spread_pct):
        return None
    return Breach(limit, f"{spread_pct:.3f}")


def _slippage(facts: EntryFacts, config: RiskConfig) -> Breach | None:
    """What an order that takes liquidity would pay above the last price, by the book as it is."""
    order, book = facts.order, facts.market.book
    if not order.takes_liquidity:
        return None
    limit = str(config.max_slippage_pct)
    if book is None or not book.asks:
        return Breach(limit, UNKNOWN, "nothing is offered")
    average = average_ask(book, order.quantity)
    if average is None:
        return Breach(limit, UNKNOWN, "the book is too thin for the whole quantity")
    slippage_pct = (average - order.last_price) / order.last_price * HUNDRED
    if slippage_pct <= decimal_of(config.max_slippage_pct):
        return None
    return Breach(limit, f"{slippage_pct:.3f}")


def average_ask(book: Book, quantity: Decimal) -> Decimal | None:
    """Mean price of buying ``quantity`` from the book as it is; None when it does not reach."""
    left, cost = quantity, ZERO
    for level in book.asks:
        taken = min(left, level.quantity)
        cost += taken * level.price
        left -= taken
        if left <= 0:
            return cost / quantity
    return None


MARKET_RULES: tuple[Rule[EntryFacts], ...] = (
    Rule("max_volatility_pct", _volatility),
    Rule("max_share_of_volume_pct", _share_of_volume),
    Rule("max_spread_pct", _spread),
    Rule("max_slippage_pct", _slippage),
)
