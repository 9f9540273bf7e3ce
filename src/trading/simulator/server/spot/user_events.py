"""User data: engine events to the sockets that subscribed to an account."""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Iterable

import orjson

from trading.simulator.config import UserEventOrder
from trading.simulator.exchange import SimulatedExchange
from trading.simulator.orders import ListEvent, OrderEvent, UserEvent
from trading.simulator.server.connection import Connection
from trading.simulator.server.event_hub import EventHub
from trading.simulator.server.faults import Faults
from trading.simulator.server.spot import event_wire
from trading.simulator.server.wire import in_microseconds
from trading.simulator.server.wire_errors import WireError

LAST_SUBSCRIPTION_ID = 65_535


class UserEventHub(EventHub):
    """Subscriptions of connections to accounts."""

    def __init__(
        self, exchange: SimulatedExchange, order: UserEventOrder, seed: int, faults: Faults
    ) -> None:
        super().__init__(order, seed)
        self._exchange = exchange
        self._faults = faults
        self._execution_ids = itertools.count(1)
        self._subscriptions: defaultdict[str, dict[Connection, int]] = defaultdict(dict)
        self._next_ids: defaultdict[Connection, int] = defaultdict(int)
        exchange.add_user_listener(self._on_event)

    def subscribe(
        self, connection: Connection, account_id: str, *, microseconds: bool = False
    ) -> int:
        """Returns the subscription's id on this connection. Raises WireError -2035 if it is on."""
        subscribers = self._subscriptions[account_id]
        if connection in subscribers:
            raise WireError(-2035, "User Data Stream subscription already active.")
        if self._next_ids[connection] > LAST_SUBSCRIPTION_ID:
            raise WireError(-2042, "Maximum subscription ID reached for this connection.")
        connection.microseconds = microseconds
        subscribers[connection] = self._next_ids[connection]
        self._next_ids[connection] += 1
        return subscribers[connection]

    def unsubscribe(self, connection: Connection, subscription_id: int | None = None) -> None:
        """End one subscription of the connection, or all. Raises WireError -2036 if unknown."""
        ended = self._end(connection, subscription_id)
        if subscription_id is not None and not ended:
            raise WireError(-2036, "User Data Stream subscription not found.")
        for number in ended:
            notice = {"e": "eventStreamTerminated", "E": self._exchange.clock.now_ms()}
            # After the answer to the request that ended it.
            asyncio.get_running_loop().call_soon(
                connection.send, {"subscriptionId": number, "event": notice}
            )

    def _end(self, connection: Connection, subscription_id: int | None = None) -> list[int]:
        ended = []
        for subscribers in self._subscriptions.values():
            if connection in subscribers and subscription_id in (None, subscribers[connection]):
                ended.append(subscribers.pop(connection))
        return ended

    def forget(self, connection: Connection) -> None:
        """The connection is gone."""
        self._end(connection)
        self._next_ids.pop(connection, None)

    def subscriptions(self, connection: Connection) -> list[int]:
        found = (subs.get(connection) for subs in self._subscriptions.values())
        return sorted(subscription for subscription in found if subscription is not None)

    def _on_event(self, event: UserEvent) -> None:
        account_id = event.account_id
        if not self._subscriptions[account_id]:
            return
        sent_ms = max(self._exchange.clock.now_ms(), event.time_ms)
        if isinstance(event, OrderEvent):
            payload = event_wire.execution_report(event, next(self._execution_ids), sent_ms)
        elif isinstance(event, ListEvent):
            payload = event_wire.list_status(event, sent_ms)
        else:
            payload = event_wire.account_position(event, sent_ms)
        self._deliver(account_id, orjson.dumps(payload), self._faults.event_delays(event))

    def _connections(self, account_id: str) -> Iterable[Connection]:
        return self._subscriptions[account_id]

    def _write(self, account_id: str, event: bytes) -> None:
        for connection, subscription_id in self._subscriptions[account_id].items():
            shown = event
            if connection.microseconds:
                shown = orjson.dumps(in_microseconds(orjson.loads(event)))
            connection.send_bytes(b'{"subscriptionId":%d,"event":%b}' % (subscription_id, shown))
