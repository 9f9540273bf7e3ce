"""What an account may ask about itself: balances, orders, trades, fees, limits."""

from __future__ import annotations

from trading.model.order import ZERO, Balance
from trading.simulator.exchange import NO_SUCH_ORDER
from trading.simulator.orders import ExchangeRejection, SimOrder
from trading.simulator.server.faults import FaultKind, Faults
from trading.simulator.server.limit_config import RateLimitConfig
from trading.simulator.server.params import Params
from trading.simulator.server.signatures import ApiKey
from trading.simulator.server.spot import exchange_info, order_wire
from trading.simulator.server.spot.desk import (
    DOES_NOT_FIT,
    NO_DISCOUNT,
    OrderDesk,
    order_reference,
)
from trading.simulator.server.wire import Json, num
from trading.simulator.server.wire_errors import WireError, bad_combination, mandatory

DAY_MS = 86_400_000


class AccountDesk:
    """Reports on the orders of an ``OrderDesk`` and on the accounts behind them."""

    def __init__(self, desk: OrderDesk, faults: Faults, limits: RateLimitConfig) -> None:
        self._desk = desk
        self._exchange = desk.exchange
        self._faults = faults
        self._limits = limits

    def order(self, key: ApiKey, params: Params) -> Json:
        symbol = params.required("symbol")
        order_id, client_id = order_reference(params)
        if client_id is not None and self._faults.denies(client_id):
            raise ExchangeRejection(*NO_SUCH_ORDER)
        return order_wire.status(self._find(key, symbol, order_id, client_id))

    def open_orders(self, key: ApiKey, params: Params) -> list[Json]:
        orders = self._exchange.open_orders(key.account_id, params.text("symbol"))
        denies = self._faults.denies
        return [order_wire.status(order) for order in orders if not denies(order.client_order_id)]

    def all_orders(self, key: ApiKey, params: Params) -> list[Json]:
        symbol = params.required("symbol")
        start, end = _window(params)
        first_id = params.integer("orderId")
        orders = [
            order
            for order in self._exchange.all_orders(key.account_id, symbol)
            if (start is None or order.created_ms >= start)
            and (end is None or order.created_ms <= end)
            and (first_id is None or order.order_id >= first_id)
        ]
        limit = params.limit(500, 1000)
        from_start = start is not None or first_id is not None
        return [order_wire.status(o) for o in (orders[:limit] if from_start else orders[-limit:])]

    def my_trades(self, key: ApiKey, params: Params) -> list[Json]:
        orders = self._exchange.all_orders(key.account_id, params.required("symbol"))
        order_id = params.integer("orderId")
        start, end = _window(params)
        first_id = params.integer("fromId")
        if {start, end} != {None} and {order_id, first_id} != {None}:
            raise bad_combination()
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

    def amendments(self, key: ApiKey, params: Params) -> list[Json]:
        symbol, order_id = params.required("symbol"), params.integer("orderId")
        if order_id is None:
            raise mandatory("orderId")
        first = params.integer("fromExecutionId") or 0
        order = self._find(key, symbol, order_id, None)
        found = [change for change in order.amendments if change.execution_id >= first]
        return [order_wire.amendment(order, each) for each in found[: params.limit(500, 1000)]]

    def prevented_matches(self, key: ApiKey, params: Params) -> list[Json]:
        symbol = params.required("symbol")
        match_id, order_id = params.integer("preventedMatchId"), params.integer("orderId")
        if match_id is None and order_id is None:
            raise bad_combination()
        first = params.integer("fromPreventedMatchId") or 0
        matches = {
            match.match_id: match
            for order in self._exchange.all_orders(key.account_id, symbol)
            if order_id in (None, order.order_id)
            for match in order.prevented_matches
            if match_id in (None, match.match_id) and match.match_id >= first
        }
        found = [matches[number] for number in sorted(matches)]
        return [order_wire.prevented_match(match) for match in found[: params.limit(500, 1000)]]

    def allocations(self, key: ApiKey, params: Params) -> list[Json]:
        """None: no order of this venue is ever routed elsewhere."""
        self._exchange.all_orders(key.account_id, params.required("symbol"))
        params.allow("startTime", "endTime", "fromAllocationId", "limit", "orderId")
        return []

    def account(self, key: ApiKey, params: Params) -> Json:
        maker, taker = self._exchange.fee_rates(key.account_id)
        omit_zero = params.flag("omitZeroBalances") or False
        empty = self._faults.lasts(FaultKind.ACCOUNT_EMPTY)
        balances = [] if empty else self.every_balance(key.account_id)
        return {
            "makerCommission": int(maker * 10_000),
            "takerCommission": int(taker * 10_000),
            "buyerCommission": 0,
            "sellerCommission": 0,
            "commissionRates": self._standard_fees(key),
            "canTrade": True,
            "canWithdraw": key.can_withdraw or self._exchange.config.can_withdraw,
            "canDeposit": True,
            "brokered": False,
            "requireSelfTradePrevention": False,
            "preventSor": False,
            "updateTime": self._exchange.updated_ms(key.account_id),
            "accountType": "SPOT",
            "balances": [
                {"asset": b.asset, "free": num(b.free), "locked": num(b.locked)}
                for b in balances
                if b.total or not omit_zero
            ],
            "permissions": ["SPOT"],
            "uid": 1,
        }

    def commission(self, key: ApiKey, params: Params) -> Json:
        symbol = params.required("symbol")
        self._exchange.tape(symbol)
        none = dict.fromkeys(("maker", "taker", "buyer", "seller"), num(0))
        return {
            "symbol": symbol,
            "standardCommission": self._standard_fees(key),
            "specialCommission": none,
            "taxCommission": none,
            "discount": NO_DISCOUNT,
        }

    def order_counts(self, key: ApiKey, _params: Params) -> list[Json]:
        """The ORDERS limits and how much of them is used."""
        counts = self._desk.limiter.order_counts(key.account_id)
        rows = exchange_info.rate_limits(self._limits)
        rows = [row for row in rows if row["rateLimitType"] == "ORDERS"]
        return [row | {"count": used} for row, used in zip(rows, counts, strict=True)]

    def filters(self, _key: ApiKey, params: Params) -> Json:
        symbol = params.required("symbol")
        self._exchange.tape(symbol)
        instrument = self._exchange.instruments[symbol]
        return {
            "exchangeFilters": [],
            "symbolFilters": exchange_info.filters(instrument, self._exchange.config.filters),
            "assetFilters": [],
        }

    def _standard_fees(self, key: ApiKey) -> Json:
        maker, taker = self._exchange.fee_rates(key.account_id)
        rates = {"maker": num(maker), "taker": num(taker)}
        return rates | {"buyer": num(0), "seller": num(0)}

    def _find(
        self, key: ApiKey, symbol: str, order_id: int | None, client_id: str | None
    ) -> SimOrder:
        account_id = key.account_id
        try:
            return self._exchange.query(
                account_id, symbol, order_id=order_id, client_order_id=client_id
            )
        except ExchangeRejection:
            if order_id is None or client_id is None:
                raise
            self._exchange.query(account_id, symbol, order_id=order_id)
            raise WireError(*DOES_NOT_FIT) from None

    def every_balance(self, account_id: str) -> list[Balance]:
        """Held assets, then every other asset of the listed pairs at zero."""
        held = self._exchange.balances(account_id)
        listed = self._exchange.instruments.values()
        assets = {asset for pair in listed for asset in (pair.base_asset, pair.quote_asset)}
        zeros = (Balance(asset=name, free=ZERO, locked=ZERO) for name in sorted(assets - {*held}))
        return [*held.values(), *zeros]


def _window(params: Params) -> tuple[int | None, int | None]:
    """startTime and endTime, at most a day apart. Raises WireError -1127."""
    start, end = params.time_ms("startTime"), params.time_ms("endTime")
    if start is not None and end is not None and end - start > DAY_MS:
        raise WireError(-1127, "More than 24 hours between startTime and endTime.")
    return start, end
