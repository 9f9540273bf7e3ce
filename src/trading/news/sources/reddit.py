"""Newest posts of subreddits, as an app of the user's own."""

from __future__ import annotations

import time
from functools import partial

import msgspec

from trading.model.news import NewsKind
from trading.news.config import RedditConfig
from trading.news.fetcher import Fetcher
from trading.news.raw import RawArticle
from trading.news.sources.base import Found, Kind, read_items

_RENEW_BEFORE_S = 120.0


class _Token(msgspec.Struct):
    access_token: str
    expires_in: float = 3600.0


class _Post(msgspec.Struct):
    title: str = ""
    selftext: str = ""
    permalink: str = ""
    created_utc: float = 0.0


class _Child(msgspec.Struct):
    data: _Post


class _Listing(msgspec.Struct):
    children: list[msgspec.Raw] = []


class _Answer(msgspec.Struct):
    data: _Listing


class RedditSource:
    name = "Reddit"
    kind: Kind = "social"

    def __init__(
        self, config: RedditConfig, fetcher: Fetcher, client_id: str, client_secret: str
    ) -> None:
        self.min_interval_s = config.min_interval_s
        self._config = config
        self._fetcher = fetcher
        self._credentials = (client_id, client_secret)
        self._token = ""
        self._token_until_s = 0.0

    async def fetch(self) -> Found:
        """Raises NewsSourceError."""
        if time.monotonic() >= self._token_until_s:
            await self._renew()
        articles: list[RawArticle] = []
        malformed = 0
        for name in self._config.subreddits:
            body = await self._fetcher.get(
                f"{self._config.url}/r/{name}/new",
                params={"limit": "100", "raw_json": "1"},
                headers={"Authorization": f"Bearer {self._token}"},
            )
            if body is not None:
                rows = self._fetcher.decode(body, _Answer).data.children
                found, bad = read_items(f"r/{name}", rows, partial(_article, subreddit=name))
                articles += found
                malformed += bad
        return Found(articles=articles, malformed=malformed)

    async def _renew(self) -> None:
        body = await self._fetcher.post(
            self._config.token_url,
            form={"grant_type": "client_credentials"},
            auth=self._credentials,
        )
        token = self._fetcher.decode(body, _Token)
        self._token = token.access_token
        self._token_until_s = time.monotonic() + token.expires_in - _RENEW_BEFORE_S


def _article(row: msgspec.Raw, subreddit: str) -> RawArticle:
    post = msgspec.json.decode(row, type=_Child, strict=False).data
    return RawArticle(
        kind=NewsKind.SOCIAL,
        source=f"r/{subreddit}",
        title=post.title,
        summary=post.selftext,
        url=f"https://www.reddit.com{post.permalink}" if post.permalink.startswith("/r/") else "",
        published_at_ms=round(post.created_utc * 1000) if post.created_utc > 0 else None,
    )
