"""Local stand-ins for the sources of news: each answers as its documentation says, or as told."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import cache
from typing import Any

from aiohttp import web

from trading.news.config import (
    CRYPTOPANIC_KEY,
    ETHERSCAN_KEY,
    NEWSAPI_KEY,
    REDDIT_ID,
    REDDIT_SECRET,
    X_KEY,
    CryptoPanicConfig,
    EtherscanConfig,
    FeedConfig,
    NewsApiConfig,
    NewsConfig,
    NewsMode,
    RedditConfig,
    XConfig,
)

KEYS = {
    CRYPTOPANIC_KEY: "planted-cryptopanic-key",
    NEWSAPI_KEY: "planted-newsapi-key",
    X_KEY: "planted-x-token",
    REDDIT_ID: "planted-reddit-id",
    REDDIT_SECRET: "planted-reddit-secret",
    ETHERSCAN_KEY: "planted-etherscan-key",
}
WALLET = "0x28C6c06298d514Db089934071355E5743bf21d60"
LINK_CONTRACT = "0x514910771AF9Ca656af840dff83E8264EcF986CA"


@cache
def bomb() -> bytes:
    """200 MB that travel as 200 kB."""
    return gzip.compress(bytes(200_000_000))


class NewsServer:
    """``items`` are what feeds and searches give; ``broken`` maps a path to what it does instead:
    a status, "slow", "endless", "bomb", "torn", "brotli", "garbage" or "moved"."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[tuple[str, dict[str, str], Mapping[str, str]]] = []
        self.broken: dict[str, int | str] = {}
        self.headers: dict[str, str] = {}
        self.rss: list[dict[str, Any]] = []
        self.panic: list[dict[str, Any]] = []
        self.press: list[dict[str, Any]] = []
        self.tweets: list[dict[str, Any]] = []
        self.reddit: list[dict[str, Any]] = []
        self.transactions: list[dict[str, Any]] = []
        self.token_transfers: list[dict[str, Any]] = []
        self.tag = ""

    def config(self, **changes: Any) -> NewsConfig:
        """All sources at this server, asked as often as a test likes."""
        values: dict[str, Any] = {
            "mode": NewsMode.ON,
            "interval_s": 1.0,
            "timeout_s": 2.0,
            "feeds": (FeedConfig(name="Feed", url=f"{self.url}/rss"),),
            "cryptopanic": CryptoPanicConfig(url=f"{self.url}/panic", min_interval_s=1),
            "newsapi": NewsApiConfig(url=f"{self.url}/press", min_interval_s=1),
            "x": XConfig(url=f"{self.url}/x", min_interval_s=1),
            "reddit": RedditConfig(
                url=f"{self.url}/reddit",
                token_url=f"{self.url}/token",
                subreddits=("CryptoCurrency",),
                min_interval_s=1,
            ),
            "etherscan": EtherscanConfig(
                url=f"{self.url}/etherscan",
                wallets={"Binance 14": WALLET},
                min_interval_s=1,
                requests_per_s=100,
            ),
        }
        return NewsConfig(**{**values, **changes})

    def paths(self) -> list[str]:
        return [path for path, _, _ in self.requests]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        self.requests.append((path, dict(request.query), request.headers))
        match self.broken.get(path):
            case int() as status:
                return web.Response(status=status, headers=self.headers, text="no")
            case "slow":
                await asyncio.sleep(5)
            case "endless":
                return web.Response(body=b"x" * 3_000_000)
            case "bomb":
                return web.Response(body=bomb(), headers={"content-encoding": "gzip"})
            case "torn":
                packed = gzip.compress(b"<rss></rss>")[:-9]
                return web.Response(body=packed, headers={"content-encoding": "gzip"})
            case "brotli":
                return web.Response(body=b"x", headers={"content-encoding": "br"})
            case "garbage":
                return web.Response(body=b"\xff<html>{'")
            case "moved":
                return web.Response(status=302, headers={"location": f"{self.url}/elsewhere"})
        if self.tag and request.headers.get("if-none-match") == self.tag:
            return web.Response(status=304)
        body = self._body(path, request)
        kind = "application/xml" if path == "/rss" else "application/json"
        headers = {"etag": self.tag} if self.tag else {}
        answer = web.Response(body=body.encode(), content_type=kind, headers=headers)
        answer.enable_compression()  # if the request allows it, as feeds' servers do
        return answer

    def _body(self, path: str, request: web.Request) -> str:
        if path == "/rss":
            return rss(self.rss)
        if path == "/panic":
            return json.dumps({"next": None, "results": self.panic})
        if path == "/press":
            return json.dumps({"status": "ok", "articles": self.press})
        if path == "/x":
            return json.dumps({"data": self.tweets, "meta": {"result_count": len(self.tweets)}})
        if path == "/token":
            return json.dumps({"access_token": "planted-reddit-token", "expires_in": 3600})
        if path.startswith("/reddit/r/"):
            return json.dumps({"data": {"children": [{"data": one} for one in self.reddit]}})
        if path == "/etherscan":
            tokens = request.query["action"] == "tokentx"
            rows = self.token_transfers if tokens else self.transactions
            if rows:
                return json.dumps({"status": "1", "message": "OK", "result": rows})
            return json.dumps({"status": "0", "message": "No transactions found", "result": []})
        raise web.HTTPNotFound


def rss(items: list[Mapping[str, Any]]) -> str:
    entries = "".join(
        f"<item><title><![CDATA[{one['title']}]]></title>"
        f"<link>{one.get('link', 'https://example.org/' + str(number))}</link>"
        f"<description><![CDATA[{one.get('summary', '')}]]></description>"
        + (f"<pubDate>{mail_time(one['ms'])}</pubDate>" if "ms" in one else "")
        + "</item>"
        for number, one in enumerate(items)
    )
    channel = f"<channel><title>f</title>{entries}</channel>"
    return f'<?xml version="1.0"?><rss version="2.0">{channel}</rss>'


def mail_time(time_ms: int) -> str:
    return format_datetime(datetime.fromtimestamp(time_ms / 1000, tz=UTC))


def iso_time(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@asynccontextmanager
async def news_server() -> AsyncIterator[NewsServer]:
    server = NewsServer()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()
