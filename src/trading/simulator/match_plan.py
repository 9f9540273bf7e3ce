"""What an order would get now: a plan of executions, nothing changed yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from trading.model.market import Instrument
from trading.model.order import ZERO, OrderType, Side
from trading.simulator.orders import SimOrder
from trading.simulator.resting_orders import RestingOrders
from trading.simulator.self_trade import DECREMENTS, ENDS_TAKER
from trading.simulator.synthetic_book import Level, MarketBook

MARKET_LIKE = (OrderType.MARKET, OrderType.STOP_LOSS, OrderType.TAKE_PROFIT)


@dataclass(slots=True)
class Match:
    """One planned execution against a synthetic level or a resting order of an account."""

    price: Decimal
    quantity: Decimal
    level: Level | None = None
    maker: SimOrder | None = None

    def is_with(self, taker: SimOrder) -> bool:
        """Whether the order would trade with its own account."""
        return self.maker is not None and self.maker.account_id == taker.account_id


class Planner:
    """Walks the synthetic book and the accounts' orders together, best price first."""

    def __init__(
        self,
        instrument: Instrument,
        book: MarketBook,
        resting: RestingOrders,
        budget: Callable[[SimOrder], Decimal | None],
    ) -> None:
        """``budget``: quote asset that a taker may spend; None where its quantity decides."""
        self._instrument = instrument
        self._book = book
        self._resting = resting
        self._budget = budget

    def plan(self, order: SimOrder) -> list[Match]:
        """Executions that ``order`` would get now, prevented ones among them."""
        opposite = order.side.opposite
        offers = [Match(lvl.price, lvl.quantity, level=lvl) for lvl in self._book.side(opposite)]
        offers += [
            Match(price, quantity, maker=maker)
            for price, quantity, maker in self._resting.offers(opposite)
        ]
        sign = 1 if order.side is Side.BUY else -1
        offers.sort(key=lambda offer: sign * offer.price)
        budget = self._budget(order)
        remaining = order.remaining if order.quote_quantity is None else None
        plan: list[Match] = []
        for offer in offers:
            if order.limit_price is not None and (offer.price - order.limit_price) * sign > 0:
                break
            if offer.is_with(order) and order.self_trade_mode not in DECREMENTS:
                plan.append(offer)
                if order.self_trade_mode in ENDS_TAKER:
                    break
                continue
            quantity = offer.quantity if remaining is None else min(offer.quantity, remaining)
            if budget is not None:
                quantity = min(quantity, self._instrument.round_quantity_down(budget / offer.price))
                budget -= quantity * offer.price
            if quantity <= 0:
                continue
            offer.quantity = quantity
            plan.append(offer)
            if remaining is not None:
                remaining -= quantity
                if remaining == 0:
                    break
        return plan

    def fillable(self, order: SimOrder, plan: list[Match]) -> Decimal:
        """How much of ``plan`` are trades: what self-trade prevention takes out is none."""
        return sum((match.quantity for match in plan if not match.is_with(order)), ZERO)
