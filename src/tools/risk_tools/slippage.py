"""What the order book charges for size."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar, Literal

from pydantic import Field

from tools import analytics
from tools.base import SymbolArguments, ToolClass, TradingTool
from tools.binance_tools import BOOK_LEVELS
from trading.errors import MarketDataError
from trading.model.breaker import BreakerSnapshot
from trading.model.order import Side


class SlippageArguments(SymbolArguments):
    side: Literal["BUY", "SELL"] = Field(default="BUY", description="BUY takes the asks.")
    notional: float = Field(gt=0, le=1e9, description="Size in the quote asset.")
    max_slippage_pct: float = Field(
        default=0.5, gt=0, le=10, description="For the largest size within this slippage, in %."
    )


class CalculateSlippage(TradingTool):
    name: str = "calculate_slippage"
    description: str = (
        "Average price and slippage of trading a size against the shown order book, how much of "
        "it the book holds, and the largest size within a slippage limit."
    )
    args_schema: Any = SlippageArguments
    tool_class: ClassVar[ToolClass] = ToolClass.ANALYSE

    def perform(self, arguments: SlippageArguments, snapshot: BreakerSnapshot) -> dict[str, Any]:
        book = self._client.order_book(arguments.symbol, BOOK_LEVELS)
        if book.mid is None:
            raise MarketDataError(f"a side of {arguments.symbol}'s book is empty")
        side = Side(arguments.side)
        fill = analytics.fill_from_book(book, side, Decimal(str(arguments.notional)))
        return {
            "symbol": arguments.symbol,
            "side": side.value,
            "notional": arguments.notional,
            "mid": float(book.mid),
            "average_price": analytics.rounded(fill.average_price, 8),
            "slippage_pct": analytics.rounded(fill.slippage_pct),
            "filled_share": analytics.rounded(fill.filled_share),
            "levels_used": fill.levels,
            "largest_notional_within_limit": analytics.rounded(
                analytics.notional_within(book, side, arguments.max_slippage_pct), 2
            ),
        }
