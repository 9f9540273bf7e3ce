"""Order lists: OCO, OTO, OTOCO, OPO and OPOCO from parameters to Binance's JSON."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from trading.simulator.exchange import UNKNOWN_ORDER
from trading.simulator.order_lists import NewOrderList, OrderList
from trading.simulator.orders import ExchangeRejection
from trading.simulator.server.params import Params
from trading.simulator.server.signatures import ApiKey
from trading.simulator.server.spot import order_wire
from trading.simulator.server.spot.desk import OrderDesk, report
from trading.simulator.server.spot.order_request import (
    ResponseType,
    parse_oco,
    parse_old_oco,
    parse_opo,
    parse_opoco,
    parse_oto,
    parse_otoco,
    parse_response_type,
)
from trading.simulator.server.wire import Json
from trading.simulator.server.wire_errors import WireError, bad_combination, neither_sent

NO_SUCH_LIST = (-2018, "Order list does not exist.")


class ListDesk:
    """Places, cancels and reports order lists on behalf of an ``OrderDesk``."""

    def __init__(self, desk: OrderDesk) -> None:
        self._desk = desk
        self.place_oco = partial(self._place, parse_oco)
        self.place_old_oco = partial(self._place, parse_old_oco)
        self.place_oto = partial(self._place, parse_oto)
        self.place_otoco = partial(self._place, parse_otoco)
        self.place_opo = partial(self._place, parse_opo)
        self.place_opoco = partial(self._place, parse_opoco)

    def cancel(self, key: ApiKey, params: Params) -> Json:
        """Cancel every order of a list."""
        symbol = params.required("symbol")
        order_list = self._find(key, params, ExchangeRejection(*UNKNOWN_ORDER))
        cancel_id = params.client_id("newClientOrderId") or self._desk.next_cancel_id()
        params.check_all_read()
        if order_list.done or order_list.symbol != symbol:
            raise ExchangeRejection(*UNKNOWN_ORDER)
        first = next(order for order in order_list.orders if not order.status.is_final)
        self._desk.exchange.cancel(
            key.account_id, symbol, order_id=first.order_id, cancel_client_order_id=cancel_id
        )
        return canceled_list(order_list, cancel_id)

    def cancel_all(self, key: ApiKey, params: Params) -> list[Json]:
        """Cancel all open orders of a pair; lists are answered as lists."""
        symbol = params.required("symbol")
        params.check_all_read()
        next_id = self._desk.next_cancel_id
        orders = self._desk.exchange.cancel_all(key.account_id, symbol, next_id)
        lists = {found.list_id: found for found in self._desk.exchange.order_lists(key.account_id)}
        answers: list[Json] = []
        for order in orders:
            cancel_id = order.cancel_client_order_id or ""
            if order.list_id is None:
                answers.append(order_wire.canceled(order, cancel_id, order.updated_ms))
            elif (order_list := lists.pop(order.list_id, None)) is not None:
                answers.append(canceled_list(order_list, cancel_id))
        return answers

    def status(self, key: ApiKey, params: Params) -> Json:
        missing = WireError(*NO_SUCH_LIST)
        return order_wire.list_head(self._find(key, params, missing, "origClientOrderId"))

    def open(self, key: ApiKey, _params: Params) -> list[Json]:
        lists = self._desk.exchange.order_lists(key.account_id)
        return [order_wire.list_head(each) for each in lists if not each.done]

    def all(self, key: ApiKey, params: Params) -> list[Json]:
        """The newest lists, or the oldest from a start on."""
        start, end = params.time_ms("startTime"), params.time_ms("endTime")
        first_id = params.integer("fromId")
        if first_id is not None and {start, end} != {None}:
            raise bad_combination()
        lists = [
            each
            for each in self._desk.exchange.order_lists(key.account_id)
            if (start is None or each.updated_ms >= start)
            and (end is None or each.updated_ms <= end)
            and (first_id is None or each.list_id >= first_id)
        ]
        limit = params.limit(500, 1000)
        from_start = start is not None or first_id is not None
        return [order_wire.list_head(e) for e in (lists[:limit] if from_start else lists[-limit:])]

    def _place(self, parse: Callable[[Params], NewOrderList], key: ApiKey, params: Params) -> Json:
        record = self._desk.remember(key, params)
        wanted, response_type = parse(params), parse_response_type(params)
        params.check_all_read()
        count = len(wanted.pair) + (wanted.working is not None)
        self._desk.limiter.check_orders(key.account_id, count)
        placed = self._desk.exchange.submit_list(key.account_id, wanted)
        record["accepted"] = True
        self._desk.limiter.count_order(
            key.account_id, sum(not order.executions for order in placed.orders)
        )
        reports = [report(order, response_type or ResponseType.RESULT) for order in placed.orders]
        return order_wire.list_head(placed) | {"orderReports": reports}

    def _find(
        self,
        key: ApiKey,
        params: Params,
        missing: Exception,
        client_id_name: str = "listClientOrderId",
    ) -> OrderList:
        list_id, client_id = params.integer("orderListId"), params.text(client_id_name)
        if list_id is None and client_id is None:
            raise neither_sent(client_id_name, "orderListId")
        for found in reversed(self._desk.exchange.order_lists(key.account_id)):
            by_id = list_id in (None, found.list_id)
            if by_id and client_id in (None, found.client_order_id):
                return found
        raise missing


def canceled_list(order_list: OrderList, cancel_id: str) -> Json:
    reports = [
        order_wire.canceled(order, cancel_id, order.updated_ms) for order in order_list.orders
    ]
    return order_wire.list_head(order_list) | {"orderReports": reports}
