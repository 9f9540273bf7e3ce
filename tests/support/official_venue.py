"""A venue with one of Binance's own clients pointed at it, and what spot's documents leave open."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from official_client import OfficialClient
from simulated_venue import running_venue, tick

from trading.simulator.server.app import RunningServer

BALANCES = {"USDT": "100000", "BTC": "2", "ETH": "10"}
SYMBOL: dict[str, Any] = {"symbol": "BTCUSDT"}
LIMIT = SYMBOL | {
    "side": "BUY",
    "type": "LIMIT",
    "time_in_force": "GTC",
    "quantity": "0.01",
    "price": "49000",
}
WORKING: dict[str, Any] = {
    "working_type": "LIMIT",
    "working_side": "BUY",
    "working_price": "49000",
    "working_quantity": "0.01",
    "working_time_in_force": "GTC",
}
"""The order that comes first in a list."""
THEN_STOP: dict[str, Any] = {
    "pending_side": "SELL",
    "pending_type": "STOP_LOSS",
    "pending_stop_price": "45000",
}
"""What follows it: a stop …"""
THEN_PAIR: dict[str, Any] = {
    "pending_side": "SELL",
    "pending_above_type": "LIMIT_MAKER",
    "pending_above_price": "55000",
    "pending_below_type": "STOP_LOSS",
    "pending_below_stop_price": "45000",
}
"""… or a stop and a limit, of which one cancels the other."""
OF_QUANTITY = {"pending_quantity": "0.01"}
OLD_OCO = SYMBOL | {"side": "SELL", "quantity": "0.01", "price": "55000", "stop_price": "45000"}
SENT_WHERE_IT_APPLIES = frozenset(
    {
        "stopPrice",
        "icebergQty",
        "trailingDelta",
        "trailingTime",
        "strategyId",
        "strategyType",
        "preventedMatchId",
        "preventedQuantity",
        "expiryReason",
        "usedSor",
        "workingFloor",
        "pegPriceType",
        "pegOffsetType",
        "pegOffsetValue",
        "peggedPrice",
    }
)
"""Fields of spot's orders that the documents send only sometimes."""


@asynccontextmanager
async def judged(
    client: OfficialClient, account: dict[str, Any] | None = None, **options: Any
) -> AsyncIterator[RunningServer]:
    """A venue with the client pointed at it; ``options`` are the client's."""
    funds = {"balances": BALANCES, "futures_balances": {"USDT": "100000"}}
    async with running_venue(accounts=(funds | (account or {}),)) as server:
        await client.point_at(server, **options)
        tick(server, 50_000.0)
        tick(server, 2_000.0, symbol="ETHUSDT")
        yield server
