"""Public REST endpoints."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import orjson

from trading.clock import MINUTE_MS
from trading.simulator.exchange import SimulatedExchange
from trading.simulator.server import intervals
from trading.simulator.server.intervals import INTERVALS, parse_zone
from trading.simulator.server.params import Params
from trading.simulator.server.spot import exchange_info, market_wire
from trading.simulator.server.spot.context import SpotContext
from trading.simulator.server.wire import num
from trading.simulator.server.wire_errors import WireError, bad_combination, invalid_data
from trading.simulator.tape import TapeTrade

WINDOW = re.compile(r"^([0-9]{1,2})([mhd])$")
WINDOW_UNITS = {"m": (MINUTE_MS, 59), "h": (60 * MINUTE_MS, 23), "d": (1440 * MINUTE_MS, 7)}
ILLEGAL_SYMBOLS = (
    "Illegal characters found in parameter 'symbols'; legal range is"
    ' \'^\\[("[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,}){0,1}\\]$\'.'
)
DEPTH_WEIGHTS = ((100, 5), (500, 25), (1000, 50), (5000, 250))


def ping(_context: SpotContext, _params: Params) -> Any:
    return {}


def server_time(context: SpotContext, _params: Params) -> Any:
    """Wall time: the clock against which signed requests are checked."""
    return {"serverTime": context.faults.wall_ms()}


def pairs_and_limits(context: SpotContext, params: Params) -> Any:
    instruments = context.exchange.instruments
    filters = context.exchange.config.filters
    permissions = params.text("permissions")
    chosen = _symbols(context.exchange, params)
    names = list(instruments) if chosen is None else chosen
    if permissions is not None and "SPOT" not in permissions:
        names = []
    rows = [exchange_info.pair(instruments[name], filters) for name in names]
    if params.flag("showPermissionSets") is False:
        for row in rows:
            row["permissionSets"] = []
    return {
        "timezone": "UTC",
        **server_time(context, params),
        "rateLimits": exchange_info.rate_limits(context.config.rate_limits),
        "exchangeFilters": [],
        "symbols": rows,
        "sors": exchange_info.routes(instruments[name] for name in names),
    }


def depth(context: SpotContext, params: Params) -> Any:
    symbol = _symbol(context.exchange, params)
    return context.streams.snapshot(symbol, params.limit(100, 5000))


def depth_weight(params: Params) -> int:
    limit = params.limit(100, 5000)
    return next(weight for most, weight in DEPTH_WEIGHTS if limit <= most)


def klines(context: SpotContext, params: Params) -> Any:
    tape = context.exchange.tape(_symbol(context.exchange, params))
    interval = params.required("interval")
    if interval not in INTERVALS:
        raise WireError(-1120, "Invalid interval.")
    offset_ms = parse_zone(params.text("timeZone"))
    limit = params.limit(500, 1000)
    start, end = params.time_ms("startTime"), params.time_ms("endTime")
    found = [
        candle
        for candle in intervals.candles(tape, interval, offset_ms)
        if (start is None or candle.open_time_ms >= start)
        and (end is None or candle.open_time_ms <= end)
    ]
    chosen = found[-limit:] if start is None else found[:limit]
    return [
        market_wire.kline_row(candle, intervals.end_of(interval, candle.open_time_ms, offset_ms))
        for candle in chosen
    ]


def trades(context: SpotContext, params: Params) -> Any:
    recent = list(context.exchange.tape(_symbol(context.exchange, params)).trades)
    return [market_wire.trade_row(trade) for trade in recent[-params.limit(500, 1000) :]]


def old_trades(context: SpotContext, params: Params) -> Any:
    """From ``fromId`` on, or the newest; as far back as single trades are kept."""
    first_id, limit = params.integer("fromId"), params.limit(500, 1000)
    recent = list(context.exchange.tape(_symbol(context.exchange, params)).trades)
    if first_id is None:
        return [market_wire.trade_row(trade) for trade in recent[-limit:]]
    found = [trade for trade in recent if trade.trade_id >= first_id]
    return [market_wire.trade_row(trade) for trade in found[:limit]]


def no_block_trades(context: SpotContext, params: Params) -> Any:
    """None ever happens here."""
    _symbol(context.exchange, params)
    params.allow("fromId", "startTime", "endTime", "limit")
    return []


def aggregate_trades(context: SpotContext, params: Params) -> Any:
    recent = list(context.exchange.tape(_symbol(context.exchange, params)).trades)
    first_id = params.integer("fromId")
    start, end = params.time_ms("startTime"), params.time_ms("endTime")

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


def average_price(context: SpotContext, params: Params) -> Any:
    tape = context.exchange.tape(_symbol(context.exchange, params))
    close_ms = tape.last.tick.time_ms if tape.last else context.exchange.clock.now_ms()
    price = num(tape.average_price(5))
    return {"mins": 5, "price": price, "closeTime": close_ms}


def ticker_price(context: SpotContext, params: Params) -> Any:
    def row(symbol: str) -> Any:
        price = context.exchange.last_price(symbol)
        return None if price is None else {"symbol": symbol, "price": num(price)}

    return _one_or_all(context.exchange, params, row)


def book_ticker(context: SpotContext, params: Params) -> Any:
    exchange = context.exchange
    return _one_or_all(exchange, params, lambda name: market_wire.book_ticker(exchange, name))


def day_ticker(context: SpotContext, params: Params) -> Any:
    exchange, mini = context.exchange, _is_mini(params)
    return _one_or_all(
        exchange, params, lambda name: market_wire.day_ticker(exchange, name, mini=mini)
    )


def day_ticker_weight(params: Params) -> int:
    count = _listed(params)
    if count is None:
        return 80
    return 2 if count <= 20 else 40 if count <= 100 else 80


def window_ticker_weight(params: Params) -> int:
    return min(4 * (_listed(params) or 1), 200)


def trading_day_ticker(context: SpotContext, params: Params) -> Any:
    """Figures since midnight in the asked-for time zone."""
    offset_ms = parse_zone(params.text("timeZone"))
    start_ms = intervals.start_of("1d", context.exchange.clock.now_ms(), offset_ms)
    return _figures_since(context, params, start_ms)


def window_ticker(context: SpotContext, params: Params) -> Any:
    """Figures of the last ``windowSize``: minutes, hours or days."""
    text = params.text("windowSize") or "1d"
    match = WINDOW.match(text)
    unit = WINDOW_UNITS.get(match[2]) if match else None
    if match is None or unit is None or not 1 <= int(match[1]) <= unit[1]:
        raise WireError(-1130, invalid_data("windowSize"))
    window_ms = int(match[1]) * unit[0]
    start_ms = context.exchange.clock.now_ms() - window_ms + MINUTE_MS
    return _figures_since(context, params, start_ms)


def reference_price(context: SpotContext, params: Params) -> Any:
    """No pair here has one; filters look at the average price."""
    _symbol(context.exchange, params)
    raise WireError(-2043, "This symbol doesn't have a reference price.")


def execution_rules(context: SpotContext, params: Params) -> Any:
    """No pair here has any."""
    _symbols(context.exchange, params)
    return {"symbolRules": []}


def _figures_since(context: SpotContext, params: Params, start_ms: int) -> Any:
    exchange, mini = context.exchange, _is_mini(params)
    if "symbol" not in params and "symbols" not in params:
        raise bad_combination()
    return _one_or_all(
        exchange,
        params,
        lambda name: market_wire.window_ticker(exchange, name, start_ms, mini=mini),
    )


def _is_mini(params: Params) -> bool:
    kind = params.text("type") or "FULL"
    if kind not in ("FULL", "MINI"):
        raise WireError(-1139, "Invalid ticker type.")
    return kind == "MINI"


def _listed(params: Params) -> int | None:
    """How many symbols are asked for; None for all."""
    if "symbol" in params:
        return 1
    text = params.text("symbols")
    return None if text is None else text.count(",") + 1


def _symbol(exchange: SimulatedExchange, params: Params) -> str:
    symbol = params.required("symbol")
    exchange.tape(symbol)
    status = _status(params)
    if status is not None and status != exchange_info.status(exchange.instruments[symbol]):
        raise WireError(-1220, "The symbol's status does not match the requested symbolStatus.")
    return symbol


def _status(params: Params) -> str | None:
    status = params.text("symbolStatus")
    if status not in (None, "TRADING", "HALT", "BREAK"):
        raise WireError(-1122, "Invalid symbolStatus.")
    return status


def _symbols(exchange: SimulatedExchange, params: Params) -> list[str] | None:
    """The pairs asked for by name or status; None for all."""
    if "symbol" in params and "symbols" in params:
        raise bad_combination()
    if "symbol" in params:
        return [_symbol(exchange, params)]
    status = _status(params)
    names = _named(exchange, params)
    if status is None:
        return names
    pairs = exchange.instruments
    wanted = list(pairs) if names is None else names
    return [name for name in wanted if exchange_info.status(pairs[name]) == status]


def _named(exchange: SimulatedExchange, params: Params) -> list[str] | None:
    text = params.text("symbols")
    if text is None:
        return None
    try:
        names = orjson.loads(text)
    except orjson.JSONDecodeError:
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise WireError(-1100, ILLEGAL_SYMBOLS)
    if len(set(names)) < len(names):
        raise WireError(-1151, "Symbol is present multiple times in the list.")
    for name in names:
        exchange.tape(name)
    return names


def _one_or_all(exchange: SimulatedExchange, params: Params, row: Callable[[str], Any]) -> Any:
    chosen = _symbols(exchange, params)
    names = list(exchange.instruments) if chosen is None else chosen
    rows = [found for name in names if (found := row(name)) is not None]
    return rows[0] if "symbol" in params and rows else rows
