"""The order desk: requests' parameters in, Binance's JSON out; shared by REST and WebSocket API."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable
from enum import StrEnum

from trading.model.order import OrderType
from trading.simulator.exchange import UNKNOWN_ORDER, SimulatedExchange
from trading.simulator.orders import (
    ExchangeRejection,
    NewOrder,
    OrderEvent,
    SimOrder,
    UserEvent,
)
from trading.simulator.server.faults import Faults
from trading.simulator.server.params import Params
from trading.simulator.server.rate_limits import RateLimiter
from trading.simulator.server.signatures import ApiKey
from trading.simulator.server.spot import order_wire
from trading.simulator.server.spot.order_request import (
    ResponseType,
    parse_order,
    parse_response_type,
    parse_routed,
)
from trading.simulator.server.wire import Json, num
from trading.simulator.server.wire_errors import WireError, mandatory, neither_sent

REMEMBERED_POSTS = 10_000
DOES_NOT_FIT = (-2039, "Client order ID is not correct for this order ID.")


class CancelRestriction(StrEnum):
    ONLY_NEW = "ONLY_NEW"
    ONLY_PARTIALLY_FILLED = "ONLY_PARTIALLY_FILLED"


class OrderDesk:
    """Places, amends and cancels the single orders of API keys' accounts."""

    def __init__(self, exchange: SimulatedExchange, limiter: RateLimiter, faults: Faults) -> None:
        self.exchange = exchange
        self.limiter = limiter
        self._faults = faults
        self._cancel_ids = itertools.count(1)
        self.received: deque[Json] = deque(maxlen=REMEMBERED_POSTS)
        exchange.add_user_listener(self._give_back_first_fills)

    def place(self, key: ApiKey, params: Params) -> Json:
        """A new order. Every post is remembered with its time of arrival, accepted or not."""
        return self._place(key, params, parse_order)

    def place_routed(self, key: ApiKey, params: Params) -> Json:
        return self._place(key, params, parse_routed)

    def _place(self, key: ApiKey, params: Params, parse: Callable[[Params], NewOrder]) -> Json:
        record = self.remember(key, params)
        order, response_type = parse(params), parse_response_type(params)
        params.check_all_read()
        self.limiter.check_orders(key.account_id)
        placed = self.exchange.submit(key.account_id, order)
        record["accepted"] = True
        if not placed.executions:
            self.limiter.count_order(key.account_id)
        return report(placed, response_type)

    def test(self, key: ApiKey, params: Params) -> Json:
        """All checks of a new order, and nothing else."""
        return self._test(key, params, parse_order)

    def test_routed(self, key: ApiKey, params: Params) -> Json:
        return self._test(key, params, parse_routed)

    def _test(self, key: ApiKey, params: Params, parse: Callable[[Params], NewOrder]) -> Json:
        order = parse(params)
        parse_response_type(params)
        with_fees = params.flag("computeCommissionRates")
        params.check_all_read()
        self.exchange.submit(key.account_id, order, test_only=True)
        return fees_for_test(self.exchange, key.account_id) if with_fees else {}

    def cancel(self, key: ApiKey, params: Params) -> Json:
        order_id, client_id = order_reference(params)
        answer = self.cancel_one(key, params, order_id, client_id, "newClientOrderId")
        params.check_all_read()
        return answer()

    def cancel_one(
        self,
        key: ApiKey,
        params: Params,
        order_id: int | None,
        client_id: str | None,
        cancel_id_name: str,
    ) -> Callable[[], Json]:
        """Read and check a cancel; what it returns carries it out. Raises WireError -2011."""
        symbol = params.required("symbol")
        restriction = params.choice(
            "cancelRestrictions",
            CancelRestriction,
            -1145,
            "Invalid cancelRestrictions",
        )
        cancel_id = params.client_id(cancel_id_name) or self.next_cancel_id()

        def carry_out() -> Json:
            if client_id is not None and self._faults.denies(client_id):
                raise ExchangeRejection(*UNKNOWN_ORDER)
            order = self._find_open(key, symbol, order_id, client_id)
            if restriction is not None and restriction.value != f"ONLY_{order.status.value}":
                raise WireError(-2011, "Order was not canceled due to cancel restrictions.")
            self.exchange.cancel(
                key.account_id,
                symbol,
                order_id=order.order_id,
                cancel_client_order_id=cancel_id,
            )
            return order_wire.canceled(order, cancel_id, order.updated_ms)

        return carry_out

    def amend(self, key: ApiKey, params: Params) -> Json:
        """Make an order smaller; it keeps its place."""
        symbol = params.required("symbol")
        order_id, client_id = order_reference(params)
        new_quantity = params.decimal("newQty")
        if new_quantity is None:
            raise mandatory("newQty")
        new_client_id = params.client_id("newClientOrderId")
        params.check_all_read()
        order = self.exchange.query(
            key.account_id, symbol, order_id=order_id, client_order_id=client_id
        )
        amendment = self.exchange.amend(order, new_quantity, new_client_id)
        return order_wire.amended(order, amendment)

    def next_cancel_id(self) -> str:
        return f"cancel-{next(self._cancel_ids)}"

    def remember(self, key: ApiKey, params: Params) -> Json:
        """Note that an order post has arrived; the caller notes its acceptance."""
        record = {
            "received_ms": time.time_ns() // 1_000_000,
            "received_monotonic_ns": time.monotonic_ns(),
            "account_id": key.account_id,
            "params": params.as_dict(),
            "accepted": False,
        }
        self.received.append(record)
        return record

    def _find_open(
        self, key: ApiKey, symbol: str, order_id: int | None, client_id: str | None
    ) -> SimOrder:
        self.exchange.tape(symbol)
        try:
            order = self.exchange.query(
                key.account_id, symbol, order_id=order_id, client_order_id=client_id
            )
        except ExchangeRejection as error:
            raise ExchangeRejection(*UNKNOWN_ORDER) from error
        if order.status.is_final:
            raise ExchangeRejection(*UNKNOWN_ORDER)
        return order

    def _give_back_first_fills(self, event: UserEvent) -> None:
        """The venue counts unfilled orders: a resting order's first fill gives its count back."""
        if not isinstance(event, OrderEvent) or event.execution is None:
            return
        if event.execution.is_maker and len(event.order.executions) == 1:
            self.limiter.count_order(event.account_id, -1)


