"""What happened to a futures account: orders, trades, income, liquidations."""

from __future__ import annotations

from trading.simulator.futures.exchange import NO_SUCH_ORDER, FuturesExchange
from trading.simulator.orders import ExchangeRejection
from trading.simulator.server.params import Params
from trading.simulator.server.signatures import ApiKey
from trading.simulator.server.usdm import order_wire
from trading.simulator.server.usdm.windows import SEVEN_DAYS_MS, chosen, window, within
from trading.simulator.server.wire import Json, num
from trading.simulator.server.wire_errors import WireError, invalid_data


class HistoryDesk:
    """Lists, oldest first."""

    def __init__(self, exchange: FuturesExchange) -> None:
        self._exchange = exchange

    def orders(self, key: ApiKey, params: Params) -> list[Json]:
        symbol, first_id = self._symbol(params), params.integer("orderId")
        start, end = window(params, SEVEN_DAYS_MS)
        found = [
            order
            for order in self._exchange.all_orders(key.account_id, symbol)
            if within(order.created_ms, start, end)
            and (first_id is None or order.order_id >= first_id)
        ]
        from_start = start is not None or first_id is not None
        return [
            order_wire.queried(order, self._exchange.contracts[order.symbol])
            for order in chosen(found, params.limit(500, 1000), from_start)
        ]

    def trades(self, key: ApiKey, params: Params) -> list[Json]:
        """Documented as of one symbol; the venue takes none, too."""
        symbol, contracts = self._symbol(params), self._exchange.contracts
        order_id, first_id = params.integer("orderId"), params.integer("fromId")
        start, end = window(params, SEVEN_DAYS_MS)
        rows = [
            row
            for order in self._exchange.all_orders(key.account_id, symbol)
            if order_id in (None, order.order_id)
            for row in order_wire.trades(order, contracts[order.symbol])
            if within(row["time"], start, end) and (first_id is None or row["id"] >= first_id)
        ]
        rows.sort(key=lambda row: (row["time"], row["id"]))
        from_start = start is not None or first_id is not None
        return list(chosen(rows, params.limit(500, 1000), from_start))

    def income(self, key: ApiKey, params: Params) -> list[Json]:
        symbol, kind = self._symbol(params), params.text("incomeType")
        start, end = params.integer("startTime"), params.integer("endTime")
        account = self._exchange.ledger.account(key.account_id)
        found = [
            income
            for income in account.incomes
            if symbol in (None, income.symbol)
            and kind in (None, income.kind)
            and within(income.time_ms, start, end)
        ]
        return [
            {
                "symbol": income.symbol,
                "incomeType": income.kind,
                "income": num(income.amount),
                "asset": income.asset,
                "info": income.kind if income.trade_id is None else str(income.trade_id),
                "time": income.time_ms,
                "tranId": income.number,
                "tradeId": "" if income.trade_id is None else str(income.trade_id),
            }
            for income in chosen(found, params.limit(100, 1000), start is not None)
        ]

    def forced_orders(self, key: ApiKey, params: Params) -> list[Json]:
        """The account's liquidations; nobody is ever deleveraged here."""
        symbol, kind = self._symbol(params), params.text("autoCloseType")
        if kind not in (None, "LIQUIDATION", "ADL"):
            raise WireError(-1130, invalid_data("autoCloseType"))
        start, end = window(params, SEVEN_DAYS_MS)
        found = [
            order
            for order in self._exchange.all_orders(key.account_id, symbol)
            if order.is_liquidation and kind != "ADL" and within(order.created_ms, start, end)
        ]
        return [
            order_wire.forced(order, self._exchange.contracts[order.symbol])
            for order in chosen(found, params.limit(50, 100), start is not None)
        ]

    def modifications(self, key: ApiKey, params: Params) -> list[Json]:
        symbol = params.required("symbol")
        contract = self._exchange.contract(symbol)
        order_id, client_id = params.integer("orderId"), params.text("origClientOrderId")
        orders = self._exchange.all_orders(key.account_id, symbol)
        if order_id is not None or client_id is not None:
            one = self._exchange.find(key.account_id, symbol, order_id, client_id)
            if one is None:
                raise ExchangeRejection(*NO_SUCH_ORDER)
            orders = (one,)
        start, end = window(params, SEVEN_DAYS_MS)
        rows = [
            order_wire.modification(order, contract, number, change)
            for order in orders
            for number, change in enumerate(order.modifications, 1)
            if within(change.time_ms, start, end)
        ]
        return list(chosen(rows, params.limit(50, 100), start is not None))

    def _symbol(self, params: Params) -> str | None:
        symbol = params.text("symbol")
        if symbol is not None:
            self._exchange.contract(symbol)
        return symbol
