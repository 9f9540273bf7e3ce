"""Crash to HALTED in nautilus_trader; run in the rivals' environment.

Its own Binance adapter's socket, decoders and data engine; a subscriber that keeps the 1 h drawdown
sets the risk engine's trading state to HALTED at the limit. Prints a line once it is connected, and
one for every halt: its monotonic time in ns. Prices back at the start set it ACTIVE again.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

import uvloop
from _drawdown import Drawdown
from nautilus_trader.adapters.binance.config import BinanceDataClientConfig
from nautilus_trader.adapters.binance.http.client import BinanceHttpClient
from nautilus_trader.adapters.binance.spot.data import BinanceSpotDataClient
from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import LiveClock, MessageBus
from nautilus_trader.common.providers import InstrumentProvider
from nautilus_trader.data.engine import DataEngine
from nautilus_trader.model.enums import TradingState
from nautilus_trader.model.identifiers import TraderId
from nautilus_trader.portfolio.portfolio import Portfolio
from nautilus_trader.risk.engine import RiskEngine


async def main(url: str) -> None:
    clock, cache = LiveClock(), Cache()
    bus = MessageBus(trader_id=TraderId("BENCH-001"), clock=clock)
    portfolio = Portfolio(msgbus=bus, cache=cache, clock=clock)
    risk = RiskEngine(portfolio=portfolio, msgbus=bus, cache=cache, clock=clock)
    data = DataEngine(msgbus=bus, cache=cache, clock=clock)
    client = BinanceSpotDataClient(
        loop=asyncio.get_running_loop(),
        client=BinanceHttpClient(clock, "key", "secret", "http://127.0.0.1:1"),
        msgbus=bus,
        cache=cache,
        clock=clock,
        instrument_provider=InstrumentProvider(),
        base_url_ws=url,
        config=BinanceDataClientConfig(use_agg_trade_ticks=True),
    )

    def halt(at: int, pct: float) -> None:
        risk.set_trading_state(TradingState.HALTED)
        print(time.monotonic_ns(), flush=True)

    drawdown = Drawdown(halt)

    def on_trade(tick: Any) -> None:
        drawdown.update(tick.ts_event // 1_000_000, tick.price.as_double())
        if risk.trading_state == TradingState.HALTED and drawdown.pct == 0.0:
            risk.set_trading_state(TradingState.ACTIVE)

    bus.subscribe(topic="data.trades.BINANCE.BTCUSDT", handler=on_trade)
    bus.subscribe(topic="data.trades.BINANCE.ETHUSDT", handler=lambda tick: None)
    data.start()
    await client._ws_client.subscribe_agg_trades("BTCUSDT")
    print("connected", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
