"""Frames of Binance's combined streams, decoded by one decoder for each type of stream.

A decoder that knows what it is given needs no look at ``e``, which spot's bookTicker does not
have anyway, and makes the core's own value straight from the wire.
"""

from __future__ import annotations

import msgspec

from trading.errors import ExchangeConnectionError, ExchangeError
from trading.model.market import Tick

SERVER_SHUTDOWN = "serverShutdown"
_AGG_TRADE_NAMES = {
    "symbol": "s",
    "price": "p",
    "quantity": "q",
    "time_ms": "T",
    "is_seller_aggressor": "m",
    "aggregate_id": "a",
}


class AggTrade(Tick, frozen=True, gc=False, rename=_AGG_TRADE_NAMES):
    """A ``Tick`` as the aggTrade streams of spot and futures spell it.

    ``aggregate_id`` rises by one with each of a pair's trades.
    """

    symbol: str
    price: float
    quantity: float
    time_ms: int
    is_seller_aggressor: bool = False
    aggregate_id: int = 0


class AggTradeFrame(msgspec.Struct, frozen=True, gc=False):
    """A frame of a combined stream that carries aggTrades alone."""

    data: AggTrade


class _Notice(msgspec.Struct, frozen=True):
    e: str = ""


class _NoticeFrame(msgspec.Struct, frozen=True):
    data: _Notice | None = None


# Numbers come as strings.
agg_trade_decoder = msgspec.json.Decoder(AggTradeFrame, strict=False)
_notice_decoder = msgspec.json.Decoder(_NoticeFrame)


def check_notice(frame: bytes | memoryview) -> None:
    """Read a frame that its stream's own decoder refused; answers to requests pass.

    Raises:
        ExchangeConnectionError: the venue announced its shutdown.
        ExchangeError: an event that is not what its stream carries, or no JSON.
    """
    try:
        notice = _notice_decoder.decode(frame).data
    except msgspec.MsgspecError as error:
        raise ExchangeError(f"unreadable frame on a market stream: {error}") from error
    if notice is None:
        return
    if notice.e == SERVER_SHUTDOWN:
        raise ExchangeConnectionError("the venue announced its shutdown")
    raise ExchangeError(f"unexpected {notice.e or 'event'} on a market stream: {_start(frame)}")


def _start(frame: bytes | memoryview) -> str:
    return bytes(frame[:200]).decode(errors="replace")
