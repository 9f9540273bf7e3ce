"""No connection leaves for a host that is not the venue's; tried on two loopback ports."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web
from picows import WSError
from venue_server import FAST_RECONNECT, served_exchange

from trading.errors import ConfigurationError
from trading.exchange.binance.adapter import BinanceClient
from trading.exchange.binance.client import VenueClient
from trading.exchange.binance.market_socket import connect_streams
from trading.exchange.binance.sockets import ApiSocket
from trading.exchange.binance.supervisor import supervise
from trading.exchange.config import ExchangeConfig
from trading.exchange.venues import DEFAULT_ENDPOINTS, VENUE_HOSTS, is_loopback

PRODUCTION_SAPI = "https://api.binance.com/sapi"


@dataclass
class ForeignHost:
    """Stands for the production host: a server that the venue's list does not hold."""

    url: str
    requests: list[str]


@asynccontextmanager
async def serving(handler: Callable[[web.Request], Awaitable[web.Response]]) -> AsyncIterator[str]:
    """A server that answers everything with ``handler``; yields its URL."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def foreign_host() -> AsyncIterator[ForeignHost]:
    requests: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        requests.append(request.path)
        return web.json_response({"enableWithdrawals": False})

    async with serving(answer) as url:
        yield ForeignHost(url, requests)


class UnguardedClient(VenueClient):
    """The broken variant: aiohttp's own connector, as python-binance would use it."""

    def _init_session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(headers=self._get_headers())


async def sapi_leaks(client: VenueClient, foreign: ForeignHost) -> bool:
    """Whether a client whose /sapi address is the library's reaches the foreign host."""
    client.MARGIN_API_URL = f"{foreign.url}/sapi"
    try:
        await client.get_account_api_permissions()
    except ConfigurationError:
        return False
    finally:
        await client.session.close()
    return bool(foreign.requests)


async def test_a_request_to_another_host_is_refused_before_it_connects() -> None:
    async with served_exchange() as served, foreign_host() as foreign:
        assert not await sapi_leaks(VenueClient(served.config(), served.credentials), foreign)
        assert foreign.requests == []


async def test_without_the_guard_the_same_request_leaks() -> None:
    async with served_exchange() as served, foreign_host() as foreign:
        assert await sapi_leaks(UnguardedClient(served.config(), served.credentials), foreign)


@pytest.mark.parametrize("venue", ["testnet", "demo", "sim"])
async def test_a_run_on_testnet_or_simulator_cannot_reach_production(venue: str) -> None:
    async with served_exchange() as served:
        endpoints = served.config().endpoints if venue == "sim" else {}
        config = ExchangeConfig.model_validate({"venue": venue, "endpoints": endpoints})
        client = VenueClient(config, served.credentials)
        client.MARGIN_API_URL = PRODUCTION_SAPI
        with pytest.raises(ConfigurationError, match=r"api\.binance\.com:443 refused"):
            await client.get_account_api_permissions()
        await client.session.close()


async def test_a_redirect_to_another_host_is_not_followed() -> None:
    async def redirect(request: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect(f"{foreign.url}{request.path_qs}")

    async with served_exchange() as served, foreign_host() as foreign:
        async with serving(redirect) as url:
            client = VenueClient(served.config(rest_url=url), None)
            with pytest.raises(ConfigurationError):
                await client.ping()
            await client.session.close()
        assert foreign.requests == []


async def test_a_market_socket_to_another_host_is_refused_before_it_connects() -> None:
    async with served_exchange() as served, foreign_host() as foreign:
        with pytest.raises(ConfigurationError):
            await connect_streams(
                ["btcusdt@aggTrade"],
                served.config(),
                lambda _: None,
                base_url=foreign.url.replace("http", "ws"),
            )
        assert foreign.requests == []


async def test_a_market_socket_follows_no_redirect() -> None:
    async def redirect(request: web.Request) -> web.Response:
        raise web.HTTPFound(f"{foreign.url.replace('http', 'ws')}{request.path_qs}")

    async with served_exchange() as served, foreign_host() as foreign:
        async with serving(redirect) as url:
            config = served.config(stream_url=url.replace("http", "ws"))
            with pytest.raises(WSError):
                await connect_streams(["btcusdt@aggTrade"], config, lambda _: None)
        assert foreign.requests == []


async def test_an_api_socket_redirected_to_another_host_is_refused() -> None:
    async def redirect(request: web.Request) -> web.Response:
        raise web.HTTPFound(f"{foreign.url.replace('http', 'ws')}{request.path_qs}")

    async with served_exchange() as served, foreign_host() as foreign:
        async with serving(redirect) as url:
            config = served.config(stream_url=url.replace("http", "ws"))
            client = VenueClient(config, None)
            with pytest.raises(ConfigurationError):
                await ApiSocket(lambda _: None, client, config).connect()
            await client.session.close()
        assert foreign.requests == []


async def test_a_refused_host_ends_a_supervised_stream_instead_of_being_retried() -> None:
    async def attempt(_: object) -> str:
        raise ConfigurationError("not the venue's")

    with pytest.raises(ConfigurationError):
        await supervise("feed", FAST_RECONNECT, attempt, lambda _: None)


@pytest.mark.parametrize("venue", ["sim", "testnet", "demo", "binance"])
async def test_every_address_of_the_library_is_the_venues(venue: str) -> None:
    async with served_exchange() as served:
        endpoints = served.config().endpoints if venue == "sim" else {}
        config = ExchangeConfig.model_validate({"venue": venue, "endpoints": endpoints})
        client = VenueClient(config, None)
        urls = {name: getattr(client, name) for name in dir(client) if name.endswith("_URL")}
        await client.session.close()
        assert len(urls) > 20
        for url in [*urls.values(), client.ws_api._url, client.ws_future._url]:
            host = urlsplit(url).hostname or ""
            assert host in VENUE_HOSTS[config.venue] or (venue == "sim" and is_loopback(host))


async def test_the_default_addresses_are_on_their_venues_own_list() -> None:
    for venue, endpoints in DEFAULT_ENDPOINTS.items():
        for url in endpoints.urls:
            assert not url or urlsplit(url).hostname in VENUE_HOSTS[venue]


async def test_an_adapter_on_a_refused_host_fails_at_connect_with_what_is_allowed() -> None:
    async with served_exchange() as served:
        adapter = BinanceClient(served.config(), served.credentials, served.exchange.clock)
        await adapter.connect()
        adapter._open_client.API_URL = "https://api.binance.com/api"
        with pytest.raises(ConfigurationError, match=r"reached at 127\.0\.0\.1:"):
            await adapter.account()
        await adapter.close()
