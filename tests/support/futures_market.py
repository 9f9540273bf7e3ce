"""A futures exchange with one contract at a price of 100, whose sums are easy to follow.

The basis has no noise and no overreaction to speak of, so the contract stands 3 basis points over
its index; the book holds 10 contracts at each level, 1 apart.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from trading.clock import VirtualClock
from trading.model.market import Instrument, Tick
from trading.model.order import OrderType, Side
from trading.simulator.book_config import BookShapeConfig
from trading.simulator.futures.accounts import FuturesAccount, FuturesPosition
from trading.simulator.futures.events import AccountEvent, ForcedOrder, FuturesEvent
from trading.simulator.futures.exchange import FuturesExchange
from trading.simulator.futures.orders import (
    ConditionalType,
    FuturesOrder,
    FuturesTimeInForce,
    NewAlgoOrder,
    NewFuturesOrder,
    PositionSide,
)
from trading.simulator.futures_config import FuturesConfig

START_MS = 1_600_000_000_000  # 12:26:40 UTC; the next funding is at 16:00
SYMBOL = "ABCUSDT"
BOTH, LONG, SHORT = PositionSide


@dataclass
class FuturesBench:
    """The exchange with two accounts of 10,000 USDT each."""

    exchange: FuturesExchange
    clock: VirtualClock
    events: list[FuturesEvent] = field(default_factory=list)
    forced: list[ForcedOrder] = field(default_factory=list)

    def tick(self, price: float, quantity: float = 1.0, after_ms: int = 1_000) -> None:
        """A spot trade."""
        self.clock.advance_to(self.clock.now_ms() + after_ms)
        self.exchange.on_index(Tick(SYMBOL, price, quantity, self.clock.now_ms()))

    def order(
        self,
        side: Side,
        quantity: str,
        price: str | None = None,
        *,
        account: str = "alice",
        tif: FuturesTimeInForce = FuturesTimeInForce.GTC,
        **options: Any,
    ) -> FuturesOrder:
        """A limit order, or one at the market without a price."""
        wanted = NewFuturesOrder(
            SYMBOL,
            side,
            OrderType.MARKET if price is None else OrderType.LIMIT,
            quantity=Decimal(quantity),
            limit_price=None if price is None else Decimal(price),
            time_in_force=tif,
            **options,
        )
        return self.exchange.submit(account, wanted)

    def algo(
        self, side: Side, kind: ConditionalType, account: str = "alice", **options: Any
    ) -> Any:
        return self.exchange.place_algo(account, NewAlgoOrder(SYMBOL, side, kind, **options))

    def account(self, name: str = "alice") -> FuturesAccount:
        return self.exchange.ledger.account(name)

    def position(self, name: str = "alice", side: PositionSide = BOTH) -> FuturesPosition:
        return self.account(name).position(SYMBOL, side)

    def wallet(self, name: str = "alice") -> Decimal:
        return self.account(name).wallets["USDT"]

    def account_events(self) -> list[AccountEvent]:
        return [event for event in self.events if isinstance(event, AccountEvent)]


def build_bench(**options: Any) -> FuturesBench:
    clock = VirtualClock(START_MS)
    pair = Instrument(
        symbol=SYMBOL,
        base_asset="ABC",
        quote_asset="USDT",
        tick_size=Decimal("0.01"),
        step_size=Decimal("0.1"),
        min_quantity=Decimal("0.1"),
        max_quantity=Decimal(10_000),
        min_notional=Decimal(5),
    )
    book = BookShapeConfig(
        levels=5,
        spread_bps=Decimal(200),
        level_spacing_bps=Decimal(100),
        level_notional=Decimal(1_000),
        depth_decay=Decimal(1),
    )
    config = FuturesConfig.model_validate({"book": book, "overreaction": 0.0} | options)
    exchange = FuturesExchange(config, [pair], clock)
    bench = FuturesBench(exchange, clock)
    exchange.add_user_listener(bench.events.append)
    exchange.add_forced_listener(bench.forced.append)
    for name in ("alice", "bob"):
        exchange.open_account(name)
    bench.tick(100.0)
    return bench
