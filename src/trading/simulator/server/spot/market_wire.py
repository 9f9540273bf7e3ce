"""Market data in Binance's JSON: REST answers and stream payloads."""

from __future__ import annotations

from typing import Any

from trading.model.order import Side
from trading.simulator.exchange import SimulatedExchange
from trading.simulator.server.wire import Json, num
from trading.simulator.tape import Candle, DayFigures, TapeTrade

TICKER_NAMES = {
    "p": "priceChange",
    "P": "priceChangePercent",
    "w": "weightedAvgPrice",
    "x": "prevClosePrice",
    "c": "lastPrice",
    "Q": "lastQty",
    "b": "bidPrice",
    "B": "bidQty",
    "a": "askPrice",
    "A": "askQty",
    "o": "openPrice",
    "h": "highPrice",
    "l": "lowPrice",
    "v": "volume",
    "q": "quoteVolume",
    "O": "openTime",
    "C": "closeTime",
    "F": "firstId",
    "L": "lastId",
    "n": "count",
}


def kline_row(candle: Candle, close_ms: int) -> list[Any]:
    """The twelve columns of a REST kline."""
    return [
        candle.open_time_ms,
        num(candle.open),
        num(candle.high),
        num(candle.low),
        num(candle.close),
        num(candle.volume),
        close_ms,
        num(candle.quote_volume),
        candle.trades,
        num(candle.taker_buy_volume),
        num(candle.taker_buy_quote),
        "0",
    ]


def kline_event(
    symbol: str, interval: str, candle: Candle, close_ms: int, now_ms: int, *, closed: bool
) -> Json:
    return {
        "e": "kline",
        "E": now_ms,
        "s": symbol,
        "k": {
            "t": candle.open_time_ms,
            "T": close_ms,
            "s": symbol,
            "i": interval,
            "f": candle.first_trade_id,
            "L": candle.last_trade_id,
            "o": num(candle.open),
            "c": num(candle.close),
            "h": num(candle.high),
            "l": num(candle.low),
            "v": num(candle.volume),
            "n": candle.trades,
            "x": closed,
            "q": num(candle.quote_volume),
            "V": num(candle.taker_buy_volume),
            "Q": num(candle.taker_buy_quote),
            "B": "0",
        },
    }


def trade_row(trade: TapeTrade) -> Json:
    tick = trade.tick
    return {
        "id": trade.trade_id,
        "price": num(tick.price),
        "qty": num(tick.quantity),
        "quoteQty": num(tick.price * tick.quantity),
        "time": tick.time_ms,
        "isBuyerMaker": tick.is_seller_aggressor,
        "isBestMatch": True,
    }


def aggregate_trade_row(trade: TapeTrade) -> Json:
    tick = trade.tick
    return {
        "a": trade.aggregate_id,
        "p": num(tick.price),
        "q": num(tick.quantity),
        "f": trade.trade_id,
        "l": trade.trade_id,
        "T": tick.time_ms,
        "m": tick.is_seller_aggressor,
        "M": True,
    }


def aggregate_trade_event(trade: TapeTrade, now_ms: int) -> Json:
    row = aggregate_trade_row(trade)
    return {"e": "aggTrade", "E": max(now_ms, trade.tick.time_ms), "s": trade.tick.symbol, **row}


def trade_event(trade: TapeTrade, now_ms: int) -> Json:
    tick = trade.tick
    return {
        "e": "trade",
        "E": max(now_ms, tick.time_ms),
        "s": tick.symbol,
        "t": trade.trade_id,
        "p": num(tick.price),
        "q": num(tick.quantity),
        "T": tick.time_ms,
        "m": tick.is_seller_aggressor,
        "M": True,
    }


def mini_ticker_event(symbol: str, day: DayFigures, now_ms: int) -> Json:
    return {
        "e": "24hrMiniTicker",
        "E": now_ms,
        "s": symbol,
        "c": num(day.close),
        "o": num(day.open),
        "h": num(day.high),
        "l": num(day.low),
        "v": num(day.volume),
        "q": num(day.quote_volume),
    }


