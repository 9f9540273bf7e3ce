"""``BinanceFuturesClient``: the ``ExchangeClient`` of Binance's USD-M perpetuals."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

from trading.errors import (
    ConfigurationError,
    ExchangeError,
    OrderNotFoundError,
    UnknownOutcomeError,
)
from trading.exchange.binance import convert, futures_convert
from trading.exchange.binance.client import FuturesVenueClient
from trading.exchange.binance.local_book import BookSnapshot
from trading.exchange.binance.rest_access import RestAccess
from trading.exchange.intervals import interval_ms
from trading.model.futures import FuturesPosition
from trading.model.market import Bar, Book, Instrument
from trading.model.order import AccountSnapshot, OrderReport, OrderRequest

NOTHING_TO_CHANGE = -4046  # the margin type is that already


class BinanceFuturesClient(RestAccess):
    """Orders, account and reference data of USD-M perpetuals, in one-way mode.

    So that the order path need not know the difference, ``account`` shows what the account is worth
    as a spot account would: each long position as a balance of its base asset, and of the quote
    asset the wallet less what the positions were opened for.

    An order with a trigger goes to the venue's algo orders, and is found there by the same id.
    Leverage and margin type of a contract are set when its instrument is first asked for.
    """

    _instruments: dict[str, Instrument]

    @property
    def venue(self) -> str:
        # A name of its own: its orders and positions are not those of the spot account.
        return f"{self._config.venue}-futures"

    async def server_time_ms(self) -> int:
        answer = await self._read(self._open_client.futures_time)
        return int(answer["serverTime"])

    async def instruments(self, symbols: tuple[str, ...]) -> dict[str, Instrument]:
        async def read() -> dict[str, Instrument]:
            info = await self._open_client.futures_exchange_info()
            self._open_client.budget.learn(info["rateLimits"])
            return {
                row["symbol"]: futures_convert.instrument(row)
                for row in info["symbols"]
                if row["symbol"] in symbols and row["contractType"] == "PERPETUAL"
            }

        found = await self._read(read)
        for symbol in found.keys() - self._instruments.keys():
            if self._credentials is not None:
                await self.set_margin_type(symbol, self._config.futures.margin_type)
                await self.set_leverage(symbol, self._config.futures.leverage)
        self._instruments |= found
        return found

    async def account(self) -> AccountSnapshot:
        async def read() -> AccountSnapshot:
            client = self._open_client
            # Without a start: the newest of the last seven days.
            paid = await client.futures_income_history(incomeType="FUNDING_FEE", limit=1000)
            data = await client.futures_account()
            found = futures_convert.account(data, await self._positions(), self._instruments)
            return found.model_copy(update={"funding": futures_convert.funding(paid)})

        return await self._read(read)

    async def positions(self) -> tuple[FuturesPosition, ...]:
        return await self._read(self._positions)

    async def set_leverage(self, symbol: str, leverage: int) -> None:
        await self._read(
            lambda: self._open_client.futures_change_leverage(symbol=symbol, leverage=leverage)
        )

    async def set_margin_type(self, symbol: str, margin_type: str) -> None:
        try:
            await self._read(
                lambda: self._open_client.futures_change_margin_type(
                    symbol=symbol, marginType=margin_type
                )
            )
        except ExchangeError as error:
            if error.code != NOTHING_TO_CHANGE:
                raise

    async def submit_order(self, request: OrderRequest, on_wire: Callable[[], None]) -> OrderReport:
        client, is_conditional = self._open_client, request.type.has_trigger

        async def post(mark_sent: Callable[[], None]) -> Any:
            return await client.post_futures_order(
                futures_convert.order_params(request), mark_sent, is_conditional=is_conditional
            )

        answer = await self._send(post, on_wire, increases_risk=request.purpose.increases_risk)
        try:
            if is_conditional:
                return futures_convert.report_from_algo(answer)
            # The answer names neither prices nor fees of what was filled.
            return await self._read(lambda: self._with_trades(answer))
        except (ExchangeError, KeyError, ValueError) as error:
            raise UnknownOutcomeError(
                f"the order was taken, and what became of it is not known yet ({error})"
            ) from error

    async def query_order(self, symbol: str, client_order_id: str) -> OrderReport:
        async def read() -> OrderReport:
            order = await self._open_client.futures_get_order(
                symbol=symbol, origClientOrderId=client_order_id
            )
            return await self._with_trades(order)

        try:
            return await self._read(read)
        except OrderNotFoundError:
            return await self._read(lambda: self._query_algo(symbol, client_order_id))

    async def cancel_order(self, symbol: str, client_order_id: str) -> OrderReport:
        async def cancel() -> Any:
            return await self._open_client.futures_cancel_order(
                symbol=symbol, origClientOrderId=client_order_id
            )

        async def cancel_algo() -> Any:
            return await self._open_client.futures_cancel_algo_order(
                symbol=symbol, clientAlgoId=client_order_id
            )

        try:
            await self._read(cancel)
        except OrderNotFoundError:
            await self._read(cancel_algo)
        return await self.query_order(symbol, client_order_id)

    async def open_orders(self, symbol: str | None = None) -> tuple[OrderReport, ...]:
        of_symbol = {} if symbol is None else {"symbol": symbol}

        async def read() -> tuple[OrderReport, ...]:
            orders = await self._open_client.futures_get_open_orders(**of_symbol)
            algos = await self._open_client.futures_get_open_algo_orders(**of_symbol)
            placed = [await self._with_trades(order) for order in orders]
            return (*placed, *(futures_convert.report_from_algo(algo) for algo in algos))

        return await self._read(read)

    async def bars(
        self, symbol: str, interval: str, *, start_ms: int | None = None, limit: int = 500
    ) -> tuple[Bar, ...]:
        interval_ms(interval)
        since = {} if start_ms is None else {"startTime": start_ms}

        async def read() -> tuple[Bar, ...]:
            rows = await self._open_client.futures_klines(
                symbol=symbol, interval=interval, limit=limit, **since
            )
            return tuple(convert.bar(symbol, interval, row) for row in rows)

        return await self._read(read)

    async def order_book(self, symbol: str, depth: int = 20) -> Book:
        async def read() -> Book:
            data = await self._open_client.futures_order_book(symbol=symbol, limit=depth)
            return convert.book(symbol, data, self._clock.now_ms())

        return await self._read(read)

    async def book_snapshot(self, symbol: str, depth: int) -> BookSnapshot:
        """A depth snapshot that a local book can begin with. From any event loop."""

        async def read() -> BookSnapshot:
            data = await self._open_client.futures_order_book(symbol=symbol, limit=depth)
            return convert.book_snapshot(data)

        found: BookSnapshot = await self._read_snapshot(read)
        return found

    @property
    def _open_client(self) -> FuturesVenueClient:
        return cast(FuturesVenueClient, super()._open_client)

    def _make_client(self) -> FuturesVenueClient:
        self._instruments = {}
        return FuturesVenueClient(self._config, self._credentials)

    async def _check_account(self) -> None:
        await super()._check_account()
        mode = await self._read(self._open_client.futures_get_position_mode)
        if mode["dualSidePosition"]:
            raise ConfigurationError(
                "the futures account is in hedge mode; set it to one-way mode to trade with it"
            )

    async def _positions(self) -> tuple[FuturesPosition, ...]:
        rows = await self._open_client.futures_position_information()
        found = (futures_convert.position(row) for row in rows)
        return tuple(each for each in found if each.quantity)

    async def _with_trades(self, order: Any, client_order_id: str = "") -> OrderReport:
        trades: list[Any] = []
        if not convert.is_unfilled(order):
            trades = await self._open_client.futures_account_trades(
                symbol=order["symbol"], orderId=order["orderId"]
            )
        return futures_convert.report_from_order(order, trades, client_order_id=client_order_id)

    async def _query_algo(self, symbol: str, client_order_id: str) -> OrderReport:
        """An algo order by our id, or the order that it has borne."""
        get: Callable[..., Awaitable[Any]] = self._open_client.futures_get_order
        algo = await get(symbol=symbol, clientAlgoId=client_order_id)
        if not algo["actualOrderId"]:
            return futures_convert.report_from_algo(algo)
        order = await get(symbol=symbol, orderId=algo["actualOrderId"])
        return await self._with_trades(order, client_order_id)
