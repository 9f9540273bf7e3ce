"""One-pair exchanges whose book and fees make the sums easy to follow."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from trading.clock import VirtualClock
from trading.model.market import Instrument, Tick
from trading.model.order import OrderType, Side, TimeInForce
from trading.simulator.book_config import BookShapeConfig
from trading.simulator.config import OrderFilterConfig, SimulatorConfig
from trading.simulator.exchange import SimulatedExchange
from trading.simulator.order_lists import NewOrderList, OrderList
from trading.simulator.orders import NewOrder, SelfTradeMode, SimOrder, UserEvent

START_MS = 1_600_000_000_000
SYMBOL = "ABCUSDT"


@dataclass
class Market:
    """An exchange at a price of 100 with 1.0 ABC at each of 101–105 and 1.1 at each of 99–95"""

    exchange: SimulatedExchange
    clock: VirtualClock
    events: list[UserEvent] = field(default_factory=list)

    def tick(self, price: float, quantity: float = 1.0, after_ms: int = 100) -> None:
        self.clock.advance_to(self.clock.now_ms() + after_ms)
        self.exchange.on_tick(Tick(SYMBOL, price, quantity, self.clock.now_ms()))

    def order(
        self,
        side: Side,
        order_type: OrderType,
        quantity: str | None = None,
        *,
        account: str = "alice",
        **options: Any,
    ) -> SimOrder:
        """Submit what ``wanted`` describes."""
        return self.exchange.submit(account, wanted(side, order_type, quantity, **options))

    def order_list(
        self,
        *pair: NewOrder,
        working: NewOrder | None = None,
        pays: bool = False,
        account: str = "alice",
    ) -> OrderList:
        """Submit an OCO (above, below), or what follows a working order, which may pay for it."""
        return self.exchange.submit_list(account, NewOrderList(SYMBOL, pair, working, pays=pays))

    def free(self, asset: str, account: str = "alice") -> Decimal:
        return self.exchange.balances(account)[asset].free

    def locked(self, asset: str, account: str = "alice") -> Decimal:
        return self.exchange.balances(account)[asset].locked


def wanted(
    side: Side,
    order_type: OrderType,
    quantity: str | None = None,
    *,
    price: str | None = None,
    trigger: str | None = None,
    tif: TimeInForce | None = None,
    quote: str | None = None,
    client_id: str | None = None,
    iceberg: str | None = None,
    trailing: int | None = None,
    mode: SelfTradeMode = SelfTradeMode.EXPIRE_MAKER,
) -> NewOrder:
    """An order on the pair; GTC where its type needs a time in force."""
    needs_tif = order_type.has_limit_price and order_type is not OrderType.LIMIT_MAKER
    return NewOrder(
        symbol=SYMBOL,
        side=side,
        type=order_type,
        client_order_id=client_id,
        quantity=None if quantity is None else Decimal(quantity),
        quote_quantity=None if quote is None else Decimal(quote),
        limit_price=None if price is None else Decimal(price),
        trigger_price=None if trigger is None else Decimal(trigger),
        time_in_force=tif or (TimeInForce.GTC if needs_tif else None),
        trailing_delta=trailing,
        iceberg_quantity=None if iceberg is None else Decimal(iceberg),
        self_trade_mode=mode,
    )


def build_market(config: SimulatorConfig | None = None) -> Market:
    clock = VirtualClock(START_MS)
    instrument = Instrument(
        symbol=SYMBOL,
        base_asset="ABC",
        quote_asset="USDT",
        tick_size=Decimal("1"),
        step_size=Decimal("0.1"),
        min_quantity=Decimal("0.1"),
        max_quantity=Decimal("1000"),
        min_notional=Decimal("5"),
    )
    exchange = SimulatedExchange(config or simple_config(), [instrument], clock)
    market = Market(exchange, clock)
    exchange.add_user_listener(market.events.append)
    for account in ("alice", "bob"):
        exchange.open_account(account, {"USDT": Decimal(10_000), "ABC": Decimal(100)})
    market.tick(100.0)
    return market


def simple_config() -> SimulatorConfig:
    return SimulatorConfig(
        maker_fee_rate=Decimal("0.001"),
        taker_fee_rate=Decimal("0.002"),
        book=BookShapeConfig(
            levels=5,
            spread_bps=Decimal(0),
            level_spacing_bps=Decimal(100),
            level_notional=Decimal("110"),
            depth_decay=Decimal(1),
        ),
        filters=OrderFilterConfig(max_open_orders=6, max_open_trigger_orders=3),
    )
