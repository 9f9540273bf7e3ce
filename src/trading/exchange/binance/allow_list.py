"""No connection leaves for a host that is not the venue's.

python-binance sends some paths (``/sapi`` under ``testnet=``, ``/futures/data`` under ``demo=``)
to the production hosts whatever it was told. All its connections, HTTP and WebSocket, redirects
included, therefore pass one of the two guards below.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import aiohttp
from websockets.asyncio.client import ClientConnection

from trading.errors import ConfigurationError
from trading.exchange.venues import VenueEndpoints

DEFAULT_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}


class HostAllowList:
    """The (host, port) pairs of one venue's endpoints, and no others."""

    def __init__(self, endpoints: VenueEndpoints) -> None:
        self.targets = frozenset(_target(url) for url in endpoints.urls)

    def check(self, host: str | None, port: int | None) -> None:
        """Raises ConfigurationError unless ``host:port`` is one of the venue's."""
        if (host or "", port or 0) not in self.targets:
            allowed = ", ".join(f"{name}:{number}" for name, number in sorted(self.targets))
            raise ConfigurationError(
                f"connection to {host}:{port} refused: this venue is reached at {allowed} only"
            )

    def check_url(self, url: str) -> None:
        self.check(*_target(url))

    def websocket_factory(self) -> type[ClientConnection]:
        """``create_connection`` for ``websockets.connect``: no handshake with other hosts.

        The first address is checked before it is dialled (``check_url``); this one also covers
        the redirects that the library follows by itself.
        """
        allow_list = self

        class GuardedConnection(ClientConnection):
            async def handshake(self, *arguments: Any, **options: Any) -> None:
                uri = self.protocol.uri
                allow_list.check(uri.host, uri.port)
                await super().handshake(*arguments, **options)

        return GuardedConnection


class AllowListConnector(aiohttp.TCPConnector):
    """aiohttp's connector behind a ``HostAllowList``; raises ConfigurationError, sends nothing."""

    def __init__(self, allow_list: HostAllowList, **options: Any) -> None:
        super().__init__(**options)
        self._allow_list = allow_list

    async def connect(self, req: Any, traces: Any, timeout: Any) -> aiohttp.connector.Connection:  # noqa: ASYNC109 - aiohttp's signature
        self._allow_list.check(req.url.host, req.url.port)
        return await super().connect(req, traces, timeout)


def _target(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return (parts.hostname or "", parts.port or DEFAULT_PORTS.get(parts.scheme, 0))
