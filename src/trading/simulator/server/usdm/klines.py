"""Klines of futures: traded prices, mark, index and premium, and continuous contracts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from trading.simulator.server.intervals import FUTURES_INTERVALS, candles, end_of
from trading.simulator.server.params import Params
from trading.simulator.server.usdm.context import UsdmContext
from trading.simulator.server.usdm.market_wire import kline_row
from trading.simulator.server.wire import num
from trading.simulator.server.wire_errors import WireError, invalid_data
from trading.simulator.tape import Candle, Tape

WEIGHTS = ((99, 1), (499, 2), (1000, 5), (1500, 10))
MOST = 1500


def weight(params: Params) -> int:
    limit = params.limit(500, MOST)
    return next(weight for most, weight in WEIGHTS if limit <= most)


def klines(context: UsdmContext, params: Params) -> Any:
    return _traded(context, context.exchange.contract(params.required("symbol")).symbol, params)


def continuous(context: UsdmContext, params: Params) -> Any:
    """Of the perpetual; a pair has no other contract here."""
    pair, kind = params.required("pair"), params.required("contractType")
    if kind not in ("PERPETUAL", "CURRENT_QUARTER", "NEXT_QUARTER"):
        raise WireError(-1130, invalid_data("contractType"))
    symbol = context.exchange.contract(pair).symbol
    return _traded(context, symbol, params) if kind == "PERPETUAL" else []


def mark_prices(context: UsdmContext, params: Params) -> Any:
    symbol = context.exchange.contract(params.required("symbol")).symbol
    return _derived(context.exchange.derived[symbol].mark, params)


def index_prices(context: UsdmContext, params: Params) -> Any:
    symbol = context.exchange.contract(params.required("pair")).symbol
    return _derived(context.exchange.derived[symbol].index, params)


def premiums(context: UsdmContext, params: Params) -> Any:
    symbol = context.exchange.contract(params.required("symbol")).symbol
    return _derived(context.exchange.derived[symbol].premium, params)


def _traded(context: UsdmContext, symbol: str, params: Params) -> Any:
    interval = _interval(params)
    rows = candles(context.exchange.tape(symbol), interval)
    price = context.exchange.contracts[symbol].price_text
    return _rows(rows, interval, params, price, prices_only=False)


def _derived(series: Tape, params: Params) -> Any:
    interval = _interval(params)
    return _rows(candles(series, interval), interval, params, num, prices_only=True)


def _interval(params: Params) -> str:
    interval = params.required("interval")
    if interval not in FUTURES_INTERVALS:
        raise WireError(-1120, "Invalid interval.")
    return interval


def _rows(
    found: Sequence[Candle],
    interval: str,
    params: Params,
    price: Callable[[float], str],
    *,
    prices_only: bool,
) -> list[list[Any]]:
    start, end = params.integer("startTime"), params.integer("endTime")
    limit = params.limit(500, MOST)
    rows = [
        candle
        for candle in found
        if (start is None or candle.open_time_ms >= start)
        and (end is None or candle.open_time_ms <= end)
    ]
    return [
        kline_row(candle, end_of(interval, candle.open_time_ms), price, prices_only=prices_only)
        for candle in (rows[-limit:] if start is None else rows[:limit])
    ]
