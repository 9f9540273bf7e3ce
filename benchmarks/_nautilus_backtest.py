"""The job in nautilus_trader's BacktestEngine; run in the rivals' environment. Prints JSON."""

from __future__ import annotations

import json
import sys
import time
from decimal import Decimal

from _drawdown import Drawdown
from _market import load, stream
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.common.config import LoggingConfig
from nautilus_trader.model.currencies import BTC, USDT
from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.enums import AccountType, AggressorSide, OmsType
from nautilus_trader.model.identifiers import InstrumentId, Symbol, TradeId, Venue
from nautilus_trader.model.instruments import CurrencyPair
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.trading.strategy import Strategy

VENUE = Venue("BINANCE")
breaches: list[tuple[str, int]] = []
drawdowns: dict[str, Drawdown] = {}


class Watcher(Strategy):
    def on_start(self) -> None:
        for instrument in self.cache.instruments():
            name = instrument.id.symbol.value
            drawdowns[name] = Drawdown(lambda at, pct, name=name: breaches.append((name, at)))
            self.subscribe_trade_ticks(instrument.id)

    def on_trade_tick(self, tick: TradeTick) -> None:
        one = drawdowns[tick.instrument_id.symbol.value]
        one.update(tick.ts_event // 1_000_000, tick.price.as_double())


def instrument(name: str) -> CurrencyPair:
    return CurrencyPair(
        instrument_id=InstrumentId(Symbol(name), VENUE),
        raw_symbol=Symbol(name),
        base_currency=BTC,
        quote_currency=USDT,
        price_precision=8,
        size_precision=8,
        price_increment=Price.from_str("0.00000001"),
        size_increment=Quantity.from_str("0.00000001"),
        ts_event=0,
        ts_init=0,
        margin_init=Decimal(0),
        margin_maint=Decimal(0),
        maker_fee=Decimal(0),
        taker_fee=Decimal(0),
    )


def main(count: int, limit: int) -> None:
    source = stream(load(), count, limit)
    config = BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True))
    engine = BacktestEngine(config=config)
    engine.add_venue(
        venue=VENUE,
        oms_type=OmsType.NETTING,
        account_type=AccountType.CASH,
        starting_balances=[Money(1_000_000, USDT)],
    )
    pairs = [instrument(symbol) for symbol in source.symbols]
    for pair in pairs:
        engine.add_instrument(pair)
    engine.add_data(
        [
            TradeTick(
                pairs[number].id,
                Price(price, 8),
                Quantity(max(size, 1e-8), 8),
                AggressorSide.SELLER,
                TradeId(str(trade_id)),
                at * 1_000_000,
                at * 1_000_000,
            )
            for trade_id, (number, at, price, size) in enumerate(source.events)
        ]
    )
    engine.add_strategy(Watcher())
    started = time.process_time_ns()
    engine.run()
    elapsed = time.process_time_ns() - started
    final = {name: one.pct for name, one in drawdowns.items()}
    print(json.dumps({"ns": elapsed / len(source.events), "breaches": breaches, "final": final}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
