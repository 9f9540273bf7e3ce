"""Keeps the account's equity over time on record, with the price it is compared with."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from trading.events import EquityMeasured, EventBus
from trading.node.records import Records, RecordTables


class EquityRecorder:
    """``benchmark_price`` is the last price of what holding is measured by; None while unknown.

    The order thread publishes; the records' thread writes.
    """

    def __init__(
        self,
        records: Records,
        bus: EventBus,
        venue: str,
        benchmark_price: Callable[[], float | None],
    ) -> None:
        self._records = records
        self._venue = venue
        self._benchmark_price = benchmark_price
        bus.subscribe(EquityMeasured, self._on_measured)

    def _on_measured(self, event: EquityMeasured) -> None:
        price = self._benchmark_price()
        point = event.point.model_copy(
            update={"benchmark_price": Decimal(repr(price)) if price else None}
        )

        def write(tables: RecordTables) -> None:
            tables.equity.record(self._venue, point)

        self._records.write(write)
