"""Public REST endpoints of futures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trading.model.order import Side
from trading.simulator.futures.prices import FUNDING_CAP
from trading.simulator.server.params import Params
from trading.simulator.server.usdm import exchange_info
from trading.simulator.server.usdm.context import UsdmContext
from trading.simulator.server.usdm.windows import chosen, within
from trading.simulator.server.wire import Json, num
from trading.simulator.server.wire_errors import WireError
from trading.simulator.tape import TapeTrade

DEPTH_WEIGHTS = {5: 2, 10: 2, 20: 2, 50: 2, 100: 5, 500: 10, 1000: 20}
DEFAULT_DEPTH = 500


def ping(_context: UsdmContext, _params: Params) -> Any:
    return {}


def server_time(context: UsdmContext, _params: Params) -> Any:
    """Wall time: the clock against which signed requests are checked."""
    return {"serverTime": context.faults.wall_ms()}


def contracts_and_limits(context: UsdmContext, params: Params) -> Any:
    exchange = context.exchange
    contracts = exchange.contracts.values()
    assets = sorted({contract.margin_asset for contract in contracts})
    return {
        "timezone": "UTC",
        **server_time(context, params),
        "futuresType": "U_MARGINED",
        "rateLimits": exchange_info.rate_limits(context.config.futures_rate_limits),
        "exchangeFilters": [],
        "assets": [
            {"asset": asset, "marginAvailable": True, "autoAssetExchange": "-10000"}
            for asset in assets
        ],
        "symbols": [exchange_info.contract_row(each, exchange.config) for each in contracts],
    }


def depth(context: UsdmContext, params: Params) -> Any:
    symbol, limit = _symbol(context, params), _depth_limit(params)
    rows = context.streams.snapshot(symbol, limit)
    now_ms = context.exchange.clock.now_ms()
    return {
        "lastUpdateId": context.streams.book_version(symbol),
        "E": now_ms,
        "T": now_ms,
        "bids": list(rows[Side.BUY].items()),
        "asks": list(rows[Side.SELL].items()),
    }


def depth_weight(params: Params) -> int:
    return DEPTH_WEIGHTS[_depth_limit(params)]


def trades(context: UsdmContext, params: Params) -> Any:
    recent = list(context.exchange.tape(_symbol(context, params)).trades)
    return [context.wire.trade_row(trade) for trade in recent[-params.limit(500, 1000) :]]


def old_trades(context: UsdmContext, params: Params) -> Any:
    """From ``fromId`` on, or the newest; as far back as single trades are kept."""
    first_id = params.integer("fromId")
    recent = list(context.exchange.tape(_symbol(context, params)).trades)
    found = [trade for trade in recent if first_id is None or trade.trade_id >= first_id]
    rows = chosen(found, params.limit(500, 1000), first_id is not None)
    return [context.wire.trade_row(trade) for trade in rows]


def aggregate_trades(context: UsdmContext, params: Params) -> Any:
    recent = list(context.exchange.tape(_symbol(context, params)).trades)
    first_id = params.integer("fromId")
    start, end = params.integer("startTime"), params.integer("endTime")

    def wanted(trade: TapeTrade) -> bool:
        is_late_enough = first_id is None or trade.aggregate_id >= first_id
        return is_late_enough and within(trade.tick.time_ms, start, end)

    found = [trade for trade in recent if wanted(trade)]
    from_start = start is not None or first_id is not None
    rows = chosen(found, params.limit(500, 1000), from_start)
    return [context.wire.aggregate_trade(trade) for trade in rows]


def premium_index(context: UsdmContext, params: Params) -> Any:
    now_ms = context.exchange.clock.now_ms()
    return _one_or_all(context, params, lambda name: context.wire.premium_index(name, now_ms))


def funding_rates(context: UsdmContext, params: Params) -> Any:
    """Settlements since the history began, oldest first."""
    symbol = params.text("symbol")
    names = [_symbol(context, params)] if symbol else list(context.exchange.contracts)
    start, end = params.integer("startTime"), params.integer("endTime")
    rows = [
        {
            "symbol": name,
            "fundingRate": num(settlement.rate),
            "fundingTime": settlement.time_ms,
            "markPrice": num(settlement.mark_price),
            "rateType": "Regular",
        }
        for name in names
        for settlement in context.exchange.prices[name].settlements
        if within(settlement.time_ms, start, end)
    ]
    rows.sort(key=lambda row: str(row["fundingTime"]))
    return list(chosen(rows, params.limit(100, 1000), start is not None))


def funding_info(context: UsdmContext, _params: Params) -> Any:
    hours = context.exchange.config.funding_interval_hours
    return [
        {
            "symbol": symbol,
            "adjustedFundingRateCap": num(FUNDING_CAP),
            "adjustedFundingRateFloor": num(-FUNDING_CAP),
            "fundingIntervalHours": hours,
            "disclaimer": False,
        }
        for symbol in context.exchange.contracts
    ]


def day_ticker(context: UsdmContext, params: Params) -> Any:
    def row(symbol: str) -> Json | None:
        day = context.exchange.day(symbol)
        return None if day is None else context.wire.day_ticker(symbol, day)

    return _one_or_all(context, params, row)


def ticker_price(context: UsdmContext, params: Params) -> Any:
    def row(symbol: str) -> Json | None:
        tape = context.exchange.tape(symbol)
        if tape.last_price is None:
            return None
        price = context.exchange.contracts[symbol].price_text(tape.last_price)
        at_ms = tape.last.tick.time_ms if tape.last else context.exchange.clock.now_ms()
        return {"symbol": symbol, "price": price, "time": at_ms}

    return _one_or_all(context, params, row)


def book_ticker(context: UsdmContext, params: Params) -> Any:
    now_ms = context.exchange.clock.now_ms()
    return _one_or_all(
        context, params, lambda name: context.wire.book_ticker(name) | {"time": now_ms}
    )


def open_interest(context: UsdmContext, params: Params) -> Any:
    symbol = _symbol(context, params)
    contract = context.exchange.contracts[symbol]
    return {
        "symbol": symbol,
        "openInterest": contract.quantity_text(context.exchange.open_interest(symbol)),
        "time": context.exchange.clock.now_ms(),
    }


def constituents(context: UsdmContext, params: Params) -> Any:
    """The index is the spot price of this exchange alone."""
    asked = params.required("symbol")
    # The venue's index of a coin against the dollar is known under both names.
    symbol = f"{asked}T" if asked.endswith("USD") else asked
    pair = context.exchange.contract(symbol).instrument
    only = {
        "exchange": "binance",
        "symbol": f"{pair.base_asset}{pair.quote_asset}",
        "price": num(context.exchange.index(symbol)),
        "weight": "1.00000000",
    }
    return {"symbol": asked, "time": context.exchange.clock.now_ms(), "constituents": [only]}


def nothing_listed(_context: UsdmContext, _params: Params) -> Any:
    """Composite indices, and delivery prices: there are no such contracts here."""
    return []


def deleveraging_risk(context: UsdmContext, params: Params) -> Any:
    """Low: the insurance fund has no bottom here, so nobody is ever deleveraged."""
    now_ms = context.exchange.clock.now_ms()
    return _one_or_all(
        context, params, lambda name: {"symbol": name, "adlRisk": "low", "updateTime": now_ms}
    )


def insurance_balance(context: UsdmContext, params: Params) -> Any:
    exchange = context.exchange
    symbol = params.text("symbol")
    symbols = [_symbol(context, params)] if symbol else list(exchange.contracts)
    now_ms = exchange.clock.now_ms()
    row: Json = {
        "symbols": symbols,
        "assets": [
            {"asset": asset, "marginBalance": num(held), "updateTime": now_ms}
            for asset, held in sorted(exchange.ledger.insurance.items())
        ],
    }
    return row if symbol else [row]


def _symbol(context: UsdmContext, params: Params) -> str:
    return context.exchange.contract(params.required("symbol")).symbol


def _depth_limit(params: Params) -> int:
    limit = params.integer("limit") or DEFAULT_DEPTH
    if limit not in DEPTH_WEIGHTS:
        raise WireError(-4021, "Invalid depth limit.")
    return limit


def _one_or_all(context: UsdmContext, params: Params, row: Callable[[str], Json | None]) -> Any:
    symbol = params.text("symbol")
    if symbol is not None:
        return row(_symbol(context, params))
    return [found for name in context.exchange.contracts if (found := row(name)) is not None]
