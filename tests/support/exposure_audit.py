"""Compares our books with the exchange's own, independently of the code that keeps ours.

At every moment at which either side has just changed, for every entry, in the quote asset:

* *not under-reserved*: what the exchange has filled, plus what its open order may still buy at its
  limit, is at most what we count as filled plus what we reserve;
* *not over-reserved*: we reserve exactly limit × (quantity − what we count as filled) while the
  order's end is not known to us, nothing afterwards, and nothing without an order;
* what we believe is free to spend (cash less reservations) is at most what the exchange would let
  us spend.

At the end, when every outcome is known: each order stands with us as it stands at the exchange,
every fill is booked once, and cash, positions and reservations are the exchange's.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from decimal import Decimal

from trading.execution.service import ExecutionService
from trading.model.order import ZERO, OrderPurpose, OrderStatus, Side
from trading.simulator.exchange import SimulatedExchange
from trading.simulator.orders import SimOrder
from trading.storage.order_repository import OrderRecord

CENT = Decimal("0.01")
UNDER, OVER = "under-reserved", "over-reserved"
DUPLICATE, UNSURE, BOOKS = "more than one order", "not definite", "books differ"


class ExposureAudit:
    """Collects violations by kind. ``service`` gives the service that runs, if one does."""

    def __init__(
        self,
        exchange: SimulatedExchange,
        service: Callable[[], ExecutionService | None],
        account_id: str = "main",
    ) -> None:
        self._exchange = exchange
        self._service = service
        self._account_id = account_id
        self.violations: defaultdict[str, list[str]] = defaultdict(list)
        self.samples = 0

    def sample(self) -> None:
        """Check this moment."""
        service = self._service()
        if service is None or service._opened is None:
            return
        self.samples += 1
        parts = service._opened
        orders = {order.client_order_id: order for order in self.venue_orders()}
        reserved = parts.books.reservations.by_symbol()
        expected: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
        entries = self._entries(service)
        for record in entries:
            limit = record.request.limit_price
            assert limit is not None
            ours = ZERO
            if not record.status.is_final:
                ours = limit * (record.request.quantity - record.filled_quantity)
                expected[record.symbol] += ours
            order = orders.get(record.id)
            if order is None:
                continue
            open_quantity = ZERO if order.status.is_final else order.remaining
            worst = order.filled_notional + open_quantity * limit
            counted = record.filled_notional + min(ours, reserved.get(record.symbol, ZERO))
            if worst > counted:
                self._note(UNDER, f"{record.id}: {worst} at the venue, {counted} with us")
        for symbol in {*reserved, *expected}:
            held, wanted = reserved.get(symbol, ZERO), expected[symbol]
            if held > wanted:
                self._note(OVER, f"{symbol}: {held} reserved, {wanted} needed")
            elif held < wanted:
                self._note(UNDER, f"{symbol}: {held} reserved, {wanted} needed")
        account = parts.books.account
        if account.known:
            spendable = account.cash - sum(reserved.values(), ZERO)
            free = self._exchange.balances(self._account_id)["USDT"].free
            if spendable > free + CENT:
                self._note(UNDER, f"{spendable} free with us, {free} at the venue")

    def final(self, initial_cash: Decimal, posts: Counter[str]) -> None:
        """Check the end: everything is quiet and every outcome should be known."""
        self.sample()
        service = self._service()
        assert service is not None
        parts = service._parts
        venue: defaultdict[str, list[SimOrder]] = defaultdict(list)
        for order in self.venue_orders():
            venue[order.client_order_id].append(order)
        for order_id, count in posts.items():
            if count > 1:
                self._note(DUPLICATE, f"{order_id} left {count} times")
        for order_id, same in venue.items():
            if len(same) > 1:
                self._note(DUPLICATE, f"{order_id} is {len(same)} orders at the venue")
        records = {record.id: record for record in self._all(service)}
        intents = Counter(record.spike_id for record in records.values() if _is_entry(record))
        for spike_id, count in intents.items():
            if count > 1:
                self._note(DUPLICATE, f"{spike_id} was entered {count} times")
        for order_id in venue.keys() - records.keys():
            self._note(DUPLICATE, f"{order_id} is not in our journal")
        for record in records.values():
            self._compare(record, venue.get(record.id, []), service)
        balances = self._exchange.balances(self._account_id)
        booked = self._booked(service, records.values())
        booked["USDT"] += initial_cash
        account, theirs = parts.books.account, balances["USDT"].total
        if not account.known or abs(account.cash - theirs) >= CENT / 100:
            cash = account.cash if account.known else "unknown"
            self._note(BOOKS, f"cash is {cash}, {theirs} at the venue")
        for asset in {*booked, *balances}:
            theirs = balances[asset].total if asset in balances else ZERO
            if booked[asset] != theirs:
                self._note(BOOKS, f"fills make {booked[asset]} {asset}, {theirs} at the venue")
        for instrument in self._exchange.instruments.values():
            held = parts.books.positions.get(instrument.symbol)
            base = instrument.base_asset
            # What was left over before a restart counts as the account's own afterwards.
            rest = parts.books.positions.dust(base) + parts.books.account.external.get(base, ZERO)
            ours = (held.quantity if held else ZERO) + rest
            price = Decimal(repr(self._exchange.last_price(instrument.symbol)))
            # Each round trip may leave less than one step.
            steps = instrument.step_size * sum(
                record.symbol == instrument.symbol for record in records.values()
            )
            too_much = rest * price > 2 * instrument.min_notional and rest > steps
            if ours != booked[base] or too_much:
                self._note(
                    BOOKS, f"{ours} {base} with us ({rest} left over), {booked[base]} bought"
                )
        remaining = sum(
            (o.remaining * o.limit_price for o in self._open_buys() if o.limit_price), ZERO
        )
        if parts.books.reservations.total != remaining:
            kind = OVER if parts.books.reservations.total > remaining else UNDER
            self._note(kind, f"{parts.books.reservations.total} reserved, {remaining} is open")

    def _booked(
        self, service: ExecutionService, records: Iterable[OrderRecord]
    ) -> defaultdict[str, Decimal]:
        """What all stored fills have moved, by asset."""
        moved: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
        for record in records:
            base = self._exchange.instruments[record.symbol].base_asset
            for fill in service._parts.journal.fills.of_order(record.id):
                sign = 1 if fill.side is Side.BUY else -1
                moved[base] += sign * fill.quantity
                moved["USDT"] -= sign * fill.notional
                moved[fill.fee_asset] -= fill.fee
        return moved

    def venue_orders(self) -> list[SimOrder]:
        """Every order the exchange ever accepted from us."""
        return [
            order
            for symbol in self._exchange.instruments
            for order in self._exchange.all_orders(self._account_id, symbol)
        ]

    def _compare(
        self, record: OrderRecord, same: list[SimOrder], service: ExecutionService
    ) -> None:
        if record.is_unresolved:
            self._note(UNSURE, f"{record.id} is {record.status}")
        elif not same:
            if record.status is not OrderStatus.REJECTED:
                self._note(UNSURE, f"{record.id} is {record.status}, and not at the venue")
        elif (record.status, record.filled_quantity) != (same[0].status, same[0].filled_quantity):
            self._note(
                UNSURE,
                f"{record.id} is {record.status} {record.filled_quantity}, at the venue "
                f"{same[0].status} {same[0].filled_quantity}",
            )
        else:
            booked = {f.trade_id for f in service._parts.journal.fills.of_order(record.id)}
            executed = {str(execution.trade_id) for execution in same[0].executions}
            if booked != executed:
                self._note(BOOKS, f"{record.id}: fills {booked}, {executed} at the venue")

    def _open_buys(self) -> list[SimOrder]:
        orders = self._exchange.open_orders(self._account_id)
        return [order for order in orders if order.side is Side.BUY]

    def _entries(self, service: ExecutionService) -> list[OrderRecord]:
        return [record for record in self._all(service) if _is_entry(record)]

    def _all(self, service: ExecutionService) -> list[OrderRecord]:
        desk = service._parts.desk
        rows = service._parts.journal._connection.execute("SELECT client_order_id FROM orders")
        found = (desk.find(row[0]) for row in rows.fetchall())
        return [record for record in found if record is not None]

    def _note(self, kind: str, what: str) -> None:
        if len(self.violations[kind]) < 20:
            self.violations[kind].append(what)


def _is_entry(record: OrderRecord) -> bool:
    return record.purpose is OrderPurpose.ENTRY
