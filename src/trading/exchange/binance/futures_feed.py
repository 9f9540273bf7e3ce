"""What Binance's USD-M futures tell of the market: mark prices, funding and forced orders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from trading.clock import Clock
from trading.exchange.binance.market_socket import connect_streams, until_end_or_silence
from trading.exchange.binance.stream_frames import check_notice
from trading.exchange.binance.supervisor import supervise
from trading.exchange.config import ExchangeConfig
from trading.model.signals import (
    FundingRate,
    FuturesPrice,
    Liquidation,
    asset_of,
    coins_a_contract,
)

# Both come on the routed path ``/market``. On another one the venue accepts the connection, sends
# nothing and reports no error.
ROUTE = "/market"
MARK_PRICES = "!markPrice@arr@1s"
FORCED_ORDERS = "!forceOrder@arr"


class FuturesListener(Protocol):
    """Where the futures feed delivers. Called on the feed's event loop; must not block."""

    def on_futures_connected(self) -> None: ...

    def on_futures_lost(self, reason: str) -> None: ...

    def on_futures_price(self, price: FuturesPrice) -> None: ...

    def on_funding(self, rate: FundingRate) -> None: ...

    def on_liquidation(self, order: Liquidation) -> None: ...


class _Frame(msgspec.Struct, frozen=True, gc=False):
    """A frame of a combined stream; which one it is of decides how ``data`` is read."""

    stream: str
    data: msgspec.Raw


class _MarkPrice(msgspec.Struct, frozen=True, gc=False):
    s: str
    p: float
    E: int
    T: int = 0
    r: str = ""  # empty for contracts with a delivery date, which have no funding


class _ForcedOrder(msgspec.Struct, frozen=True, gc=False):
    s: str
    S: str
    p: float
    q: float
    T: int
    ap: float = 0.0  # average price and
    z: float = 0.0  # quantity that were really filled


class _ForcedOrderEvent(msgspec.Struct, frozen=True, gc=False):
    o: _ForcedOrder


# Numbers come as strings.
_frames = msgspec.json.Decoder(_Frame)
_mark_prices = msgspec.json.Decoder(list[_MarkPrice], strict=False)
_forced_orders = msgspec.json.Decoder(_ForcedOrderEvent, strict=False)


class BinanceFuturesFeed:
    """All contracts' mark prices and forced orders over one combined stream.

    The listener is told of a connection when the first prices arrive, not before: silence must not
    count as an hour without liquidations. A stream that is silent for
    ``reconnect.stale_after_ms`` is replaced like a broken one.
    """

    def __init__(self, config: ExchangeConfig, clock: Clock, quote_asset: str) -> None:
        """Prices and funding are those of the perpetuals that settle in ``quote_asset``."""
        self._config = config
        self._clock = clock
        self._quote = quote_asset
        self._frames = 0

    async def run(self, listener: FuturesListener) -> None:
        """Deliver until cancelled.

        Raises ConfigurationError where the venue has no futures streams.
        """

        async def attempt(alive: Callable[[], None]) -> str:
            return await self._stream(listener, alive)

        await supervise("futures feed", self._config.reconnect, attempt, listener.on_futures_lost)

    async def _stream(self, listener: FuturesListener, alive: Callable[[], None]) -> str:
        is_heard = False

        def on_frame(raw: memoryview | bytes) -> None:
            nonlocal is_heard
            try:
                frame = _frames.decode(raw)
                if frame.stream == MARK_PRICES:
                    prices = _mark_prices.decode(frame.data)
                elif frame.stream == FORCED_ORDERS:
                    self._frames += 1
                    listener.on_liquidation(self._liquidation(_forced_orders.decode(frame.data).o))
                    return
                else:
                    check_notice(raw)
                    return
            except msgspec.MsgspecError:
                check_notice(raw)
                return
            self._frames += 1
            if not is_heard:
                is_heard = True
                alive()
                listener.on_futures_connected()
            for one in prices:
                self._tell(one, listener)

        base_url = self._config.resolved_endpoints().futures_stream_url
        socket = await connect_streams(
            (MARK_PRICES, FORCED_ORDERS), self._config, on_frame, base_url=base_url + ROUTE
        )
        try:
            patience_s = self._config.reconnect.stale_after_ms / 1000
            return await until_end_or_silence(socket, lambda: self._frames, patience_s)
        finally:
            await socket.shut_down()

    def _tell(self, mark: _MarkPrice, listener: FuturesListener) -> None:
        contract = mark.s
        if not contract.endswith(self._quote):  # settled in another coin, or at a date
            return
        symbol = asset_of(contract) + self._quote
        price = mark.p / coins_a_contract(contract)
        listener.on_futures_price(FuturesPrice(symbol, price, mark.E))
        if mark.r:
            listener.on_funding(FundingRate(symbol, float(mark.r), mark.T, mark.E))

    def _liquidation(self, order: _ForcedOrder) -> Liquidation:
        notional = order.ap * order.z or order.p * order.q
        symbol = asset_of(order.s) + self._quote
        return Liquidation(symbol, order.S == "SELL", notional, order.T)
