"""Futures' user data: engine events to the sockets that listen under an account's key."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import orjson

from trading.simulator.config import UserEventOrder
from trading.simulator.futures.events import (
    AccountEvent,
    AlgoEvent,
    ConfigEvent,
    FuturesEvent,
    MarginCallEvent,
)
from trading.simulator.futures.exchange import FuturesExchange
from trading.simulator.futures.orders import AlgoStatus
from trading.simulator.orders import OrderEvent
from trading.simulator.server.connection import Connection
from trading.simulator.server.event_hub import EventHub
from trading.simulator.server.faults import Faults
from trading.simulator.server.usdm import event_wire
from trading.simulator.server.wire import Json

Wanted = frozenset[str] | None


class UserEventHub(EventHub):
    """Listeners by account: connection, its listen key, and the kinds of events that it wants."""

    def __init__(
        self, exchange: FuturesExchange, order: UserEventOrder, seed: int, faults: Faults
    ) -> None:
        super().__init__(order, seed)
        self._exchange = exchange
        self._faults = faults
        self._listeners: defaultdict[str, dict[Connection, tuple[str, Wanted]]] = defaultdict(dict)
        exchange.add_user_listener(self._on_event)

    def listen(
        self, connection: Connection, account_id: str, listen_key: str, wanted: Wanted = None
    ) -> None:
        """Send the account's events, all or those of the ``wanted`` kinds."""
        self._listeners[account_id][connection] = (listen_key, wanted)

    def forget(self, connection: Connection) -> None:
        """The connection is gone, or has unsubscribed."""
        for listeners in self._listeners.values():
            listeners.pop(connection, None)

    def key_expired(self, account_id: str, listen_key: str) -> None:
        """Tell all who listen under the key; they hear nothing more."""
        now_ms = self._exchange.clock.now_ms()
        notice = {"e": "listenKeyExpired", "E": now_ms, "listenKey": listen_key}
        self._send(account_id, orjson.dumps(notice))
        self._listeners.pop(account_id, None)

    def _on_event(self, event: FuturesEvent) -> None:
        account_id = event.account_id
        if not self._listeners.get(account_id):
            return
        sent_ms = max(self._exchange.clock.now_ms(), event.time_ms)
        delays = self._faults.event_delays(event)
        for payload in self._payloads(event, sent_ms):
            self._deliver(account_id, orjson.dumps(payload), delays)

    def _payloads(self, event: FuturesEvent, sent_ms: int) -> list[Json]:
        contracts = self._exchange.contracts
        match event:
            case OrderEvent():
                contract = contracts[event.order.symbol]
                full = event_wire.order_update(event, contract, sent_ms)
                if event.execution is None:
                    return [full]
                return [event_wire.trade_lite(event, contract, sent_ms), full]
            case AccountEvent():
                return [event_wire.account_update(event, contracts, sent_ms)]
            case MarginCallEvent():
                return [event_wire.margin_call(event, contracts, sent_ms)]
            case ConfigEvent():
                return [event_wire.config_update(event, sent_ms)]
            case AlgoEvent():
                update = event_wire.algo_update(event, contracts[event.algo.symbol], sent_ms)
                if event.status is AlgoStatus.REJECTED:
                    return [update, event_wire.trigger_rejected(event, sent_ms)]
                return [update]

    def _connections(self, account_id: str) -> Iterable[Connection]:
        return self._listeners[account_id]

    def _write(self, account_id: str, event: bytes) -> None:
        kind = ""
        for connection, (listen_key, wanted) in list(self._listeners[account_id].items()):
            if wanted is not None:
                kind = kind or str(orjson.loads(event)["e"])
                if kind not in wanted:
                    continue
            if connection.combined:
                connection.send_bytes(b'{"stream":"%b","data":%b}' % (listen_key.encode(), event))
            else:
                connection.send_bytes(event)
