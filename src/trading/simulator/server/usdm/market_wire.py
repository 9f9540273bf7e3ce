"""Futures market data in Binance's JSON: REST rows and stream payloads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trading.model.order import Side
from trading.simulator.futures.events import ForcedOrder
from trading.simulator.futures.exchange import FuturesExchange
from trading.simulator.futures.prices import INTEREST_PER_8H
from trading.simulator.server.wire import Json, num
from trading.simulator.tape import Candle, DayFigures, TapeTrade

USD_M = 1  # the type of symbol ("st") that tells USD-M from COIN-M


def kline_row(
    candle: Candle, close_ms: int, price: Callable[[float], str], *, prices_only: bool = False
) -> list[Any]:
    """The twelve columns of a REST kline; of a mark or index price, without any volume.

    ``price`` writes a price.
    """
    volumes = (candle.volume, candle.quote_volume, candle.taker_buy_volume, candle.taker_buy_quote)
    volume, quote, taker, taker_quote = (0.0,) * 4 if prices_only else volumes
    return [
        candle.open_time_ms,
        price(candle.open),
        price(candle.high),
        price(candle.low),
        price(candle.close),
        num(volume),
        close_ms,
        num(quote),
        candle.trades,
        num(taker),
        num(taker_quote),
        "0",
    ]


def kline_fields(
    candle: Candle, interval: str, close_ms: int, price: Callable[[float], str], *, closed: bool
) -> Json:
    """The ``k`` of a kline event."""
    return {
        "t": candle.open_time_ms,
        "T": close_ms,
        "i": interval,
        "f": candle.first_trade_id,
        "L": candle.last_trade_id,
        "o": price(candle.open),
        "c": price(candle.close),
        "h": price(candle.high),
        "l": price(candle.low),
        "v": num(candle.volume),
        "n": candle.trades,
        "x": closed,
        "q": num(candle.quote_volume),
        "V": num(candle.taker_buy_volume),
        "Q": num(candle.taker_buy_quote),
        "B": "0",
    }


class MarketWire:
    """Writes what the exchange knows, each contract in its own precision."""

    def __init__(self, exchange: FuturesExchange) -> None:
        self._exchange = exchange

    def trade_row(self, trade: TapeTrade) -> Json:
        tick = trade.tick
        contract = self._exchange.contracts[tick.symbol]
        return {
            "id": trade.trade_id,
            "price": contract.price_text(tick.price),
            "qty": contract.quantity_text(tick.quantity),
            "quoteQty": f"{tick.price * tick.quantity:.2f}",
            "time": tick.time_ms,
            "isBuyerMaker": tick.is_seller_aggressor,
            "isRPITrade": False,
        }

    def aggregate_trade(self, trade: TapeTrade) -> Json:
        tick = trade.tick
        contract = self._exchange.contracts[tick.symbol]
        quantity = contract.quantity_text(tick.quantity)
        return {
            "a": trade.aggregate_id,
            "p": contract.price_text(tick.price),
            "q": quantity,
            "nq": quantity,
            "f": trade.trade_id,
            "l": trade.trade_id,
            "T": tick.time_ms,
            "m": tick.is_seller_aggressor,
        }

    def aggregate_trade_event(self, trade: TapeTrade, now_ms: int) -> Json:
        head = {"e": "aggTrade", "E": max(now_ms, trade.tick.time_ms), "s": trade.tick.symbol}
        return {**head, **self.aggregate_trade(trade), "st": USD_M}

    def trade_event(self, trade: TapeTrade, now_ms: int) -> Json:
        tick = trade.tick
        contract = self._exchange.contracts[tick.symbol]
        return {
            "e": "trade",
            "E": max(now_ms, tick.time_ms),
            "T": tick.time_ms,
            "s": tick.symbol,
            "t": trade.trade_id,
            "p": contract.price_text(tick.price),
            "q": contract.quantity_text(tick.quantity),
            "X": "MARKET",
            "m": tick.is_seller_aggressor,
        }

    def premium_index(self, symbol: str, now_ms: int) -> Json:
        price = self._exchange.prices[symbol]
        return {
            "symbol": symbol,
            "markPrice": num(price.mark),
            "indexPrice": num(price.index),
            "estimatedSettlePrice": num(price.index),
            "lastFundingRate": num(price.funding_rate),
            "interestRate": num(INTEREST_PER_8H * self._exchange.config.funding_interval_hours / 8),
            "nextFundingTime": price.next_funding_ms,
            "time": now_ms,
        }

    def mark_price_event(self, symbol: str, now_ms: int) -> Json:
        price = self._exchange.prices[symbol]
        return {
            "e": "markPriceUpdate",
            "E": now_ms,
            "s": symbol,
            "p": num(price.mark),
            "ap": num(price.mark),
            "P": num(price.index),
            "i": num(price.index),
            "r": num(price.funding_rate),
            "T": price.next_funding_ms,
            "st": USD_M,
        }

    def book_ticker(self, symbol: str) -> Json:
        contract = self._exchange.contracts[symbol]
        levels = self._exchange.levels(symbol, 1)
        row: Json = {"symbol": symbol}
        for name, side in (("bid", Side.BUY), ("ask", Side.SELL)):
            best = levels[side][0] if levels[side] else (None, None)
            row[f"{name}Price"] = contract.price_text(best[0])
            row[f"{name}Qty"] = contract.quantity_text(best[1])
        return row

    def book_ticker_event(self, symbol: str, version: int, now_ms: int) -> Json:
        row = self.book_ticker(symbol)
        return {
            "e": "bookTicker",
            "u": version,
            "s": symbol,
            "ps": symbol,
            "b": row["bidPrice"],
            "B": row["bidQty"],
            "a": row["askPrice"],
            "A": row["askQty"],
            "T": now_ms,
            "E": now_ms,
            "st": USD_M,
        }

    def depth(self, symbol: str, limit: int) -> dict[Side, list[tuple[str, str]]]:
        """Rows of price and quantity, best first."""
        contract = self._exchange.contracts[symbol]
        return {
            side: [(contract.price_text(p), contract.quantity_text(q)) for p, q in rows]
            for side, rows in self._exchange.levels(symbol, limit).items()
        }

    def day_ticker(self, symbol: str, day: DayFigures) -> Json:
        contract, tape = self._exchange.contracts[symbol], self._exchange.tape(symbol)
        price, change = contract.price_text, day.close - day.open
        last_id = tape.last.trade_id if tape.last else 0
        return {
            "symbol": symbol,
            "priceChange": price(change),
            "priceChangePercent": f"{100 * change / day.open:.3f}",
            "weightedAvgPrice": price(day.quote_volume / day.volume if day.volume else day.close),
            "lastPrice": price(day.close),
            "lastQty": contract.quantity_text(tape.last.tick.quantity if tape.last else 0),
            "openPrice": price(day.open),
            "highPrice": price(day.high),
            "lowPrice": price(day.low),
            "volume": contract.quantity_text(day.volume),
            "quoteVolume": f"{day.quote_volume:.2f}",
            "openTime": day.open_time_ms,
            "closeTime": self._exchange.clock.now_ms(),
            "firstId": max(0, last_id - day.trades + 1),
            "lastId": last_id,
            "count": day.trades,
        }

    def ticker_event(self, symbol: str, day: DayFigures, now_ms: int) -> Json:
        row = self.day_ticker(symbol, day)
        head: Json = {"e": "24hrTicker", "E": now_ms, "s": symbol, "ps": symbol}
        return head | {short: row[name] for short, name in TICKER_NAMES.items()} | {"st": USD_M}

    def mini_ticker_event(self, symbol: str, day: DayFigures, now_ms: int) -> Json:
        row = self.day_ticker(symbol, day)
        head: Json = {"e": "24hrMiniTicker", "E": now_ms, "s": symbol, "ps": symbol}
        return head | {name: row[TICKER_NAMES[name]] for name in "cohlvq"} | {"st": USD_M}

    def forced_order_event(self, forced: ForcedOrder, now_ms: int) -> Json:
        contract = self._exchange.contracts[forced.symbol]
        price, quantity = contract.price_text, contract.quantity_text
        return {
            "e": "forceOrder",
            "E": now_ms,
            "o": {
                "s": forced.symbol,
                "S": forced.side.value,
                "o": "LIMIT",
                "f": "IOC",
                "q": quantity(forced.quantity),
                "p": price(forced.price),
                "ap": price(forced.average_price),
                "X": "FILLED",
                "l": quantity(forced.last_quantity),
                "z": quantity(forced.filled_quantity),
                "T": forced.time_ms,
            },
            "ps": forced.symbol,
            "st": USD_M,
        }


TICKER_NAMES = {
    "p": "priceChange",
    "P": "priceChangePercent",
    "w": "weightedAvgPrice",
    "c": "lastPrice",
    "Q": "lastQty",
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
