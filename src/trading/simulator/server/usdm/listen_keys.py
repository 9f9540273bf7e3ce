"""Listen keys: names under which an account's events can be heard, for an hour at a time."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

from trading.simulator.server.params import Params
from trading.simulator.server.signatures import ApiKey
from trading.simulator.server.wire import Json
from trading.simulator.server.wire_errors import WireError

LIFE_S = 3600.0


class ListenKeys:
    """At most one key an account; asking for it again prolongs it."""

    def __init__(self, on_end: Callable[[str, str], None], life_s: float = LIFE_S) -> None:
        """``on_end`` is told account and key when a key has expired."""
        self._on_end = on_end
        self._life_s = life_s
        self._keys: dict[str, tuple[str, float]] = {}  # account: key, end

    def start(self, key: ApiKey, _params: Params) -> Json:
        found = self._alive(key.account_id) or secrets.token_hex(32)
        self._keys[key.account_id] = (found, time.monotonic() + self._life_s)
        return {"listenKey": found}

    def keep_alive(self, key: ApiKey, _params: Params) -> Json:
        """Raises WireError -1125."""
        found = self._alive(key.account_id)
        if found is None:
            raise WireError(-1125, "This listenKey does not exist.")
        return self.start(key, _params)

    def close(self, key: ApiKey, _params: Params) -> Json:
        self._keys.pop(key.account_id, None)
        return {}

    def account_of(self, listen_key: str) -> str | None:
        """Whose key it is; None for one that is unknown or over."""
        for account_id, (found, _end) in self._keys.items():
            if found == listen_key:
                return account_id if self._alive(account_id) else None
        return None

    def expire(self) -> None:
        """Forget the keys whose hour is over, and tell."""
        now = time.monotonic()
        for account_id, (found, end) in list(self._keys.items()):
            if now >= end:
                del self._keys[account_id]
                self._on_end(account_id, found)

    def _alive(self, account_id: str) -> str | None:
        found, end = self._keys.get(account_id, ("", 0.0))
        return found if time.monotonic() < end else None