def report(order: SimOrder, response_type: ResponseType | None) -> Json:
    """The answer to a new order, as asked for, or as its type gets it by default."""
    if response_type is None:
        answers_full = order.type in (OrderType.MARKET, OrderType.LIMIT)
        response_type = ResponseType.FULL if answers_full else ResponseType.ACK
    render = {
        ResponseType.ACK: order_wire.ack,
        ResponseType.RESULT: order_wire.result,
        ResponseType.FULL: order_wire.full,
    }[response_type]
    return render(order, order.updated_ms)


def order_reference(
    params: Params, id_name: str = "orderId", client_id_name: str = "origClientOrderId"
) -> tuple[int | None, str | None]:
    order_id, client_id = params.integer(id_name), params.text(client_id_name)
    if order_id is None and client_id is None:
        raise neither_sent(client_id_name, id_name)
    return order_id, client_id


def fees_for_test(exchange: SimulatedExchange, account_id: str) -> Json:
    """What order/test says of fees."""
    maker, taker = exchange.fee_rates(account_id)
    rates = {"maker": num(maker), "taker": num(taker)}
    none = {"maker": num(0), "taker": num(0)}
    return {
        "standardCommissionForOrder": rates,
        "specialCommissionForOrder": none,
        "taxCommissionForOrder": none,
        "discount": NO_DISCOUNT,
    }


NO_DISCOUNT: Json = {
    "enabledForAccount": False,
    "enabledForSymbol": False,
    "discountAsset": "BNB",
    "discount": num(0),
}
