"""/futures/data: open interest, long and short, takers, basis; of what the exchange remembers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from trading.clock import MINUTE_MS
from trading.simulator.futures.crowd import InterestSnapshot
from trading.simulator.server.params import Params
from trading.simulator.server.usdm.context import UsdmContext
from trading.simulator.server.usdm.windows import chosen, within
from trading.simulator.server.wire import Json, num
from trading.simulator.server.wire_errors import WireError, invalid_data

SMALLEST_SHARE = 0.0001  # the last digit shown
PERIODS = {
    "5m": 5,
    "15m": 15,
    "30m": 30,
    "1h": 60,
    "2h": 120,
    "4h": 240,
    "6h": 360,
    "12h": 720,
    "1d": 1440,
}


def open_interest(context: UsdmContext, params: Params) -> Any:
    symbol = context.exchange.contract(params.required("symbol")).symbol

    def row(snapshot: InterestSnapshot) -> Json:
        return {
            "symbol": symbol,
            "sumOpenInterest": num(snapshot.quantity),
            "sumOpenInterestValue": num(snapshot.notional),
            "CMCCirculatingSupply": num(None),
            "timestamp": snapshot.time_ms,
        }

    return _snapshots(context, symbol, params, row)


def long_short_ratio(context: UsdmContext, params: Params) -> Any:
    """Of all that is held with leverage; the crowd has no accounts that could be told apart."""
    symbol = context.exchange.contract(params.required("symbol")).symbol

    def row(snapshot: InterestSnapshot) -> Json:
        share = snapshot.long_share
        return {
            "symbol": symbol,
            "longShortRatio": f"{share / max(1 - share, SMALLEST_SHARE):.4f}",
            "longAccount": f"{share:.4f}",
            "shortAccount": f"{1 - share:.4f}",
            "timestamp": snapshot.time_ms,
        }

    return _snapshots(context, symbol, params, row)


def taker_volume(context: UsdmContext, params: Params) -> Any:
    symbol = context.exchange.contract(params.required("symbol")).symbol
    rows = []
    for candle in context.exchange.tape(symbol).aggregated(_minutes(params)):
        bought, sold = candle.taker_buy_volume, candle.volume - candle.taker_buy_volume
        row = {
            "buySellRatio": f"{bought / sold if sold else 0:.4f}",
            "buyVol": f"{bought:.4f}",
            "sellVol": f"{sold:.4f}",
            "timestamp": candle.open_time_ms,
        }
        rows.append(row)
    return _listed(rows, params)


def basis(context: UsdmContext, params: Params) -> Any:
    """Of the perpetual over the index."""
    symbol = context.exchange.contract(params.required("pair")).symbol
    kind, minutes = params.required("contractType"), _minutes(params)
    if kind not in ("PERPETUAL", "CURRENT_QUARTER", "NEXT_QUARTER"):
        raise WireError(-1130, invalid_data("contractType"))
    if kind != "PERPETUAL":
        return []
    prices = context.exchange.derived[symbol]
    premiums = {row.open_time_ms: row.close for row in prices.premium.aggregated(minutes)}
    rows = []
    for candle in prices.index.aggregated(minutes):
        premium = premiums.get(candle.open_time_ms, 0.0)
        row = {
            "indexPrice": num(candle.close),
            "contractType": kind,
            "basisRate": f"{premium:.4f}",
            "futuresPrice": num(candle.close * (1 + premium)),
            "annualizedBasisRate": "",
            "basis": num(candle.close * premium),
            "pair": symbol,
            "timestamp": candle.open_time_ms,
        }
        rows.append(row)
    return _listed(rows, params)


def _snapshots(
    context: UsdmContext, symbol: str, params: Params, row: Callable[[InterestSnapshot], Json]
) -> Any:
    period_ms = _minutes(params) * MINUTE_MS
    found = context.exchange.crowds[symbol].snapshots
    return _listed([row(each) for each in found if each.time_ms % period_ms == 0], params)


def _listed(rows: Sequence[Json], params: Params) -> list[Json]:
    start, end = params.integer("startTime"), params.integer("endTime")
    found = [row for row in rows if within(row["timestamp"], start, end)]
    return list(chosen(found, params.limit(30, 500), start is not None and end is None))


def _minutes(params: Params) -> int:
    period = params.required("period")
    if period not in PERIODS:
        raise WireError(-1130, invalid_data("period"))
    return PERIODS[period]
