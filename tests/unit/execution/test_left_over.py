"""What no order can sell is kept apart by entry, and counted once."""

from __future__ import annotations

from decimal import Decimal

from trading.execution.ledger import Share
from trading.execution.positions import PositionBook
from trading.model.market import Instrument
from trading.model.order import OrderPurpose, OrderRequest, OrderType, Side
from trading.storage.order_repository import OrderRecord

INSTRUMENT = Instrument(
    symbol="ABCUSDT",
    base_asset="ABC",
    quote_asset="USDT",
    tick_size=Decimal("0.01"),
    step_size=Decimal("0.1"),
    min_quantity=Decimal("0.1"),
    max_quantity=Decimal("1000"),
    min_notional=Decimal("5"),
)


def entry(name: str) -> OrderRecord:
    return OrderRecord(
        request=OrderRequest(
            client_order_id=name,
            symbol="ABCUSDT",
            side=Side.BUY,
            type=OrderType.MARKET,
            quantity=Decimal(1),
            purpose=OrderPurpose.ENTRY,
        ),
        intent_hash=name,
        epoch=0,
        created_at_ms=0,
        updated_at_ms=0,
    )


def left_over(positions: PositionBook, name: str, quantity: str) -> None:
    """An entry that has bought less than can be sold, and is done."""
    share = Share(Side.BUY, Decimal(quantity), Decimal(quantity) * 10)
    positions.apply(entry(name), share, entry_is_final=True, now_ms=0)


def test_an_entry_whose_position_closes_again_leaves_its_remainder_once() -> None:
    positions = PositionBook({"ABCUSDT": INSTRUMENT})
    for _ in range(3):
        left_over(positions, "sg-1", "0.05")
    assert positions.dust("ABC") == Decimal("0.05")
    left_over(positions, "sg-2", "0.02")
    assert positions.dust("ABC") == Decimal("0.07")


def test_what_counts_as_the_accounts_own_is_left_over_no_more() -> None:
    positions = PositionBook({"ABCUSDT": INSTRUMENT})
    left_over(positions, "sg-1", "0.05")
    positions.forget_dust("ABC")
    assert positions.dust("ABC") == 0
