"""Conditional orders: /fapi/v1/algoOrder and its relatives."""

from __future__ import annotations

from trading.simulator.futures.algo_orders import UNKNOWN
from trading.simulator.futures.exchange import NO_SUCH_ORDER, FuturesExchange
from trading.simulator.futures.filters import check_price_step
from trading.simulator.futures.orders import AlgoOrder
from trading.simulator.orders import ExchangeRejection
from trading.simulator.server.faults import Faults
from trading.simulator.server.params import Params
from trading.simulator.server.rate_limits import RateLimiter
from trading.simulator.server.signatures import ApiKey
from trading.simulator.server.usdm import order_wire
from trading.simulator.server.usdm.order_request import parse_algo, parse_response_type
from trading.simulator.server.usdm.windows import SEVEN_DAYS_MS, chosen, window
from trading.simulator.server.wire import Json
from trading.simulator.server.wire_errors import neither_sent


class AlgoDesk:
    """Places, cancels and reports conditional orders."""

    def __init__(self, exchange: FuturesExchange, limiter: RateLimiter, faults: Faults) -> None:
        self._exchange = exchange
        self._limiter = limiter
        self._faults = faults

    def place(self, key: ApiKey, params: Params) -> Json:
        contract = self._exchange.contract(params.required("symbol"))
        wanted = parse_algo(params, contract, self._faults.wall_ms())
        parse_response_type(params)
        for price in (wanted.trigger_price, wanted.limit_price, wanted.activate_price):
            if price is not None:
                check_price_step(price, contract)
        self._limiter.check_orders(key.account_id)
        algo = self._exchange.place_algo(key.account_id, wanted)
        self._limiter.count_order(key.account_id)
        return order_wire.algo(algo, contract)

    def cancel(self, key: ApiKey, params: Params) -> Json:
        algo = self._referred(key, params, UNKNOWN)
        self._exchange.algos.cancel(algo, self._exchange.clock.now_ms())
        return {
            "algoId": algo.algo_id,
            "clientAlgoId": algo.client_algo_id,
            "code": "200",
            "msg": "success",
        }

    def cancel_all(self, key: ApiKey, params: Params) -> Json:
        symbol = params.required("symbol")
        self._exchange.contract(symbol)
        for algo in list(self._exchange.algos.open(key.account_id)):
            if algo.symbol == symbol:
                self._exchange.algos.cancel(algo, self._exchange.clock.now_ms())
        return {"code": 200, "msg": "The operation of cancel all open order is done."}

    def query(self, key: ApiKey, params: Params) -> Json:
        return self._row(self._referred(key, params, NO_SUCH_ORDER))

    def open(self, key: ApiKey, params: Params) -> list[Json]:
        symbol, algo_id = params.text("symbol"), params.integer("algoId")
        return [
            self._row(algo)
            for algo in self._exchange.algos.open(key.account_id)
            if symbol in (None, algo.symbol) and algo_id in (None, algo.algo_id)
        ]

    def all(self, key: ApiKey, params: Params) -> list[Json]:
        symbol, first_id = params.required("symbol"), params.integer("algoId")
        self._exchange.contract(symbol)
        start, end = window(params, SEVEN_DAYS_MS)
        found = [
            algo
            for algo in self._exchange.algos.all(key.account_id)
            if algo.symbol == symbol
            and (first_id is None or algo.algo_id >= first_id)
            and (start is None or algo.created_ms >= start)
            and (end is None or algo.created_ms <= end)
        ]
        from_start = start is not None or first_id is not None
        return [self._row(algo) for algo in chosen(found, params.limit(500, 1000), from_start)]

    def _row(self, algo: AlgoOrder) -> Json:
        return order_wire.queried_algo(algo, self._exchange.contracts[algo.symbol])

    def _referred(self, key: ApiKey, params: Params, otherwise: tuple[int, str]) -> AlgoOrder:
        algo_id, client_id = params.integer("algoId"), params.text("clientAlgoId")
        if algo_id is None and client_id is None:
            raise neither_sent("clientAlgoId", "algoId")
        algo = self._exchange.algos.find(key.account_id, algo_id, client_id)
        if algo is None:
            raise ExchangeRejection(*otherwise)
        return algo
