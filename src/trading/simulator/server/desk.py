"""The order desk: requests' parameters in, Binance's JSON out; shared by REST and WebSocket API."""

from __future__ import annotations

import itertools
import time
from collections import deque
from enum import StrEnum

from trading.model.order import ZERO, Balance, OrderType
from trading.simulator.exchange import NO_SUCH_ORDER, UNKNOWN_ORDER, SimulatedExchange
from trading.simulator.orders import ExchangeRejection, OrderEvent, SimOrder, UserEvent
from trading.simulator.server import order_wire
from trading.simulator.server.faults import Faults
from trading.simulator.server.order_request import parse_order
from trading.simulator.server.order_wire import Json, num
from trading.simulator.server.params import Params
from trading.simulator.server.rate_limits import RateLimiter
from trading.simulator.server.signatures import ApiKey
from trading.simulator.server.wire_errors import WireError, invalid_data

REMEMBERED_POSTS = 10_000


class ResponseType(StrEnum):
    ACK = "ACK"
    RESULT = "RESULT"
    FULL = "FULL"


class CancelRestriction(StrEnum):
    ONLY_NEW = "ONLY_NEW"
    ONLY_PARTIALLY_FILLED = "ONLY_PARTIALLY_FILLED"


class OrderDesk:
    """Places, cancels and reports the orders of API keys' accounts."""

    def __init__(self, exchange: SimulatedExchange, limiter: RateLimiter, faults: Faults) -> None:
        self._exchange = exchange
        self._faults = faults
        self._limiter = limiter
        self._cancel_ids = itertools.count(1)
        self.received: deque[Json] = deque(maxlen=REMEMBERED_POSTS)
        exchange.add_user_listener(self._give_back_first_fills)

    def place(self, key: ApiKey, params: Params, *, test_only: bool = False) -> Json:
        """A new order. Every post is remembered with its time of arrival, accepted or not."""
        record = {
            "received_ms": time.time_ns() // 1_000_000,
            "received_monotonic_ns": time.monotonic_ns(),
            "account_id": key.account_id,
            "params": params.as_dict(),
            "accepted": False,
        }
        if not test_only:
            self.received.append(record)
        order = parse_order(params)
        response_type = params.choice(
            "newOrderRespType", ResponseType, -1130, invalid_data("newOrderRespType")
        )
        if not test_only:
            self._limiter.check_orders(key.account_id)
        placed = self._exchange.submit(key.account_id, order, test_only=test_only)
        if test_only:
            return {}
        record["accepted"] = True
        if not placed.executions:
            self._limiter.count_order(key.account_id)
        if response_type is None:
            answers_full = order.type in (OrderType.MARKET, OrderType.LIMIT)
            response_type = ResponseType.FULL if answers_full else ResponseType.ACK
        render = {
            ResponseType.ACK: order_wire.ack,
            ResponseType.RESULT: order_wire.result,
            ResponseType.FULL: order_wire.full,
        }[response_type]
        return render(placed, placed.updated_ms)

    def cancel(self, key: ApiKey, params: Params) -> Json:
        symbol = params.required("symbol")
        order_id, client_id = _order_reference(params)
        if client_id is not None and self._faults.denies(client_id):
            raise ExchangeRejection(*UNKNOWN_ORDER)
        restriction = params.choice(
            "cancelRestrictions",
            CancelRestriction,
            -1145,
            "Invalid cancelRestrictions has to be either ONLY_NEW or ONLY_PARTIALLY_FILLED.",
        )
        if restriction is not None:
            self._check_restriction(key, symbol, order_id, client_id, restriction)
        cancel_id = params.client_id("newClientOrderId") or f"cancel-{next(self._cancel_ids)}"
        order = self._exchange.cancel(
            key.account_id,
            symbol,
            order_id=order_id,
            client_order_id=client_id,
            cancel_client_order_id=cancel_id,
        )
        return order_wire.canceled(order, cancel_id, order.updated_ms)

    def cancel_all(self, key: ApiKey, params: Params) -> list[Json]:
        orders = self._exchange.cancel_all(key.account_id, params.required("symbol"))
        return [
            order_wire.canceled(order, f"cancel-{next(self._cancel_ids)}", order.updated_ms)
            for order in orders
        ]

    def status(self, key: ApiKey, params: Params) -> Json:
        order_id, client_id = _order_reference(params)
        if client_id is not None and self._faults.denies(client_id):
            raise ExchangeRejection(*NO_SUCH_ORDER)
        order = self._exchange.query(
            key.account_id,
            params.required("symbol"),
            order_id=order_id,
            client_order_id=client_id,
        )
        return order_wire.status(order)

    def open_orders(self, key: ApiKey, params: Params) -> list[Json]:
        orders = self._exchange.open_orders(key.account_id, params.text("symbol"))
        denies = self._faults.denies
        return [order_wire.status(order) for order in orders if not denies(order.client_order_id)]

    def all_orders(self, key: ApiKey, params: Params) -> list[Json]:
        orders = self._in_window(key, params)
        first_id = params.integer("orderId")
        if first_id is not None:
            orders = [order for order in orders if order.order_id >= first_id]
        limit = params.limit(500, 1000)
        chosen = orders[:limit] if "startTime" in params or first_id else orders[-limit:]
        return [order_wire.status(order) for order in chosen]

    def my_trades(self, key: ApiKey, params: Params) -> list[Json]:
        orders = self._exchange.all_orders(key.account_id, params.required("symbol"))
        order_id = params.integer("orderId")
        start, end = params.integer("startTime"), params.integer("endTime")
        first_id = params.integer("fromId")
        rows = [
            row
            for order in orders
            if order_id in (None, order.order_id)
            for row in order_wire.trades(order)
            if (start is None or row["time"] >= start)
            and (end is None or row["time"] <= end)
            and (first_id is None or row["id"] >= first_id)
        ]
        rows.sort(key=lambda row: int(row["id"]))
        limit = params.limit(500, 1000)
        return rows[:limit] if start is not None or first_id is not None else rows[-limit:]

    def account(self, key: ApiKey, params: Params) -> Json:
        balances = self._all_balances(key.account_id)
        config = self._exchange.config
        maker, taker = config.maker_fee_rate, config.taker_fee_rate
        omit_zero = params.text("omitZeroBalances") == "true"
        return {
            "makerCommission": int(maker * 10_000),
            "takerCommission": int(taker * 10_000),
            "buyerCommission": 0,
            "sellerCommission": 0,
            "commissionRates": {
                "maker": num(maker),
                "taker": num(taker),
                "buyer": num(0),
                "seller": num(0),
            },
            "canTrade": True,
            "canWithdraw": key.can_withdraw or config.can_withdraw,
            "canDeposit": True,
            "brokered": False,
            "requireSelfTradePrevention": False,
            "preventSor": False,
            "updateTime": self._exchange.clock.now_ms(),
            "accountType": "SPOT",
            "balances": [
                {"asset": b.asset, "free": num(b.free), "locked": num(b.locked)}
                for b in balances
                if b.total or not omit_zero
            ],
            "permissions": ["SPOT"],
            "uid": 1,
        }

    def _all_balances(self, account_id: str) -> list[Balance]:
        """Held assets, then every other asset of the listed pairs at zero."""
        held = self._exchange.balances(account_id)
        listed = self._exchange.instruments.values()
        assets = {asset for pair in listed for asset in (pair.base_asset, pair.quote_asset)}
        zeros = (Balance(asset=name, free=ZERO, locked=ZERO) for name in sorted(assets - {*held}))
        return [*held.values(), *zeros]

    def _in_window(self, key: ApiKey, params: Params) -> list[SimOrder]:
        start, end = params.integer("startTime"), params.integer("endTime")
        return [
            order
            for order in self._exchange.all_orders(key.account_id, params.required("symbol"))
            if (start is None or order.created_ms >= start)
            and (end is None or order.created_ms <= end)
        ]

    def _check_restriction(
        self,
        key: ApiKey,
        symbol: str,
        order_id: int | None,
        client_id: str | None,
        restriction: CancelRestriction,
    ) -> None:
        try:
            order = self._exchange.query(
                key.account_id, symbol, order_id=order_id, client_order_id=client_id
            )
        except ExchangeRejection as error:
            raise WireError(-2011, "Unknown order sent.") from error
        if restriction.value != f"ONLY_{order.status.value}":
            raise WireError(-2011, "Order was not canceled due to cancel restrictions.")

    def _give_back_first_fills(self, event: UserEvent) -> None:
        """The venue counts unfilled orders: a resting order's first fill gives its count back."""
        if not isinstance(event, OrderEvent) or event.execution is None:
            return
        if event.execution.is_maker and len(event.order.executions) == 1:
            self._limiter.count_order(event.account_id, -1)


def _order_reference(params: Params) -> tuple[int | None, str | None]:
    order_id, client_id = params.integer("orderId"), params.text("origClientOrderId")
    if order_id is None and client_id is None:
        raise WireError(
            -1102,
            "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!",
        )
    return order_id, client_id
