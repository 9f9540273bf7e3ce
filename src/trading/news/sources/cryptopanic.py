"""CryptoPanic's posts: headlines with the coins that its readers and editors tagged."""

from __future__ import annotations

import msgspec

from trading.model.news import NewsKind
from trading.news.config import CryptoPanicConfig
from trading.news.fetcher import Fetcher
from trading.news.raw import RawArticle
from trading.news.sources.base import Found, Kind, read_items, time_of


class _Coin(msgspec.Struct):
    code: str = ""


class _Publisher(msgspec.Struct):
    title: str = ""


class _Post(msgspec.Struct):
    title: str
    published_at: str = ""
    description: str | None = None
    url: str | None = None
    source: _Publisher | None = None
    currencies: list[_Coin] | None = None  # version 1
    instruments: list[_Coin] | None = None  # version 2


class _Posts(msgspec.Struct):
    results: list[msgspec.Raw]


class CryptoPanicSource:
    name = "CryptoPanic"
    kind: Kind = "news"

    def __init__(
        self, config: CryptoPanicConfig, fetcher: Fetcher, key: str, assets: tuple[str, ...]
    ) -> None:
        self.min_interval_s = config.min_interval_s
        self._url = config.url
        self._fetcher = fetcher
        self._key = key
        self._assets = assets

    async def fetch(self) -> Found:
        """Raises NewsSourceError."""
        params = {"auth_token": self._key, "public": "true", "kind": "news"}
        params["currencies"] = ",".join(self._assets[:50])
        body = await self._fetcher.get(self._url, params=params)
        if body is None:
            return Found()
        rows = self._fetcher.decode(body, _Posts).results
        articles, malformed = read_items(self.name, rows, self._article)
        return Found(articles=articles, malformed=malformed)

    def _article(self, row: msgspec.Raw) -> RawArticle:
        post = msgspec.json.decode(row, type=_Post, strict=False)
        return RawArticle(
            kind=NewsKind.NEWS,
            source=post.source.title if post.source and post.source.title else self.name,
            title=post.title,
            summary=post.description or "",
            url=post.url or "",
            published_at_ms=time_of(post.published_at),
            assets=tuple(coin.code for coin in (post.currencies or post.instruments or [])),
        )
