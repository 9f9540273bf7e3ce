"""Reports in any order, any number of times, give the same order."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from trading.execution.journal import client_order_id, entry_identity, intent_hash
from trading.execution.ledger import fold, share_of
from trading.model.market import Instrument
from trading.model.order import (
    Fill,
    OrderPurpose,
    OrderReport,
    OrderRequest,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
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
QUANTITY = Decimal(10)


def record(side: Side = Side.BUY) -> OrderRecord:
    return OrderRecord(
        request=OrderRequest(
            client_order_id="sg-1",
            symbol="ABCUSDT",
            side=side,
            type=OrderType.LIMIT,
            quantity=QUANTITY,
            limit_price=Decimal(10),
            time_in_force=TimeInForce.GTC,
            purpose=OrderPurpose.ENTRY,
        ),
        intent_hash="h",
        epoch=0,
        created_at_ms=0,
        updated_at_ms=0,
        reserved_notional=Decimal(100),
    )


def fill(number: int, quantity: Decimal) -> Fill:
    return Fill(
        trade_id=str(number),
        client_order_id="sg-1",
        symbol="ABCUSDT",
        side=Side.BUY,
        price=Decimal(10),
        quantity=quantity,
        fee=quantity / 1000,
        fee_asset="ABC",
        is_maker=False,
        time_ms=number,
    )


def report(status: OrderStatus, filled: Decimal, *fills: Fill) -> OrderReport:
    return OrderReport(
        client_order_id="sg-1",
        venue_order_id="7",
        symbol="ABCUSDT",
        side=Side.BUY,
        type=OrderType.LIMIT,
        status=status,
        quantity=QUANTITY,
        filled_quantity=filled,
        filled_notional=filled * 10,
        time_ms=0,
        fills=fills,
    )


def history(sizes: list[int], cancelled: bool) -> list[OrderReport]:
    """Every report a venue would send for an order that fills in ``sizes`` tenths."""
    reports = [report(OrderStatus.NEW, Decimal(0))]
    done = Decimal(0)
    for number, size in enumerate(sizes):
        quantity = min(Decimal(size) / 10, QUANTITY - done)
        if quantity <= 0:
            break
        done += quantity
        status = OrderStatus.FILLED if done == QUANTITY else OrderStatus.PARTIALLY_FILLED
        reports.append(report(status, done, fill(number, quantity)))
    if cancelled and done < QUANTITY:
        reports.append(report(OrderStatus.CANCELED, done))
    return reports


def fold_all(reports: list[OrderReport]) -> OrderRecord:
    current, known = record(), {}
    for item in reports:
        known.update({f.trade_id: f for f in item.fills})
        before = current
        current = fold(current, item, known.values(), 1)
        assert current.filled_quantity >= before.filled_quantity
        assert current.reserved_now <= before.reserved_now
    return current


@given(
    st.lists(st.integers(1, 60), max_size=6),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_the_order_of_reports_does_not_matter(
    sizes: list[int], cancelled: bool, random: object
) -> None:
    reports = history(sizes, cancelled)
    shuffled = [*reports, *reports]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert fold_all(shuffled) == fold_all(reports)


def test_a_report_without_fills_counts_and_its_late_fills_do_not_count_again() -> None:
    total = report(OrderStatus.FILLED, QUANTITY)
    first = fold(record(), total, [], 1)
    assert first.status is OrderStatus.FILLED
    fills = [fill(1, Decimal(4)), fill(2, Decimal(6))]
    late = fold(first, report(OrderStatus.FILLED, QUANTITY, *fills), fills, 2)
    assert late is first
    rate = Decimal("0.001")
    assumed = share_of(first, [], INSTRUMENT, fee_rate=rate, value_of=lambda _: None)
    known = share_of(late, fills, INSTRUMENT, fee_rate=rate, value_of=lambda _: None)
    assert assumed.base_change == known.base_change == Decimal("9.99")
    assert (assumed.estimated, known.estimated) == (QUANTITY, 0)


def test_an_order_given_up_for_never_sent_comes_back_when_the_venue_has_it() -> None:
    given_up = fold(record(), report(OrderStatus.NEW, Decimal(0)), [], 1)
    lost = replace(record(), status=OrderStatus.REJECTED)
    assert fold(lost, report(OrderStatus.NEW, Decimal(0)), [], 1).status is given_up.status


def test_fees_in_a_third_asset_touch_neither_cash_nor_position() -> None:
    paid_in_bnb = fill(1, QUANTITY).model_copy(update={"fee": Decimal(1), "fee_asset": "BNB"})
    done = fold(record(), report(OrderStatus.FILLED, QUANTITY, paid_in_bnb), [paid_in_bnb], 1)
    share = share_of(
        done, [paid_in_bnb], INSTRUMENT, fee_rate=Decimal(0), value_of=lambda _: Decimal(300)
    )
    assert (share.base_change, share.cash_change, share.other_fee) == (10, -100, 300)


def test_ids_follow_from_the_intent_and_fit_the_venue() -> None:
    digest = intent_hash(entry_identity("sim", "spk-1", "ABCUSDT"))
    again = intent_hash(dict(reversed(entry_identity("sim", "spk-1", "ABCUSDT").items())))
    other = intent_hash(entry_identity("sim", "spk-2", "ABCUSDT"))
    assert digest == again != other
    name = client_order_id(digest)
    assert name.startswith("sg-")
    assert len(name) <= 36
