"""Market, account and order tools. Orders go through the core, which holds the only key."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any, ClassVar

from pydantic import Field

from tools import analytics
from tools.base import NoArguments, SymbolArguments, ToolArguments, ToolClass, TradingTool
from tools.proposals import (
    TradeArguments,
    build_proposal,
    require_price_near_alert,
    require_spike_run,
)
from tools.run_context import RunContext
from trading.errors import DecisionRejectedError
from trading.model.breaker import BreakerSnapshot
from trading.model.order import Side


class PricesArguments(ToolArguments):
    symbols: tuple[str, ...] = Field(
        default=(), max_length=50, description="Pairs to show; empty shows all that are watched."
    )


BOOK_LEVELS = 100
DEPTH_DISTANCES_PCT = (0.1, 0.5, 1.0)
IMPACT_NOTIONALS = (1_000, 10_000, 100_000)


class OrderBookArguments(SymbolArguments):
    depth: int = Field(default=10, ge=1, le=100, description="Levels on each side.")


class CancelArguments(ToolArguments):
    client_order_id: str = Field(pattern=r"^[a-zA-Z0-9_-]{1,36}$", description="The order's id.")
    reason: str = Field(min_length=5, max_length=400, description="Why.")


class ClosePositionArguments(SymbolArguments):
    reason: str = Field(min_length=5, max_length=400, description="Why.")


class GetMarketPrices(TradingTool):
    name: str = "get_market_prices"
    description: str = "Last prices of the watched pairs."
    args_schema: Any = PricesArguments
    tool_class: ClassVar[ToolClass] = ToolClass.READ

    def perform(self, arguments: PricesArguments, snapshot: BreakerSnapshot) -> dict[str, Any]:
        market = self._client.market()
        wanted = arguments.symbols or tuple(market.prices)
        return {
            "time_ms": market.time_ms,
            "healthy": market.healthy,
            "prices": {name: market.prices[name] for name in wanted if name in market.prices},
            "unknown": [name for name in wanted if name not in market.prices],
        }


class GetMarketWindows(TradingTool):
    name: str = "get_market_windows"
    description: str = "Return, high, low, volatility, z-score and volume of a pair per window."
    args_schema: Any = SymbolArguments
    tool_class: ClassVar[ToolClass] = ToolClass.READ

    def perform(self, arguments: SymbolArguments, snapshot: BreakerSnapshot) -> dict[str, Any]:
        return self._client.symbol_stats(arguments.symbol).model_dump(mode="json")


class GetOrderBook(TradingTool):
    name: str = "get_order_book"
    description: str = (
        "Best bids and asks of a pair, its spread and imbalance, what rests near the mid (depth, "
        "in the quote asset) and how far orders of several sizes would move it (impact; null: the "
        "book does not hold that much)."
    )
    args_schema: Any = OrderBookArguments
    tool_class: ClassVar[ToolClass] = ToolClass.READ

    def perform(self, arguments: OrderBookArguments, snapshot: BreakerSnapshot) -> dict[str, Any]:
        book = self._client.order_book(arguments.symbol, BOOK_LEVELS)
        shown = arguments.depth
        return {
            "symbol": book.symbol,
            "bids": [[str(level.price), str(level.quantity)] for level in book.bids[:shown]],
            "asks": [[str(level.price), str(level.quantity)] for level in book.asks[:shown]],
            "levels": [len(book.bids), len(book.asks)],
            "spread_pct": analytics.spread_pct(book),
            "imbalance": analytics.rounded(analytics.book_imbalance(book)),
            "depth": {
                f"{distance_pct:g}%": {
                    "bids": analytics.rounded(
                        analytics.notional_near_mid(book, Side.SELL, distance_pct), 2
                    ),
                    "asks": analytics.rounded(
                        analytics.notional_near_mid(book, Side.BUY, distance_pct), 2
                    ),
                }
                for distance_pct in DEPTH_DISTANCES_PCT
            },
            "impact_pct": {
                f"{notional:,}": {
                    side.value.lower(): analytics.rounded(
                        analytics.slippage_pct(book, side, Decimal(notional))
                    )
                    for side in Side
                }
                for notional in IMPACT_NOTIONALS
            },
        }


class GetFuturesData(TradingTool):
    name: str = "get_futures_data"
    description: str = (
        "The perpetual on a pair's asset: mark price, its divergence from spot, funding rate, open "
        "interest and forced orders. Null: not known."
    )
    args_schema: Any = SymbolArguments
    tool_class: ClassVar[ToolClass] = ToolClass.READ

    def perform(self, arguments: SymbolArguments, snapshot: BreakerSnapshot) -> dict[str, Any]:
        return self._client.futures(arguments.symbol).model_dump(mode="json")


class GetLiquidations(TradingTool):
    name: str = "get_liquidations"
    description: str = (
        "Forced orders of all futures within the last hour against the limit that halts trading, "
        "and those of the watched pairs by side. A lower bound; null: not known."
    )
    args_schema: Any = NoArguments
    tool_class: ClassVar[ToolClass] = ToolClass.READ

    def perform(self, arguments: NoArguments, snapshot: BreakerSnapshot) -> dict[str, Any]:
        return self._client.liquidations().model_dump(mode="json")


class GetPortfolio(TradingTool):
    name: str = "get_portfolio"
    description: str = "Equity, balances, exposure, open positions and open orders of the account."
    args_schema: Any = NoArguments
    tool_class: ClassVar[ToolClass] = ToolClass.READ

    def perform(self, arguments: NoArguments, snapshot: BreakerSnapshot) -> dict[str, Any]:
        portfolio = self._client.portfolio()
        return {
            "quote_asset": portfolio.quote_asset,
            "equity": str(portfolio.equity),
            "free": str(portfolio.free),
            "exposure": str(portfolio.exposure),
            "reserved_exposure": str(portfolio.reserved_exposure),
            "balances": {
                one.asset: {"free": str(one.free), "locked": str(one.locked)}
                for one in portfolio.balances
                if one.total
            },
            "positions": [position.model_dump(mode="json") for position in portfolio.positions],
            "open_orders": [
                {
                    "client_order_id": order.client_order_id,
                    "symbol": order.symbol,
                    "side": order.side.value,
                    "type": order.type.value,
                    "status": order.status.value,
                    "quantity": str(order.quantity),
                    "filled_quantity": str(order.filled_quantity),
                }
                for order in portfolio.open_orders
            ],
        }


def _approved_request(run: RunContext, trade: TradeArguments) -> Decimal:
    """The notional to ask the core for: never above what was evaluated and approved in this run.

    Raises:
        DecisionRejectedError: stability or risk was not checked in this run, or said no, or the
            trade has other numbers than the approved one.
    """
    stability = run.last("check_market_stability")
    if stability is None or not stability["stable"]:
        raise DecisionRejectedError("stability", "this run has no passed stability check")
    approval = run.last("evaluate_trade_risk")
    if approval is None or not approval["approved"]:
        raise DecisionRejectedError("risk", "this run has no approved risk evaluation")
    for name in ("stop_loss_pct", "take_profit_pct"):
        if not math.isclose(approval[name], getattr(trade, name), abs_tol=0.005):
            raise DecisionRejectedError(
                "risk", f"{name} {getattr(trade, name)} is not the approved {approval[name]}"
            )
    return min(Decimal(str(trade.notional)), Decimal(str(approval["requested_notional"])))


class PlaceEntryOrder(TradingTool):
    name: str = "place_entry_order"
    description: str = (
        "Propose the entry to the core, with the numbers the risk engine approved in this run. "
        "Works once per run. The core decides price and size, and places the stop."
    )
    args_schema: Any = TradeArguments
    tool_class: ClassVar[ToolClass] = ToolClass.INCREASE_RISK

    def perform(self, arguments: TradeArguments, snapshot: BreakerSnapshot) -> dict[str, Any]:
        run, spike = require_spike_run(arguments.symbol)
        notional = _approved_request(run, arguments)
        require_price_near_alert(self._client, run)
        proposal = build_proposal(run, spike, arguments, self._client.now_ms(), notional)
        if not run.claim_order():
            raise DecisionRejectedError("one_order", "this run has already proposed its entry")
        result = self._client.propose_trade(proposal)
        return {"symbol": spike.symbol, **result.model_dump(mode="json")}


class CancelOrder(TradingTool):
    name: str = "cancel_order"
    description: str = "Cancel one open order."
    args_schema: Any = CancelArguments
    tool_class: ClassVar[ToolClass] = ToolClass.REDUCE_RISK

    def perform(self, arguments: CancelArguments, snapshot: BreakerSnapshot) -> dict[str, Any]:
        report = self._client.cancel_order(arguments.client_order_id, arguments.reason)
        return {
            "client_order_id": report.client_order_id,
            "symbol": report.symbol,
            "status": report.status.value,
            "filled_quantity": str(report.filled_quantity),
        }


class ClosePosition(TradingTool):
    name: str = "close_position"
    description: str = "Sell the whole position in a pair."
    args_schema: Any = ClosePositionArguments
    tool_class: ClassVar[ToolClass] = ToolClass.REDUCE_RISK

    def perform(
        self, arguments: ClosePositionArguments, snapshot: BreakerSnapshot
    ) -> dict[str, Any]:
        result = self._client.close_position(arguments.symbol, arguments.reason)
        return {"symbol": arguments.symbol, **result.model_dump(mode="json")}
