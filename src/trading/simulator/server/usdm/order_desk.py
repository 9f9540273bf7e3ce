"""The order desk of futures: parameters in, Binance's JSON out."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import orjson

from trading.simulator.futures.exchange import NO_SUCH_ORDER, UNKNOWN_ORDER, FuturesExchange
from trading.simulator.futures.orders import FuturesOrder
from trading.simulator.orders import ExchangeRejection
from trading.simulator.server.faults import Faults
from trading.simulator.server.params import LooseParams, Params
from trading.simulator.server.rate_limits import RateLimiter
from trading.simulator.server.signatures import ApiKey
from trading.simulator.server.usdm import order_wire
from trading.simulator.server.usdm.countdown import Countdowns
from trading.simulator.server.usdm.order_request import (
    ResponseType,
    parse_order,
    parse_price_match,
    parse_response_type,
    precise,
)
from trading.simulator.server.wire import Json
from trading.simulator.server.wire_errors import WireError, invalid_data, mandatory, neither_sent

REMEMBERED_POSTS = 10_000
MOST_IN_BATCH = 5
MOST_CANCELED_IN_BATCH = 10
ALL_CANCELED = "The operation of cancel all open order is done."


class OrderDesk:
    """Places, modifies and cancels the orders of API keys' accounts."""

    def __init__(
        self,
        exchange: FuturesExchange,
        limiter: RateLimiter,
        faults: Faults,
        countdowns: Countdowns,
    ) -> None:
        self.exchange = exchange
        self._limiter = limiter
        self._faults = faults
        self._countdowns = countdowns
        self.received: deque[Json] = deque(maxlen=REMEMBERED_POSTS)

    def place(self, key: ApiKey, params: Params) -> Json:
        """A new order. Every post is remembered with its time of arrival, accepted or not."""
        record = self._remember(key, params)
        self._limiter.check_orders(key.account_id)
        order, response_type = self._submit(key, params)
        record["accepted"] = True
        contract = self.exchange.contracts[order.symbol]
        if response_type is ResponseType.ACK:
            return order_wire.acknowledged(order, contract)
        return order_wire.answer(order, contract)

    def test(self, key: ApiKey, params: Params) -> Json:
        """All checks of a new order, and nothing else."""
        order, _response_type = self._submit(key, params, test_only=True)
        contract = self.exchange.contracts[order.symbol]
        row = order_wire.acknowledged(order, contract)
        return row | {"orderId": 0, "cumQuote": "0", "avgPrice": contract.price_text(None)}

    def place_many(self, key: ApiKey, params: Params) -> list[Json]:
        """Up to five orders, each accepted or refused on its own."""
        return [self._one_of_many(self.place, key, each) for each in _batch(params)]

    def modify(self, key: ApiKey, params: Params) -> Json:
        """Change price and quantity of a limit order."""
        order = self._referred(key, params, NO_SUCH_ORDER)
        contract = self.exchange.contracts[order.symbol]
        if params.required("side") != order.side.value:
            raise ExchangeRejection(*NO_SUCH_ORDER)
        quantity = precise(params, "quantity", contract.quantity_decimals)
        price = precise(params, "price", contract.price_decimals)
        match = parse_price_match(params)
        modify_id = params.integer("modifyId")
        if quantity is None:
            raise mandatory("quantity")
        if price is None and match.value == "NONE":
            raise mandatory("price")
        self._limiter.check_orders(key.account_id)
        self.exchange.modify(order, price, quantity, match, modify_id)
        self._limiter.count_order(key.account_id)
        row = order_wire.answer(order, contract) | {"pair": order.symbol}
        return row if modify_id is None else row | {"modifyId": modify_id}

    def modify_many(self, key: ApiKey, params: Params) -> list[Json]:
        return [self._one_of_many(self.modify, key, each) for each in _batch(params)]

    def cancel(self, key: ApiKey, params: Params) -> Json:
        order = self._referred(key, params, UNKNOWN_ORDER)
        self.exchange.cancel(order)
        return order_wire.answer(order, self.exchange.contracts[order.symbol])

    def cancel_many(self, key: ApiKey, params: Params) -> list[Json]:
        """Up to ten orders by their ids, or by client ids."""
        symbol = params.required("symbol")
        for name, single in (
            ("orderIdList", "orderId"),
            ("origClientOrderIdList", "origClientOrderId"),
        ):
            ids = _json_list(params, name)
            if ids is not None:
                if not 1 <= len(ids) <= MOST_CANCELED_IN_BATCH:
                    raise WireError(-4084, f"Invalid {name}: 1 to {MOST_CANCELED_IN_BATCH} ids.")
                each = (LooseParams({"symbol": symbol, single: str(one)}) for one in ids)
                return [self._one_of_many(self.cancel, key, one) for one in each]
        raise mandatory("orderIdList")

    def cancel_all(self, key: ApiKey, params: Params) -> Json:
        self.exchange.cancel_all(key.account_id, params.required("symbol"))
        return {"code": 200, "msg": ALL_CANCELED}

    def countdown(self, key: ApiKey, params: Params) -> Json:
        """Cancel all orders on a contract unless asked again in time."""
        symbol, countdown_ms = params.required("symbol"), params.integer("countdownTime")
        if countdown_ms is None:
            raise mandatory("countdownTime")
        self.exchange.contract(symbol)
        self._countdowns.start(key.account_id, symbol, countdown_ms)
        return {"symbol": symbol, "countdownTime": str(countdown_ms)}

    def query(self, key: ApiKey, params: Params) -> Json:
        client_id = params.text("origClientOrderId")
        if client_id is not None and self._faults.denies(client_id):
            raise ExchangeRejection(*NO_SUCH_ORDER)
        order = self._referred(key, params, NO_SUCH_ORDER)
        return order_wire.queried(order, self.exchange.contracts[order.symbol])

    def query_open(self, key: ApiKey, params: Params) -> Json:
        order = self._referred(key, params, NO_SUCH_ORDER)
        if order.status.is_final or self._faults.denies(order.client_order_id):
            raise ExchangeRejection(*NO_SUCH_ORDER)
        return order_wire.queried(order, self.exchange.contracts[order.symbol])

    def open_orders(self, key: ApiKey, params: Params) -> list[Json]:
        symbol = params.text("symbol")
        if symbol is not None:
            self.exchange.contract(symbol)
        return [
            order_wire.queried(order, self.exchange.contracts[order.symbol])
            for order in self.exchange.open_orders(key.account_id, symbol)
            if not self._faults.denies(order.client_order_id)
        ]

    # Inside --------------------------------------------------------------------------------

    def _submit(
        self, key: ApiKey, params: Params, *, test_only: bool = False
    ) -> tuple[FuturesOrder, ResponseType]:
        contract = self.exchange.contract(params.required("symbol"))
        wanted = parse_order(params, contract, self._faults.wall_ms())
        response_type = parse_response_type(params)
        order = self.exchange.submit(key.account_id, wanted, test_only=test_only)
        if not test_only:
            self._limiter.count_order(key.account_id)
        return order, response_type

    def _referred(self, key: ApiKey, params: Params, otherwise: tuple[int, str]) -> FuturesOrder:
        """The order that orderId or origClientOrderId names. Raises ExchangeRejection."""
        symbol = params.required("symbol")
        order_id, client_id = params.integer("orderId"), params.text("origClientOrderId")
        if order_id is None and client_id is None:
            raise neither_sent("origClientOrderId", "orderId")
        order = self.exchange.find(key.account_id, symbol, order_id, client_id)
        if order is None:
            raise ExchangeRejection(*otherwise)
        return order

    def _one_of_many(
        self, act: Callable[[ApiKey, Params], Json], key: ApiKey, params: Params
    ) -> Json:
        try:
            return act(key, params)
        except (WireError, ExchangeRejection) as error:
            return {"code": error.code, "msg": error.message}

    def _remember(self, key: ApiKey, params: Params) -> Json:
        record = {
            "received_ms": time.time_ns() // 1_000_000,
            "received_monotonic_ns": time.monotonic_ns(),
            "account_id": key.account_id,
            "params": params.as_dict(),
            "accepted": False,
        }
        self.received.append(record)
        return record


def _batch(params: Params) -> list[Params]:
    """The parameters of each order in ``batchOrders``. Raises WireError."""
    rows = _json_list(params, "batchOrders")
    if rows is None:
        raise mandatory("batchOrders")
    if not 1 <= len(rows) <= MOST_IN_BATCH:
        raise WireError(-4082, "Invalid number of batch place orders.")
    if not all(isinstance(row, dict) for row in rows):
        raise WireError(-1130, invalid_data("batchOrders"))
    return [LooseParams({name: _text(value) for name, value in row.items()}) for row in rows]


def _json_list(params: Params, name: str) -> list[Any] | None:
    text = params.text(name)
    if text is None:
        return None
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, list):
        raise WireError(-1130, invalid_data(name))
    return found


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):  # as JSON has it: 1e-05 is a number there, in a form it is not
        return f"{Decimal(repr(value)):f}"
    return str(value)
