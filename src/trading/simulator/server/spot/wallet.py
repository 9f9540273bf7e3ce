"""The few requests under /sapi that clients make before they trade."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from trading.simulator.server.endpoints import (
    KeyEndpoint,
    KeyHandler,
    PublicEndpoint,
    constant,
)
from trading.simulator.server.params import Params
from trading.simulator.server.signatures import ApiKey
from trading.simulator.server.spot.context import SpotContext
from trading.simulator.server.wire import Json, num

ROOT = "/sapi/v1"
ONE = constant(1)

Answer = Callable[[SpotContext, ApiKey, Params], Any]


def system_status(_context: SpotContext, _params: Params) -> Json:
    """A venue under maintenance answers nothing at all."""
    return {"status": 0, "msg": "normal"}


def no_margin_pairs(_context: SpotContext, _params: Params) -> list[Json]:
    """Nothing can be borrowed here."""
    return []


def coins(context: SpotContext, key: ApiKey, _params: Params) -> list[Json]:
    """Every asset, held or not; none can be deposited or withdrawn."""
    return [
        {
            "coin": balance.asset,
            "name": balance.asset,
            "free": num(balance.free),
            "locked": num(balance.locked),
            "freeze": num(0),
            "withdrawing": num(0),
            "ipoing": num(0),
            "ipoable": num(0),
            "storage": num(0),
            "isLegalMoney": False,
            "trading": True,
            "depositAllEnable": False,
            "withdrawAllEnable": False,
            "networkList": [],
        }
        for balance in context.account.every_balance(key.account_id)
    ]


def trade_fees(context: SpotContext, key: ApiKey, params: Params) -> list[Json]:
    """Of one pair, or of all."""
    symbol = params.text("symbol")
    if symbol is not None:
        context.exchange.tape(symbol)
    maker, taker = (f"{rate.normalize():f}" for rate in context.exchange.fee_rates(key.account_id))
    symbols = context.exchange.instruments if symbol is None else (symbol,)
    return [
        {"symbol": name, "makerCommission": maker, "takerCommission": taker} for name in symbols
    ]


def account_status(_context: SpotContext, _key: ApiKey, _params: Params) -> Json:
    return {"data": "Normal"}


def trading_status(context: SpotContext, key: ApiKey, _params: Params) -> Json:
    """No account is ever locked here."""
    return {
        "data": {
            "isLocked": False,
            "plannedRecoverTime": 0,
            "triggerCondition": {"GCR": 150, "IFER": 150, "UFR": 300},
            "updateTime": context.exchange.updated_ms(key.account_id),
        }
    }


def key_rights(context: SpotContext, key: ApiKey, _params: Params) -> Json:
    return {
        "ipRestrict": False,
        "createTime": 0,
        "enableReading": True,
        "enableWithdrawals": key.can_withdraw,
        "enableInternalTransfer": False,
        "enableMargin": False,
        "enableFutures": False,
        "permitsUniversalTransfer": False,
        "enableVanillaOptions": False,
        "enableFixApiTrade": False,
        "enableFixReadOnly": False,
        "enableSpotAndMarginTrading": True,
        "enablePortfolioMarginTrading": False,
    }


def _handled_by(answer: Answer) -> Callable[[SpotContext], KeyHandler]:
    return lambda context: partial(answer, context)


PUBLIC: tuple[PublicEndpoint[SpotContext], ...] = (
    PublicEndpoint("system/status", "", ONE, system_status),
    PublicEndpoint("margin/allPairs", "", ONE, no_margin_pairs),
    PublicEndpoint("margin/isolated/allPairs", "", ONE, no_margin_pairs),
)
KEYED: tuple[KeyEndpoint[SpotContext], ...] = tuple(
    KeyEndpoint("GET", path, "", ONE, _handled_by(answer))
    for path, answer in (
        ("account/apiRestrictions", key_rights),
        ("account/apiTradingStatus", trading_status),
        ("account/status", account_status),
        ("asset/tradeFee", trade_fees),
        ("capital/config/getall", coins),
    )
)
