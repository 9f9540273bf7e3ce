"""The bad day of ``bad_day.py``, traded in USD-M perpetuals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Coroutine, Iterator
from decimal import Decimal
from typing import Any

from bad_day import CASH, SYMBOLS, BadDay

from trading.exchange.binance.feed import BinanceFeed
from trading.exchange.binance.futures_client import BinanceFuturesClient
from trading.exchange.binance.futures_feed import ROUTE
from trading.exchange.binance.futures_user_stream import BinanceFuturesUserStream
from trading.exchange.config import ExchangeConfig, FuturesConfig
from trading.exchange.credentials import ApiCredentials
from trading.model.market import Bar, Tick
from trading.model.order import ZERO, OrderStatus
from trading.simulator.futures.accounts import PositionSide
from trading.simulator.futures.exchange import FuturesExchange, make_futures
from trading.simulator.futures.orders import AlgoStatus
from trading.simulator.server.app import RunningServer, start_server
from trading.simulator.server.config import ExchangeServerConfig
from trading.storage.order_repository import OrderRecord

ACCOUNT = "main"
CENT = Decimal("0.01")


class BadFuturesDay(BadDay):
    """Orders, stops and positions of perpetuals; the index is the same market's."""

    futures: FuturesExchange

    async def _serve(
        self, config: ExchangeServerConfig, history: dict[str, tuple[Bar, ...]]
    ) -> RunningServer:
        futures = make_futures(self.exchange)
        assert futures is not None
        self.futures = futures
        for symbol, bars in history.items():
            futures.load_index_history(symbol, bars)
        limits = config.futures_rate_limits.model_copy(
            update={"weight_per_minute": 100_000, "orders_per_10s": 10_000}
        )
        server = await start_server(
            self.exchange,
            config=config.model_copy(update={"futures_rate_limits": limits}),
            futures=futures,
        )
        futures.open_account(ACCOUNT, {"USDT": CASH})
        return server

    def _exchange_config(self) -> ExchangeConfig:
        config = super()._exchange_config()
        return config.model_copy(update={"futures": FuturesConfig(enabled=True, leverage=5)})

    def _open_faces(self, config: ExchangeConfig, credentials: ApiCredentials) -> None:
        self._client = BinanceFuturesClient(config, credentials, self.clock)
        self._feed = BinanceFeed(config, base_url=self.server.futures_ws_url + ROUTE)
        self._user_stream = BinanceFuturesUserStream(config, credentials)

    def _further_duties(self) -> list[Coroutine[Any, Any, None]]:
        return []

    def _fill_what_rests(self) -> None:
        """The index falls through the resting entries, in the moment in which a fault strikes."""
        for order in self.futures.open_orders(ACCOUNT):
            last = self.exchange.last_price(order.symbol)
            if order.limit_price is not None and last is not None:
                price = min(float(order.limit_price), last) * 0.999
                self._on_tape(Tick(order.symbol, price, 1.0, self.clock.now_ms()))

    def posts(self) -> Counter[str]:
        """How many orders, or conditional orders, the venue has of each of our ids."""
        algos = Counter(algo.client_algo_id for algo in self.futures.algos.all(ACCOUNT))
        orders = Counter(order.client_order_id for order in self.futures.all_orders(ACCOUNT))
        return algos | orders  # a conditional order and the one that it bore have one id

    def fills(self) -> int:
        return sum(len(order.executions) for order in self.futures.all_orders(ACCOUNT))

    def _differences(self) -> Iterator[str]:
        parts = self.service._parts
        orders = {order.client_order_id: order for order in self.futures.all_orders(ACCOUNT)}
        algos = {algo.client_algo_id: algo for algo in self.futures.algos.all(ACCOUNT)}
        rows = parts.journal._connection.execute("SELECT client_order_id FROM orders").fetchall()
        ours = {row[0] for row in rows}
        for number in orders.keys() | algos.keys():
            if number not in ours:
                yield f"{number} is not in our journal"
        for number in ours:
            record = parts.desk.find(number)
            assert record is not None
            order, algo = orders.get(number), algos.get(number)
            if order is not None:
                there = (order.status, order.filled_quantity)
                booked = {fill.trade_id for fill in parts.journal.fills.of_order(number)}
                if booked != {str(execution.trade_id) for execution in order.executions}:
                    yield f"{number}: fills {booked}, {len(order.executions)} at the venue"
            elif algo is not None:
                there = (_status(algo.status), ZERO)
            else:
                there = (OrderStatus.REJECTED, ZERO)
            if _stands(record) != there:
                yield f"{number} is {_stands(record)}, at the venue {there}"
        yield from self._money()
        for symbol in SYMBOLS:
            if self._repeated(symbol):
                yield f"trades of {symbol} were delivered twice"

    def _money(self) -> Iterator[str]:
        books = self.service._parts.books
        account = self.futures.ledger.account(ACCOUNT)
        opened = ZERO
        for symbol in SYMBOLS:
            position = account.position(symbol, PositionSide.BOTH)
            opened += position.amount * position.entry_price
            held = books.positions.get(symbol)
            ours = (held.quantity if held else ZERO) + books.positions.dust(
                symbol.removesuffix("USDT")
            )
            if ours != position.amount:
                yield f"{ours} {symbol} with us, {position.amount} at the venue"
        worth = account.wallets["USDT"] - opened
        if not books.account.known or abs(books.account.cash - worth) > CENT:
            cash = books.account.cash if books.account.known else "unknown"
            yield f"cash is {cash}, {worth} at the venue"


def _stands(record: OrderRecord) -> tuple[OrderStatus, Decimal]:
    return record.status, record.filled_quantity


def _status(status: AlgoStatus) -> OrderStatus:
    return OrderStatus.NEW if status is AlgoStatus.NEW else OrderStatus(status.value)
