"""The venues: where each listens, and the only hosts it may be reached at."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal

from pydantic import Field

from trading.model.base import ConfigModel

VenueName = Literal["sim", "testnet", "demo", "binance"]
# A host without a path, or nothing.
RestHost = Annotated[str, Field(pattern=r"^(https?://[^/\s?#]+)?$")]
StreamHost = Annotated[str, Field(pattern=r"^(wss?://[^/\s?#]+)?$")]

# Loopback is allowed beside these: the embedded exchange, and local recording proxies.
VENUE_HOSTS: dict[VenueName, frozenset[str]] = {
    "sim": frozenset(),
    "testnet": frozenset(
        {
            "testnet.binance.vision",
            "testnet.binancefuture.com",
            "stream.testnet.binance.vision",
            "fstream.binancefuture.com",
            "ws-api.testnet.binance.vision",
        }
    ),
    "demo": frozenset(
        {
            "demo-api.binance.com",
            "demo-fapi.binance.com",
            "demo-stream.binance.com",
            "demo-ws-api.binance.com",
            "demo-fstream.binance.com",
        }
    ),
    "binance": frozenset(
        {
            "api.binance.com",
            "api-gcp.binance.com",
            "api1.binance.com",
            "api2.binance.com",
            "api3.binance.com",
            "api4.binance.com",
            "data-api.binance.vision",
            "fapi.binance.com",
            "stream.binance.com",
            "data-stream.binance.vision",
            "fstream.binance.com",
            "ws-api.binance.com",
        }
    ),
}


class VenueEndpoints(ConfigModel):
    """Where the venue listens. An empty URL stands for the venue's own address."""

    rest_url: RestHost = Field(
        default="",
        description="REST host without a path, e.g. https://api.binance.com; empty: the venue's.",
    )
    stream_url: StreamHost = Field(
        default="",
        description="Market stream host, e.g. wss://stream.binance.com:9443; empty: the venue's.",
    )
    ws_api_url: str = Field(
        default="",
        pattern=r"^(wss?://[^\s?#]+)?$",
        description="WebSocket API with its path (…/ws-api/v3); empty: the venue's.",
    )
    futures_rest_url: RestHost = Field(
        default="",
        description="REST host of the USD-M futures, e.g. https://fapi.binance.com; empty: the"
        " venue's.",
    )
    fallback_rest_urls: tuple[Annotated[str, Field(pattern=r"^https?://[^/\s?#]+$")], ...] = Field(
        default=(),
        description="Other REST hosts of the venue, tried in turn when the one in use does not "
        "answer; empty: the venue's own (api1 to api4.binance.com for venue binance).",
    )
    futures_stream_url: StreamHost = Field(
        default="",
        description="Host of the USD-M futures' market streams, e.g. wss://fstream.binance.com;"
        " empty: the venue's. The embedded exchange has one, too; of the others only venues binance"
        " and demo: the testnets of spot and futures are two separate markets.",
    )

    @property
    def urls(self) -> tuple[str, ...]:
        """All that are known."""
        spot = (self.rest_url, self.stream_url, self.ws_api_url)
        futures = (self.futures_rest_url, self.futures_stream_url)
        every = (*spot, *self.fallback_rest_urls, *futures)
        return tuple(url for url in every if url)


DEFAULT_ENDPOINTS: dict[VenueName, VenueEndpoints] = {
    "sim": VenueEndpoints(),
    "testnet": VenueEndpoints(
        rest_url="https://testnet.binance.vision",
        stream_url="wss://stream.testnet.binance.vision",
        ws_api_url="wss://ws-api.testnet.binance.vision/ws-api/v3",
        futures_rest_url="https://testnet.binancefuture.com",
    ),
    "demo": VenueEndpoints(
        rest_url="https://demo-api.binance.com",
        stream_url="wss://demo-stream.binance.com",
        ws_api_url="wss://demo-ws-api.binance.com/ws-api/v3",
        futures_rest_url="https://demo-fapi.binance.com",
        futures_stream_url="wss://demo-fstream.binance.com",
    ),
    "binance": VenueEndpoints(
        rest_url="https://api.binance.com",
        fallback_rest_urls=tuple(f"https://api{number}.binance.com" for number in range(1, 5)),
        stream_url="wss://stream.binance.com:9443",
        ws_api_url="wss://ws-api.binance.com/ws-api/v3",
        futures_rest_url="https://fapi.binance.com",
        futures_stream_url="wss://fstream.binance.com",
    ),
}
# The testnet's futures streams are not heard as signals for its spot market, but traded by.
FUTURES_TRADING_STREAMS: dict[VenueName, str] = {"testnet": "wss://fstream.binancefuture.com"}


def is_loopback(host: str) -> bool:
    """Whether ``host`` is this machine, by number or as localhost."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
