"""X's recent search for the watched coins' cashtags."""

from __future__ import annotations

import msgspec

from trading.model.news import NewsKind
from trading.news.config import XConfig
from trading.news.fetcher import Fetcher
from trading.news.raw import RawArticle
from trading.news.sources.base import Found, Kind, read_items, time_of

_LONGEST_QUERY = 480  # 512 are allowed to the smallest plan


class _Post(msgspec.Struct):
    id: str
    text: str
    created_at: str = ""


class _Answer(msgspec.Struct):
    data: list[msgspec.Raw] = []


class XSource:
    name = "X"
    kind: Kind = "social"

    def __init__(
        self, config: XConfig, fetcher: Fetcher, key: str, assets: tuple[str, ...]
    ) -> None:
        self.min_interval_s = config.min_interval_s
        self._config = config
        self._fetcher = fetcher
        self._key = key
        self._query = query_for(assets)

    async def fetch(self) -> Found:
        """Raises NewsSourceError."""
        params = {
            "query": self._query,
            "max_results": str(self._config.max_results),
            "tweet.fields": "created_at",
        }
        body = await self._fetcher.get(
            self._config.url, params=params, headers={"Authorization": f"Bearer {self._key}"}
        )
        if body is None:
            return Found()
        rows = self._fetcher.decode(body, _Answer).data
        articles, malformed = read_items(self.name, rows, self._article)
        return Found(articles=articles, malformed=malformed)

    def _article(self, row: msgspec.Raw) -> RawArticle:
        post = msgspec.json.decode(row, type=_Post, strict=False)
        return RawArticle(
            kind=NewsKind.SOCIAL,
            source=self.name,
            title=post.text,
            url=f"https://x.com/i/status/{post.id}" if post.id.isdigit() else "",
            published_at_ms=time_of(post.created_at),
        )


def query_for(assets: tuple[str, ...]) -> str:
    """Originals in English that carry one of the cashtags, as many as a query may hold."""
    suffix, tags = ") lang:en -is:retweet", ""
    for asset in assets:
        longer = f"{tags} OR ${asset}" if tags else f"(${asset}"
        if len(longer) + len(suffix) > _LONGEST_QUERY:
            break
        tags = longer
    return tags + suffix