def day_ticker(exchange: SimulatedExchange, symbol: str, *, mini: bool) -> Json | None:
    """The 24 h ticker; None before any data."""
    day = exchange.day(symbol)
    if day is None:
        return None
    tape = exchange.tape(symbol)
    last_id = tape.last.trade_id if tape.last else 0
    row: Json = {
        "symbol": symbol,
        "openPrice": num(day.open),
        "highPrice": num(day.high),
        "lowPrice": num(day.low),
        "lastPrice": num(day.close),
        "volume": num(day.volume),
        "quoteVolume": num(day.quote_volume),
        "openTime": day.open_time_ms,
        "closeTime": exchange.clock.now_ms(),
        "firstId": max(0, last_id - day.trades + 1),
        "lastId": last_id,
        "count": day.trades,
    }
    if mini:
        return row
    row |= _change(day) | {
        "prevClosePrice": num(day.open),
        "lastQty": num(tape.last.tick.quantity if tape.last else 0),
    }
    best = book_ticker(exchange, symbol)
    return row | {name: best[name] for name in ("bidPrice", "bidQty", "askPrice", "askQty")}


def window_ticker(
    exchange: SimulatedExchange, symbol: str, start_ms: int, *, mini: bool
) -> Json | None:
    """The ticker of a window that begins at ``start_ms``; None before any data."""
    tape = exchange.tape(symbol)
    figures = tape.figures(start_ms)
    if figures is None:
        return None
    last_id = tape.last.trade_id if tape.last else 0
    row: Json = {
        "symbol": symbol,
        "openPrice": num(figures.open),
        "highPrice": num(figures.high),
        "lowPrice": num(figures.low),
        "lastPrice": num(figures.close),
        "volume": num(figures.volume),
        "quoteVolume": num(figures.quote_volume),
        "openTime": figures.open_time_ms,
        "closeTime": exchange.clock.now_ms(),
        "firstId": max(0, last_id - figures.trades + 1),
        "lastId": last_id,
        "count": figures.trades,
    }
    return row if mini else row | _change(figures)


def _change(day: DayFigures) -> Json:
    change = day.close - day.open
    return {
        "priceChange": num(change),
        "priceChangePercent": f"{100 * change / day.open:.3f}",
        "weightedAvgPrice": num(day.quote_volume / day.volume if day.volume else day.close),
    }


def window_ticker_event(
    exchange: SimulatedExchange, symbol: str, window: str, start_ms: int, now_ms: int
) -> Json | None:
    """The ticker of a rolling window as a stream event."""
    row = window_ticker(exchange, symbol, start_ms, mini=False)
    if row is None:
        return None
    kept = {short: row[name] for short, name in TICKER_NAMES.items() if name in row}
    return {"e": f"{window}Ticker", "E": now_ms, "s": symbol, **kept}


def book_ticker(exchange: SimulatedExchange, symbol: str) -> Json:
    row: Json = {"symbol": symbol}
    levels = exchange.levels(symbol, 1)
    for name, side in (("bid", Side.BUY), ("ask", Side.SELL)):
        best = levels[side][0] if levels[side] else (None, None)
        row[f"{name}Price"], row[f"{name}Qty"] = num(best[0]), num(best[1])
    return row


def depth_levels(
    exchange: SimulatedExchange, symbol: str, limit: int
) -> dict[str, list[list[str]]]:
    """``bids`` and ``asks`` as pairs of strings, best first."""
    levels = exchange.levels(symbol, limit)
    return {
        name: [[num(price), num(quantity)] for price, quantity in levels[side]]
        for name, side in (("bids", Side.BUY), ("asks", Side.SELL))
    }


def ticker_event(exchange: SimulatedExchange, symbol: str, now_ms: int) -> Json | None:
    """The 24 h ticker as a stream event."""
    row = day_ticker(exchange, symbol, mini=False)
    if row is None:
        return None
    event = {short: row[name] for short, name in TICKER_NAMES.items()}
    return {"e": "24hrTicker", "E": now_ms, "s": symbol, **event}
