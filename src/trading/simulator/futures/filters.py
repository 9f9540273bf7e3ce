"""exchangeInfo filters of futures, with the codes and words of their own that futures have."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from trading.model.order import OrderType, Side
from trading.simulator.futures.contracts import Contract
from trading.simulator.futures.matching import FuturesEngine
from trading.simulator.futures.orders import FuturesOrder, PriceMatch
from trading.simulator.orders import ExchangeRejection

PERCENT_UP = Decimal("1.05")
PERCENT_DOWN = Decimal("0.95")
MAX_OPEN_ORDERS = 200


def check_order(
    order: FuturesOrder, contract: Contract, mark: Decimal, open_orders: Sequence[FuturesOrder]
) -> None:
    """Apply every filter. Raises ExchangeRejection."""
    if len(open_orders) >= MAX_OPEN_ORDERS:
        raise ExchangeRejection(-2025, "Reach max open order limit.")
    _check_quantity(order, contract)
    if order.limit_price is not None:
        _check_price(order.limit_price, order.side, contract, mark)
    notional = order.quantity * (order.limit_price or mark)
    least = contract.instrument.min_notional
    if notional < least and not order.only_closes:
        raise ExchangeRejection(
            -4164,
            f"Order's notional must be no smaller than {least} (unless you choose reduce only).",
        )


def check_price_step(price: Decimal, contract: Contract) -> None:
    """PRICE_FILTER. Raises ExchangeRejection."""
    if price <= 0:
        raise ExchangeRejection(-4001, "Price less than 0.")
    if price % contract.instrument.tick_size:
        raise ExchangeRejection(-4014, "Price not increased by tick size.")


def price_from_book(engine: FuturesEngine, side: Side, match: PriceMatch) -> Decimal:
    """The price that ``match`` stands for."""
    is_queue = match.value.startswith("QUEUE")
    return engine.price_at(side if is_queue else side.opposite, match.level)


def _check_quantity(order: FuturesOrder, contract: Contract) -> None:
    instrument = contract.instrument
    if order.quantity <= 0:
        raise ExchangeRejection(-4003, "Quantity less than zero.")
    if order.quantity < instrument.min_quantity:
        raise ExchangeRejection(-4004, "Quantity less than min quantity.")
    is_market = order.type is OrderType.MARKET
    most = contract.max_market_quantity if is_market else instrument.max_quantity
    if order.quantity > most:
        raise ExchangeRejection(-4005, "Quantity greater than max quantity.")
    if order.quantity % instrument.step_size:
        raise ExchangeRejection(-4023, "Qty not increased by step size.")


def _check_price(price: Decimal, side: Side, contract: Contract, mark: Decimal) -> None:
    check_price_step(price, contract)
    highest, lowest = mark * PERCENT_UP, mark * PERCENT_DOWN
    if side is Side.BUY and price > highest:
        raise ExchangeRejection(-4016, f"Limit price can't be higher than {highest:.2f}.")
    if side is Side.SELL and price < lowest:
        raise ExchangeRejection(-4024, f"Limit price can't be lower than {lowest:.2f}.")
