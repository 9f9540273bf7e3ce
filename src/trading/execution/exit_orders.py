"""Builds the orders that protect and close positions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

from trading.clock import Clock
from trading.execution.config import ExecutionConfig
from trading.execution.journal import Journal, client_order_id, exit_identity, intent_hash
from trading.execution.positions import HeldPosition
from trading.model.market import Instrument
from trading.model.order import OrderPurpose, OrderRequest, OrderType, Side, TimeInForce
from trading.risk.sizing import percent
from trading.storage.order_repository import OrderRecord


class ExitOrders:
    """Sell orders with ids that follow from the entry and a running number."""

    def __init__(
        self,
        *,
        journal: Journal,
        instruments: Mapping[str, Instrument],
        config: ExecutionConfig,
        clock: Clock,
        epoch: Callable[[], int],
        price: Callable[[str], Decimal | None],
    ) -> None:
        self._journal = journal
        self._instruments = instruments
        self._offset = percent(config.stop_limit_offset_pct)
        self._clock = clock
        self._epoch = epoch
        self._price = price

    def stop(self, held: HeldPosition, quantity: Decimal, kind: OrderType) -> OrderRecord:
        """A protective stop of ``kind`` at the position's stop price."""
        trigger = held.stop_price
        if trigger is None:
            raise ValueError(f"the position in {held.symbol} has no stop price")
        limit = None
        if kind is OrderType.STOP_LOSS_LIMIT:
            limit = self.round_price(held.symbol, trigger * (1 - self._offset))
        return self._record(
            held,
            OrderPurpose.PROTECTIVE_STOP,
            kind,
            quantity,
            "protective stop",
            limit_price=limit,
            trigger_price=trigger,
            time_in_force=TimeInForce.GTC if limit is not None else None,
        )

    def market_sell(self, held: HeldPosition, quantity: Decimal, reason: str) -> OrderRecord:
        return self._record(held, OrderPurpose.EXIT, OrderType.MARKET, quantity, reason)

    def limit_sell(
        self, held: HeldPosition, quantity: Decimal, worst_price: Decimal, reason: str
    ) -> OrderRecord:
        """Take profit: sell at once at ``worst_price`` or better, and leave nothing resting."""
        return self._record(
            held,
            OrderPurpose.TAKE_PROFIT,
            OrderType.LIMIT,
            quantity,
            reason,
            limit_price=self.round_price(held.symbol, worst_price),
            time_in_force=TimeInForce.IOC,
        )

    def round_price(self, symbol: str, price: Decimal) -> Decimal:
        """The nearest price the venue takes, at least one tick."""
        instrument = self._instruments[symbol]
        return max(instrument.round_price(price), instrument.tick_size)

    def _record(
        self,
        held: HeldPosition,
        purpose: OrderPurpose,
        kind: OrderType,
        quantity: Decimal,
        reason: str,
        *,
        limit_price: Decimal | None = None,
        trigger_price: Decimal | None = None,
        time_in_force: TimeInForce | None = None,
    ) -> OrderRecord:
        number = self._journal.next_exit_number(held.entry_id)
        digest = intent_hash(
            exit_identity(self._journal.venue, held.entry_id, purpose.value, number)
        )
        now_ms = self._clock.now_ms()
        return OrderRecord(
            request=OrderRequest(
                client_order_id=client_order_id(digest),
                symbol=held.symbol,
                side=Side.SELL,
                type=kind,
                quantity=quantity,
                limit_price=limit_price,
                trigger_price=trigger_price,
                time_in_force=time_in_force,
                purpose=purpose,
            ),
            intent_hash=digest,
            epoch=self._epoch(),
            created_at_ms=now_ms,
            updated_at_ms=now_ms,
            spike_id=held.spike_id,
            parent_id=held.entry_id,
            reason=reason,
            # A stop is decided on at its trigger, everything else now.
            decision_price=trigger_price or self._price(held.symbol),
        )
