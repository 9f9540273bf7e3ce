"""exchangeInfo filters, checked before an order reaches the engine. All failures are -1013."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

from trading.model.market import Instrument
from trading.model.order import ZERO, OrderType, Side
from trading.simulator.config import OrderFilterConfig
from trading.simulator.orders import ExchangeRejection, NewOrder, SimOrder


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What filters look at besides the order itself.

    ``reference_price`` is the 5 min VWAP, ``open_orders`` the account's on the symbol, ``held`` its
    free and locked base asset.
    """

    reference_price: Decimal
    open_orders: Sequence[SimOrder]
    held: Decimal


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


def max_market_quantity(instrument: Instrument, config: OrderFilterConfig) -> Decimal:
    """The largest market order."""
    return instrument.round_quantity_down(instrument.max_quantity * config.market_quantity_share)


def check_order(
    order: NewOrder, instrument: Instrument, config: OrderFilterConfig, around: Surroundings
) -> None:
    """Apply every filter to one order. Raises ExchangeRejection."""
    _check_prices(order, instrument, config, around.reference_price)
    _check_quantities(order, instrument, config)
    _check_value(order, instrument, config, around.reference_price)
    check_counts((order,), config, around)


def check_counts(
    orders: Sequence[NewOrder], config: OrderFilterConfig, around: Surroundings
) -> None:
    """MAX_NUM_ORDERS, MAX_NUM_ALGO_ORDERS and MAX_POSITION, for orders that come together."""
    if len(around.open_orders) + len(orders) > config.max_open_orders:
        raise _fail("MAX_NUM_ORDERS")
    triggers = sum(order.type.has_trigger for order in orders)
    waiting = sum(order.waits_for_trigger for order in around.open_orders)
    if triggers and waiting + triggers > config.max_open_trigger_orders:
        raise _fail("MAX_NUM_ALGO_ORDERS")
    if config.max_position is None:
        return
    wanted = max((o.quantity or ZERO for o in orders if o.side is Side.BUY), default=ZERO)
    if wanted:
        ordered = sum((o.remaining for o in around.open_orders if o.side is Side.BUY), ZERO)
        if around.held + ordered + wanted > config.max_position:
            raise _fail("MAX_POSITION")


def _check_prices(
    order: NewOrder, instrument: Instrument, config: OrderFilterConfig, reference: Decimal
) -> None:
    for price in (order.limit_price, order.trigger_price):
        if price is not None:
            check_price(price, instrument)
    if order.limit_price is not None:
        low = reference * config.price_multiplier_down
        high = reference * config.price_multiplier_up
        if not low <= order.limit_price <= high:
            raise _fail("PERCENT_PRICE_BY_SIDE")
    delta = order.trailing_delta
    if delta is not None and not config.min_trailing_delta <= delta <= config.max_trailing_delta:
        raise _fail("TRAILING_DELTA")


def _check_quantities(order: NewOrder, instrument: Instrument, config: OrderFilterConfig) -> None:
    if order.quantity is None:
        return
    check_lot_size(order.quantity, instrument)
    if order.type is OrderType.MARKET and order.quantity > max_market_quantity(instrument, config):
        raise _fail("MARKET_LOT_SIZE")
    if order.iceberg_quantity is not None:
        check_lot_size(order.iceberg_quantity, instrument)
        parts = (order.quantity / order.iceberg_quantity).to_integral_value(ROUND_CEILING)
        if parts > config.max_iceberg_parts:
            raise _fail("ICEBERG_PARTS")


def _check_value(
    order: NewOrder, instrument: Instrument, config: OrderFilterConfig, reference: Decimal
) -> None:
    # applyMaxToMarket is false on the venue: for market orders only the lower bound counts.
    if order.quote_quantity is not None:
        check_notional(min(order.quote_quantity, config.max_notional), instrument, config)
    if order.quantity is not None:
        price = order.limit_price or order.trigger_price or reference
        notional = order.quantity * price
        if order.type is OrderType.MARKET:
            notional = min(notional, config.max_notional)
        check_notional(notional, instrument, config)
