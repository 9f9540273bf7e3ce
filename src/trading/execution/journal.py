"""The journal: an order is durable before it is sent, and no intent is sent twice."""

from __future__ import annotations

import hashlib
import json
import logging
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

from trading.errors import DecisionRejectedError, StoreError, TradingHaltedError
from trading.model.breaker import BreakerStatus
from trading.model.operations import ENTRIES
from trading.risk.entry_facts import TradeHistory
from trading.risk.proposal_rules import SpikeFacts
from trading.storage.approval_repository import ApprovalRepository
from trading.storage.database import transaction, translated_errors
from trading.storage.equity_repository import EquityMarkRepository
from trading.storage.fill_repository import FillRepository
from trading.storage.funding_repository import FundingRepository
from trading.storage.order_repository import OrderRecord, OrderRepository
from trading.storage.position_repository import PositionRepository, SpikeLookup, TradeRepository
from trading.storage.reconciliation_repository import ReconciliationRepository
from trading.storage.simulation_repository import SimulationRepository

logger = logging.getLogger(__name__)

PREFIX = "sg-"
Write = Callable[[], object]
HASH_DIGITS = 32  # with the prefix 35 characters; the venue takes 36


def intent_hash(identity: Mapping[str, str]) -> str:
    """SHA-256 of what makes an intent this one and no other, in hexadecimal."""
    canonical = json.dumps(dict(identity), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def client_order_id(digest: str) -> str:
    """The order id that goes to the venue for an intent: the same intent, the same id."""
    return PREFIX + digest[:HASH_DIGITS]


def entry_identity(venue: str, spike_id: str, symbol: str) -> dict[str, str]:
    """One spike is entered once on a venue, whatever size or price a retry asks for."""
    return {"kind": "entry", "venue": venue, "spike": spike_id, "symbol": symbol}


def exit_identity(venue: str, entry_id: str, purpose: str, number: int) -> dict[str, str]:
    """The ``number``-th order that protects or closes an entry."""
    return {
        "kind": "exit",
        "venue": venue,
        "entry": entry_id,
        "purpose": purpose,
        "number": str(number),
    }


class Journal:
    """Owns the repositories of the order path over one durable connection.

    ``obey_breaker`` False (a breaker switched off by configuration) skips the breaker's row.
    ``on_failure`` is told when an order could not be journalled, and so was not sent: where no
    entry can be made durable, no protective stop can either.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        venue: str,
        *,
        on_failure: Callable[[StoreError], None],
        obey_breaker: bool = True,
    ) -> None:
        self._connection = connection
        self._on_failure = on_failure
        self._obey_breaker = obey_breaker
        self.venue = venue
        self.orders = OrderRepository(connection, venue)
        self.funding = FundingRepository(connection, venue)
        self.fills = FillRepository(connection)
        self.positions = PositionRepository(connection, venue)
        self.trades = TradeRepository(connection, venue)
        self.spikes = SpikeLookup(connection)
        self.simulations = SimulationRepository(connection)
        self.approvals = ApprovalRepository(connection, venue)
        self.equity_marks = EquityMarkRepository(connection, venue)
        self.reconciliations = ReconciliationRepository(connection, venue)
        self._allowed: tuple[int, int] | None = None  # data version and epoch of the last check
        self._owed: list[tuple[str, tuple[Write, ...]]] = []  # what the store has refused, in order

    def open_entry(self, record: OrderRecord) -> None:
        """Make an entry durable, in the transaction that reads the breaker's row.

        Another process on the same store may have tripped: its commit stands either before this
        transaction, which then refuses, or after it, and then it finds this order to resolve.

        Raises:
            TradingHaltedError: the stored breaker, or an operator, blocks entries.
            DecisionRejectedError: the stored epoch is another, or the intent is journalled already.
            StoreError: not durable; nothing may be sent.
        """
        with self._opening("journalling an entry", settled=True):
            self._check_operators_halt()
            if self._obey_breaker:
                self._check_breaker_row(record.epoch)
            if self.orders.by_intent(record.intent_hash) is not None:
                raise DecisionRejectedError(
                    "duplicate_intent", f"{record.id} was made before", limit="1", value="2"
                )
            self.orders.insert(record)

    def check_breaker(self, epoch: int) -> None:
        """Raise unless the store still allows an entry that was decided under ``epoch``.

        Costs one PRAGMA while nobody else has written to the store since the last check.

        Raises:
            TradingHaltedError: the stored breaker or an operator blocks entries, or they cannot
                be read.
            DecisionRejectedError: the stored epoch is another.
        """
        try:
            with translated_errors("reading the breaker's row"):
                version = self._connection.execute("PRAGMA data_version").fetchone()[0]
                if self._allowed != (version, epoch):
                    self._allowed = None
                    self._check_operators_halt()
                    if self._obey_breaker:
                        self._check_breaker_row(epoch)
        except StoreError as error:
            raise TradingHaltedError(str(error)) from error
        self._allowed = (version, epoch)

    def open_reduction(self, record: OrderRecord) -> None:
        """Make a protective or closing order durable. Raises StoreError."""
        with suppress(StoreError):  # an exit is not held up by what came before it
            self.settle()
        with self._opening("journalling an exit"):
            self.orders.insert(record)

    def write(self, what: str, *writes: Write) -> None:
        """Several writes in one durable transaction, after all that is owed. Raises StoreError."""
        self.settle()
        with transaction(self._connection, what):
            for write in writes:
                write()

    def write_or_owe(self, what: str, *writes: Write) -> None:
        """Like ``write``, for what has happened already: refused, it is written as soon as the
        store takes it, before anything that comes after it. Raises StoreError all the same."""
        try:
            self.write(what, *writes)
        except StoreError as error:
            if not _is_wrong(error):
                self._owed.append((what, writes))
            raise

    @property
    def owes(self) -> bool:
        """Whether something that happened is not in the store yet."""
        return bool(self._owed)

    def settle(self) -> None:
        """Write what is owed. Raises StoreError while the store does not take it."""
        while self._owed:
            what, writes = self._owed[0]
            try:
                with transaction(self._connection, what):
                    for write in writes:
                        write()
            except StoreError as error:
                if not _is_wrong(error):
                    raise
                logger.critical("%s will never be stored: %s", what, error)
            del self._owed[0]

    def spike(self, spike_id: str) -> SpikeFacts | None:
        """A recorded spike; None when there is none of that id."""
        found = self.spikes.find(spike_id)
        return SpikeFacts(*found) if found is not None else None

    def history(self, trades: int, since_ms: int) -> TradeHistory:
        """The newest closed trades, at most so many, of those closed since."""
        newest = self.trades.newest(trades, since_ms)
        return TradeHistory(
            profits=tuple(profit for profit, _ in newest),
            last_closed_at_ms=newest[0][1] if newest else None,
        )

    def recovered_at_ms(self) -> int | None:
        """When the last halt was over, by rule or by an operator's override; None: never."""
        with translated_errors("reading the last recovery"):
            row = self._connection.execute(
                "SELECT max(triggered_at_ms) FROM circuit_breaker_events WHERE kind = 'clear'"
            ).fetchone()
        return None if row[0] is None else int(row[0])

    def next_exit_number(self, entry_id: str) -> int:
        return self.orders.children(entry_id) + 1

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def _opening(self, what: str, *, settled: bool = False) -> Iterator[None]:
        try:
            if settled:  # limits are judged by what is stored
                self.settle()
            with transaction(self._connection, what):
                yield
        except StoreError as error:
            self._on_failure(error)
            raise

    def _check_operators_halt(self) -> None:
        row = self._connection.execute(
            "SELECT reason FROM operating_controls WHERE name = ?", (ENTRIES,)
        ).fetchone()
        if row is not None:
            raise TradingHaltedError(f"an operator halted entries: {row['reason']}")

    def _check_breaker_row(self, epoch: int) -> None:
        row = self._connection.execute(
            "SELECT status, epoch, size_multiplier FROM breaker_state WHERE id = 1"
        ).fetchone()
        if row is None:
            raise StoreError("the breaker's state is missing from the store")
        if row["status"] == BreakerStatus.TRIGGERED or row["size_multiplier"] <= 0:
            raise TradingHaltedError(f"the stored breaker is {row['status']}")
        if row["epoch"] != epoch:
            raise DecisionRejectedError(
                "epoch",
                f"decided under epoch {epoch}, the stored one is {row['epoch']}",
                limit=str(row["epoch"]),
                value=str(epoch),
            )


def _is_wrong(error: StoreError) -> bool:
    """Whether the store will refuse it for ever: the rows contradict those it has."""
    return isinstance(error.__cause__, sqlite3.IntegrityError)
