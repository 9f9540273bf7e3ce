"""Which hosts a run looks up and connects to, whatever it does: the resolver and the socket say.

Everything that opens a connection is made to open one, python-binance's own production addresses
included. All names resolve to a closed port of this machine.
"""

from __future__ import annotations

import asyncio
import socket
from asyncio.selector_events import BaseSelectorEventLoop
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from binance import AsyncClient
from venue_server import FAST_RECONNECT, TickLog

from trading.clock import SystemClock
from trading.exchange.binance import market_socket
from trading.exchange.binance.adapter import BinanceClient
from trading.exchange.binance.allow_list import AllowListConnector, HostAllowList
from trading.exchange.binance.book_feed import BinanceBookFeed
from trading.exchange.binance.client import VenueClient
from trading.exchange.binance.depth_feed import BinanceLocalBooks
from trading.exchange.binance.feed import BinanceFeed
from trading.exchange.binance.futures_feed import BinanceFuturesFeed
from trading.exchange.binance.sockets import ApiSocket
from trading.exchange.binance.user_stream import BinanceUserStream
from trading.exchange.config import ExchangeConfig
from trading.exchange.credentials import ApiCredentials
from trading.exchange.venues import VENUE_HOSTS

KEY = ApiCredentials.model_validate({"key": "k" * 64, "secret": "s" * 64})
CLOSED_PORT = 1
PATIENCE_S = 0.3


class Reach:
    """The hosts that were looked up, and the addresses that were dialled."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.hosts: set[str] = set()
        self.dialled: set[str] = set()

        def resolve(host: Any, *_: Any, **__: Any) -> list[Any]:
            self.hosts.add(host.decode() if isinstance(host, bytes) else str(host))
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", CLOSED_PORT))]

        dial = BaseSelectorEventLoop.sock_connect

        async def connect(loop: Any, sock: socket.socket, address: Any) -> None:
            self.dialled.add(str(address[0]))
            await dial(loop, sock, address)

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        monkeypatch.setattr(BaseSelectorEventLoop, "sock_connect", connect)


async def attempt(work: Awaitable[object]) -> None:
    """Whatever comes of it."""
    with suppress(Exception):
        await asyncio.wait_for(work, PATIENCE_S)


def librarys_own_urls() -> dict[str, str]:
    """Every address that python-binance has, those of production among them."""
    names = [name for name in dir(AsyncClient) if name.endswith("_URL")]
    return {name: getattr(AsyncClient, name).format("", "com") for name in names}


async def use_everything(config: ExchangeConfig) -> None:
    """Open every kind of connection that a run can open, and those that it must not."""
    clock, heard = SystemClock(), TickLog()
    client = BinanceClient(config, KEY, clock)
    leaking = VenueClient(config, KEY)
    leaking.ws_api = ApiSocket(lambda _: None, leaking, config)
    own_urls = librarys_own_urls()
    rest = [url for url in own_urls.values() if url.startswith("http")]
    sockets = [url for url in own_urls.values() if url.startswith("ws")]
    assert "api.binance.com" in {urlsplit(url).hostname for url in rest}
    works: list[Awaitable[object]] = [
        client.connect(),
        BinanceFeed(config).run(("BTCUSDT",), heard),
        BinanceUserStream(config, KEY).run(lambda _: None, lambda _: None),
        BinanceBookFeed(config, clock).run(("BTCUSDT",), lambda _: None, lambda _: None),
        BinanceLocalBooks(config, clock, client.book_snapshot).run(("BTCUSDT",), lambda _: None),
        BinanceFuturesFeed(config, clock, "USDT").run(lambda: None),  # type: ignore[arg-type]
        leaking.get_account_api_permissions(),
        leaking.futures_time(),
        leaking.ws_api.connect(),
        *(leaking.session.get(f"{url}/v3/time") for url in rest),
        *(
            market_socket.connect_streams(["btcusdt@trade"], config, lambda _: None, base_url=url)
            for url in (*sockets, "wss://stream.binance.com:9443")
        ),
    ]
    await asyncio.gather(*(attempt(work) for work in works))
    await leaking.session.close()
    await attempt(client.close())


def config_of(venue: str) -> ExchangeConfig:
    endpoints = {
        name: f"{scheme}://127.0.0.1:{CLOSED_PORT}{path}"
        for name, scheme, path in (
            ("rest_url", "http", ""),
            ("stream_url", "ws", ""),
            ("ws_api_url", "ws", "/ws-api/v3"),
        )
    }
    values = {"venue": venue, "reconnect": FAST_RECONNECT, "request_timeout_s": PATIENCE_S}
    return ExchangeConfig.model_validate(
        values | ({"endpoints": endpoints} if venue == "sim" else {})
    )


@pytest.mark.parametrize("venue", ["testnet", "demo", "sim"])
async def test_no_run_but_productions_looks_up_or_dials_a_production_host(
    venue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reach = Reach(monkeypatch)
    await use_everything(config_of(venue))
    assert not reach.hosts & VENUE_HOSTS["binance"]
    assert reach.hosts <= {*VENUE_HOSTS[venue], "127.0.0.1"}  # type: ignore[index]
    assert reach.dialled <= {"127.0.0.1"}
    if venue != "sim":
        assert reach.hosts & VENUE_HOSTS[venue]  # type: ignore[index]


def without_the_connectors_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AllowListConnector, "connect", aiohttp.TCPConnector.connect)


def without_the_streams_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HostAllowList, "check_url", lambda *_: None)


@pytest.mark.parametrize("mutant", [without_the_connectors_guard, without_the_streams_guard])
async def test_without_one_of_the_guards_a_production_host_is_looked_up(
    mutant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant(monkeypatch)
    reach = Reach(monkeypatch)
    await use_everything(config_of("testnet"))
    assert reach.hosts & VENUE_HOSTS["binance"]


def test_a_production_address_in_the_settings_of_another_venue_is_refused() -> None:
    for venue in ("testnet", "demo", "sim"):
        for host in VENUE_HOSTS["binance"]:
            with pytest.raises(ValueError, match="is no host of venue"):
                ExchangeConfig.model_validate(
                    {"venue": venue, "endpoints": {"rest_url": f"https://{host}"}}
                )
