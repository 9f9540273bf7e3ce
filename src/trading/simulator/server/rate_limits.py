"""Request weight and order counts, in windows aligned to wall time as on the venue."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from trading.simulator.server.limit_config import RequestLimitConfig
from trading.simulator.server.wire_errors import WireError

MINUTE_S = 60
FIVE_MINUTES_S = 300


@dataclass(slots=True)
class Window:
    """A counter that starts again at every multiple of ``length_s``."""

    length_s: int
    started: int = -1
    count: int = 0

    def at(self, now_s: float) -> Window:
        started = int(now_s) // self.length_s
        if started != self.started:
            self.started, self.count = started, 0
        return self

    @property
    def end_s(self) -> float:
        return (self.started + 1) * self.length_s

    def seconds_left(self, now_s: float) -> int:
        return _whole_seconds(self.end_s - now_s)


class RateLimiter:
    """Counts and refuses: 429 past a limit, 418 for who goes on calling in spite of it."""

    def __init__(self, config: RequestLimitConfig, now_s: Callable[[], float] = time.time) -> None:
        self._config = config
        self._now_s = now_s
        self._weights: dict[str, Window] = {}
        self._orders: dict[str, tuple[Window, ...]] = {}
        self._refused: dict[str, Window] = {}
        self._banned_until_s: dict[str, float] = {}
        self._refusing_until_s: dict[str, float] = {}
        self._bans: dict[str, int] = {}
        self._requests: dict[str, Window] = {}
        self._connections: dict[str, Window] = {}
        self._pools: dict[tuple[str, str], Window] = {}

    def charge(self, ip: str, weight: int) -> int:
        """Add ``weight``; returns what the IP has used this minute. Raises WireError 429 or 418."""
        now = self._now_s()
        banned_until = self._banned_until_s.get(ip, 0.0)
        if now < banned_until:
            raise self._banned(banned_until, now)
        requests = self._requests.setdefault(ip, Window(FIVE_MINUTES_S)).at(now)
        requests.count += 1
        window = self._weights.setdefault(ip, Window(MINUTE_S)).at(now)
        window.count += weight
        refusing_until = self._refusing_until_s.get(ip, 0.0)
        within = window.count <= self._config.weight_per_minute
        if within and requests.count > self._config.requests_per_5min:
            refusing_until = max(refusing_until, requests.end_s)
        if within and now >= refusing_until:
            return window.count
        refused = self._refused.setdefault(ip, Window(MINUTE_S)).at(now)
        refused.count += 1
        if refused.count > self._config.calls_before_ban:
            ban_s = min(self._config.ban_s * 2 ** self._bans.get(ip, 0), self._config.max_ban_s)
            self._bans[ip] = self._bans.get(ip, 0) + 1
            self._banned_until_s[ip] = now + ban_s
            raise self._banned(now + ban_s, now)
        raise WireError(
            -1003,
            self._config.too_much(),
            status=429,
            retry_after_s=(
                _whole_seconds(refusing_until - now)
                if now < refusing_until
                else window.seconds_left(now)
            ),
        )

    def charge_pool(self, ip: str, pool: str) -> None:
        """Count a call against a limit of its own. Raises WireError 429 or 418."""
        now = self._now_s()
        if now < self._banned_until_s.get(ip, 0.0):
            raise self._banned(self._banned_until_s[ip], now)
        window = self._pools.setdefault((ip, pool), Window(FIVE_MINUTES_S)).at(now)
        window.count += 1
        most = self._config.pools[pool]
        if window.count > most:
            raise WireError(
                -1003,
                f"Too many requests; current limit is {most} requests per 5 MINUTE.",
                status=429,
                retry_after_s=window.seconds_left(now),
            )

    def refuse(self, ip: str, for_s: float, *, banned: bool) -> None:
        """Refuse every call of ``ip`` for ``for_s`` seconds, with 418 if banned, else with 429."""
        until_s = self._banned_until_s if banned else self._refusing_until_s
        until_s[ip] = self._now_s() + for_s

    def used_weight(self, ip: str) -> int:
        return self._weights.setdefault(ip, Window(MINUTE_S)).at(self._now_s()).count

    def connect(self, ip: str) -> None:
        """Count a new WebSocket. Raises WireError 429."""
        now = self._now_s()
        window = self._connections.setdefault(ip, Window(FIVE_MINUTES_S)).at(now)
        window.count += 1
        if window.count > self._config.connections_per_5min:
            raise WireError(
                -1034,
                f"Too many new connections; current limit is {self._config.connections_per_5min}"
                " connections per 5 MINUTE.",
                status=429,
                retry_after_s=window.seconds_left(now),
            )

    def check_orders(self, account_id: str, count: int = 1) -> None:
        """Raises WireError -1015 when the account may not send ``count`` more orders now."""
        now = self._now_s()
        windows = self._order_windows(account_id)
        for window, limit in zip(windows, self._config.order_limits, strict=True):
            if window.count + count > limit.most:
                raise WireError(
                    -1015,
                    f"Too many new orders; current limit is {limit.most} orders per {limit.label}.",
                    status=429,
                    retry_after_s=window.seconds_left(now),
                )

    def count_order(self, account_id: str, change: int = 1) -> None:
        """A new order was accepted (+1), or an order had its first fill (-1)."""
        for window in self._order_windows(account_id):
            window.count = max(0, window.count + change)

    def order_counts(self, account_id: str) -> tuple[int, ...]:
        """Orders in the current window of each limit."""
        return tuple(window.count for window in self._order_windows(account_id))

    def order_headers(self, account_id: str) -> dict[str, str]:
        """The counts as response headers."""
        counts = zip(self._config.order_limits, self.order_counts(account_id), strict=True)
        return {limit.header: str(count) for limit, count in counts}

    def _order_windows(self, account_id: str) -> tuple[Window, ...]:
        windows = self._orders.get(account_id)
        if windows is None:
            limits = self._config.order_limits
            windows = self._orders[account_id] = tuple(Window(limit.length_s) for limit in limits)
        now = self._now_s()
        return tuple(window.at(now) for window in windows)

    def _banned(self, until_s: float, now_s: float) -> WireError:
        return WireError(
            -1003,
            self._config.banned_until(int(until_s * 1000)),
            status=418,
            retry_after_s=_whole_seconds(until_s - now_s),
        )


def _whole_seconds(left_s: float) -> int:
    return max(1, int(left_s) + 1)
