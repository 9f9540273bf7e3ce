"""All sources of a configuration, and which of them have their key."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import httpx

from trading.news.config import SOURCE_KEYS, NewsConfig
from trading.news.fetcher import USER_AGENT, Fetcher
from trading.news.poller import Unconfigured
from trading.news.sources.base import Kind, Source
from trading.news.sources.cryptopanic import CryptoPanicSource
from trading.news.sources.etherscan import EtherscanSource
from trading.news.sources.feeds import FeedSource
from trading.news.sources.newsapi import NewsApiSource
from trading.news.sources.reddit import RedditSource
from trading.news.sources.x_search import XSource


def http_client() -> httpx.AsyncClient:
    """What all sources share. No redirections, and no credentials of a netrc file."""
    return httpx.AsyncClient(
        follow_redirects=False, trust_env=False, headers={"User-Agent": USER_AGENT}
    )


def create_sources(
    config: NewsConfig,
    environment: Mapping[str, str],
    assets: tuple[str, ...],
    client: httpx.AsyncClient,
    price_of: Callable[[str], float | None],
) -> tuple[list[Source], list[Unconfigured]]:
    """Sources with what they need, and those without. ``assets`` are the watched pairs' bases."""

    def fetcher(name: str, requests_per_s: float = 5.0) -> Fetcher:
        return Fetcher(
            name,
            client,
            timeout_s=config.timeout_s,
            max_bytes=config.max_answer_bytes,
            requests_per_s=requests_per_s,
        )

    def key(name: str) -> str:
        return environment.get(name, "").strip()

    sources: list[Source] = [
        FeedSource(feed, fetcher(feed.name), config.interval_s) for feed in config.feeds
    ]
    without: list[Unconfigured] = []

    def add(name: str, kind: Kind, make: Callable[..., Source]) -> None:
        values = [key(one) for one in SOURCE_KEYS[name]]
        if all(values):
            sources.append(make(*values))
        else:
            without.append(Unconfigured(name, kind))

    add(
        CryptoPanicSource.name,
        CryptoPanicSource.kind,
        lambda one: CryptoPanicSource(
            config.cryptopanic, fetcher(CryptoPanicSource.name), one, assets
        ),
    )
    add(
        NewsApiSource.name,
        NewsApiSource.kind,
        lambda one: NewsApiSource(config.newsapi, fetcher(NewsApiSource.name), one),
    )
    add(
        XSource.name,
        XSource.kind,
        lambda one: XSource(config.x, fetcher(XSource.name), one, assets),
    )
    add(
        RedditSource.name,
        RedditSource.kind,
        lambda one, two: RedditSource(config.reddit, fetcher(RedditSource.name), one, two),
    )
    add(
        EtherscanSource.name,
        EtherscanSource.kind,
        lambda one: EtherscanSource(
            config.etherscan,
            fetcher(EtherscanSource.name, config.etherscan.requests_per_s),
            one,
            price_of,
        ),
    )
    return sources, without
