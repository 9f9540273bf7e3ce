"""Self-trade prevention: what two orders of one account lose instead of trading with each other."""

from __future__ import annotations

from decimal import Decimal

from trading.simulator.orders import PreventedMatch, SelfTradeMode, SimOrder

SPARES_TAKER = (SelfTradeMode.EXPIRE_MAKER,)
SPARES_MAKER = (SelfTradeMode.EXPIRE_TAKER,)
ENDS_TAKER = (SelfTradeMode.EXPIRE_TAKER, SelfTradeMode.EXPIRE_BOTH)
DECREMENTS = (SelfTradeMode.DECREMENT, SelfTradeMode.TRANSFER)


def prevent(
    taker: SimOrder, maker: SimOrder, price: Decimal, match_id: int, now_ms: int
) -> PreventedMatch:
    """The match that ``taker``'s mode prevents, recorded with both orders."""
    mode = taker.self_trade_mode
    quantity = min(taker.remaining, maker.remaining)
    taker_loses: Decimal | None = quantity if mode in DECREMENTS else taker.remaining
    maker_loses: Decimal | None = quantity if mode in DECREMENTS else maker.remaining
    prevented = PreventedMatch(
        match_id=match_id,
        account_id=taker.account_id,
        symbol=taker.symbol,
        taker_order_id=taker.order_id,
        maker_order_id=maker.order_id,
        mode=mode,
        price=price,
        quantity=quantity,
        taker_prevented=None if mode in SPARES_TAKER else taker_loses,
        maker_prevented=None if mode in SPARES_MAKER else maker_loses,
        time_ms=now_ms,
    )
    taker.prevented_matches.append(prevented)
    maker.prevented_matches.append(prevented)
    return prevented
