"""Public REST endpoints."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import orjson

from trading.model.market import INTERVAL_MINUTES
from trading.simulator.exchange import SimulatedExchange
from trading.simulator.server import exchange_info, market_wire
from trading.simulator.server.context import ServerContext
from trading.simulator.server.order_wire import num
from trading.simulator.server.params import Params
from trading.simulator.server.wire_errors import WireError
from trading.simulator.tape import TapeTrade

PublicHandler = Callable[[ServerContext, Params], Any]
DEPTH_WEIGHTS = ((100, 5), (500, 25), (1000, 50), (5000, 250))


def ping(_context: ServerContext, _params: Params) -> Any:
    return {}


def server_time(_context: ServerContext, _params: Params) -> Any:
    """Wall time: the clock against which signed requests are checked."""
    return {"serverTime": time.time_ns() // 1_000_000}


def pairs_and_limits(context: ServerContext, params: Params) -> Any:
    instruments = context.exchange.instruments
    filters = context.exchange.config.filters
    names = _symbols(context.exchange, params) or list(instruments)
    rows = [exchange_info.pair(instruments[name], filters) for name in names]
    return {
        "timezone": "UTC",
        **server_time(context, params),
        "rateLimits": exchange_info.rate_limits(context.config.rate_limits),
        "exchangeFilters": [],
        "symbols": rows,
    }


def depth(context: ServerContext, params: Params) -> Any:
    symbol = _symbol(context.exchange, params)
    levels = market_wire.depth_levels(context.exchange, symbol, params.limit(100, 5000))
    return {"lastUpdateId": context.streams.book_version(symbol), **levels}


def depth_weight(params: Params) -> int:
    limit = params.limit(100, 5000)
    return next(weight for most, weight in DEPTH_WEIGHTS if limit <= most)


def klines(context: ServerContext, params: Params) -> Any:
    symbol = _symbol(context.exchange, params)
    minutes = INTERVAL_MINUTES.get(params.required("interval"))
    if minutes is None:
        raise WireError(-1120, "Invalid interval.")
    limit = params.limit(500, 1000)
    start, end = params.integer("startTime"), params.integer("endTime")
    candles = [
        candle
        for candle in context.exchange.tape(symbol).aggregated(minutes)
        if (start is None or candle.open_time_ms >= start)
        and (end is None or candle.open_time_ms <= end)
    ]
    chosen = candles[-limit:] if start is None else candles[:limit]
    return [market_wire.kline_row(candle, minutes) for candle in chosen]


def trades(context: ServerContext, params: Params) -> Any:
    recent = list(context.exchange.tape(_symbol(context.exchange, params)).trades)
    return [market_wire.trade_row(trade) for trade in recent[-params.limit(500, 1000) :]]


def aggregate_trades(context: ServerContext, params: Params) -> Any:
    recent = list(context.exchange.tape(_symbol(context.exchange, params)).trades)
    first_id = params.integer("fromId")
    start, end = params.integer("startTime"), params.integer("endTime")

    def wanted(trade: TapeTrade) -> bool:
        time_ms = trade.tick.time_ms
        return (
            (first_id is None or trade.aggregate_id >= first_id)
            and (start is None or time_ms >= start)
            and (end is None or time_ms <= end)
        )

    found = [trade for trade in recent if wanted(trade)]
    limit = params.limit(500, 1000)
    chosen = found[-limit:] if start is None and first_id is None else found[:limit]
    return [market_wire.aggregate_trade_row(trade) for trade in chosen]


def average_price(context: ServerContext, params: Params) -> Any:
    tape = context.exchange.tape(_symbol(context.exchange, params))
    close_ms = tape.last.tick.time_ms if tape.last else context.exchange.clock.now_ms()
    price = num(tape.average_price(5))
    return {"mins": 5, "price": price, "closeTime": close_ms}


def ticker_price(context: ServerContext, params: Params) -> Any:
    def row(symbol: str) -> Any:
        price = context.exchange.last_price(symbol)
        return None if price is None else {"symbol": symbol, "price": num(price)}

    return _one_or_all(context.exchange, params, row)


def book_ticker(context: ServerContext, params: Params) -> Any:
    exchange = context.exchange
    return _one_or_all(exchange, params, lambda name: market_wire.book_ticker(exchange, name))


def day_ticker(context: ServerContext, params: Params) -> Any:
    exchange, mini = context.exchange, params.text("type") == "MINI"
    return _one_or_all(
        exchange, params, lambda name: market_wire.day_ticker(exchange, name, mini=mini)
    )


def one_or_all_weight(one: int, many: int) -> Callable[[Params], int]:
    """Weight of an endpoint that costs more without ``symbol``."""
    return lambda params: one if "symbol" in params else many


def _symbol(exchange: SimulatedExchange, params: Params) -> str:
    symbol = params.required("symbol")
    exchange.tape(symbol)
    return symbol


def _symbols(exchange: SimulatedExchange, params: Params) -> list[str] | None:
    if "symbol" in params:
        return [_symbol(exchange, params)]
    text = params.text("symbols")
    if text is None:
        return None
    try:
        names = orjson.loads(text)
    except orjson.JSONDecodeError:
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise WireError(-1130, "Invalid data sent for a parameter 'symbols'.")
    if len(set(names)) < len(names):
        raise WireError(-1151, "Symbol is present multiple times in the list.")
    for name in names:
        exchange.tape(name)
    return names


def _one_or_all(exchange: SimulatedExchange, params: Params, row: Callable[[str], Any]) -> Any:
    names = _symbols(exchange, params)
    rows = [found for name in names or exchange.instruments if (found := row(name)) is not None]
    return rows[0] if "symbol" in params and rows else rows
