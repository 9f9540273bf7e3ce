"""exchangeInfo filters, checked before an order reaches the engine. All failures are -1013."""

from __future__ import annotations

from decimal import Decimal

from trading.model.market import Instrument
from trading.model.order import OrderType
from trading.simulator.config import OrderFilterConfig
from trading.simulator.orders import ExchangeRejection, NewOrder


def _fail(filter_name: str) -> ExchangeRejection:
    return ExchangeRejection(-1013, f"Filter failure: {filter_name}")


def check_price(price: Decimal, instrument: Instrument) -> None:
    """PRICE_FILTER: positive and on the tick grid."""
    if price <= 0 or price % instrument.tick_size != 0:
        raise _fail("PRICE_FILTER")


def check_lot_size(quantity: Decimal, instrument: Instrument) -> None:
    """LOT_SIZE: between the bounds and on the step grid."""
    if not instrument.min_quantity <= quantity <= instrument.max_quantity:
        raise _fail("LOT_SIZE")
    if quantity <= 0 or quantity % instrument.step_size != 0:
        raise _fail("LOT_SIZE")


def check_notional(notional: Decimal, instrument: Instrument, config: OrderFilterConfig) -> None:
    if not instrument.min_notional <= notional <= config.max_notional:
        raise _fail("NOTIONAL")


def check_order(
    order: NewOrder,
    instrument: Instrument,
    config: OrderFilterConfig,
    *,
    reference_price: Decimal,
    open_orders: int,
    open_trigger_orders: int,
) -> None:
    """Apply every filter. ``reference_price`` is the 5 min VWAP. Raises ExchangeRejection."""
    for price in (order.limit_price, order.trigger_price):
        if price is not None:
            check_price(price, instrument)
    if order.limit_price is not None:
        low = reference_price * config.price_multiplier_down
        high = reference_price * config.price_multiplier_up
        if not low <= order.limit_price <= high:
            raise _fail("PERCENT_PRICE_BY_SIDE")
    if order.quantity is not None:
        check_lot_size(order.quantity, instrument)
        price = order.limit_price or order.trigger_price or reference_price
        notional = order.quantity * price
        if order.type is OrderType.MARKET:
            # applyMaxToMarket is false on the venue: only the lower bound counts.
            notional = min(notional, config.max_notional)
        check_notional(notional, instrument, config)
    elif order.quote_quantity is not None:
        check_notional(min(order.quote_quantity, config.max_notional), instrument, config)
    if open_orders >= config.max_open_orders:
        raise _fail("MAX_NUM_ORDERS")
    if order.type.has_trigger and open_trigger_orders >= config.max_open_trigger_orders:
        raise _fail("MAX_NUM_ALGO_ORDERS")
