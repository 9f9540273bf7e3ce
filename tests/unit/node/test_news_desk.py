"""What the core keeps of the news and what it says of them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from trading.clock import VirtualClock
from trading.model.news import (
    NOT_CONFIGURED,
    Article,
    LargeTransfer,
    NewsBatch,
    NewsKind,
    NewsView,
    SourceState,
)
from trading.model.signals import Headline
from trading.node.news_desk import NewsDesk
from trading.node.records import Records
from trading.risk.breaker_store import create_store
from trading.storage.config import StorageConfig

NOW = 1_760_000_000_000
MINUTE = 60_000
SOURCES = (
    SourceState(name="Feed", kind="news", configured=True, ok=True),
    SourceState(name="X", kind="social", configured=False, ok=False, detail=NOT_CONFIGURED),
    SourceState(name="Etherscan", kind="on_chain", configured=True, ok=True),
)


def article(title: str, minutes_ago: float = 0, **fields: Any) -> Article:
    values: dict[str, Any] = {
        "id": hashlib.sha256(title.encode()).hexdigest()[:32],
        "kind": NewsKind.NEWS,
        "source": "Feed",
        "title": title,
        "published_at_ms": round(NOW - minutes_ago * MINUTE),
        "fetched_at_ms": NOW,
        "symbols": ("SOLUSDT",),
        "sentiment": 0.5,
        "sentiment_by": "lexicon",
        "relevance": 1.0,
    }
    return Article(**{**values, **fields})


class Desk:
    def __init__(self, folder: Path) -> None:
        storage = StorageConfig(path=folder / "store.sqlite3")
        self.clock = VirtualClock(NOW)
        create_store(storage, self.clock)
        self.records = Records(storage, inline=True)
        self.headlines: list[Headline] = []
        self.said: list[tuple[str, str]] = []
        self.prices = {"ETHUSDT": 3_000.0}
        self.desk = NewsDesk(
            self.clock,
            self.records,
            say=lambda source, text: self.said.append((source, text)),
            on_headline=self.headlines.append,
            price=self.prices.get,
            quote_asset="USDT",
            min_headline_relevance=0.6,
        )

    def take(self, *articles: Article, **fields: Any) -> int:
        values: dict[str, Any] = {"sources": SOURCES, "valid_for_ms": 3 * MINUTE}
        return self.desk.take(NewsBatch(articles=articles, **{**values, **fields}))

    def news(self, kind: NewsKind = NewsKind.NEWS) -> NewsView:
        return self.desk.news("SOLUSDT", kind, 6, 10)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_before_the_news_process_has_spoken_nothing_is_configured(desk: Desk) -> None:
    view = desk.news()
    assert (view.problem, view.configured, view.sentiment) == (NOT_CONFIGURED, False, None)


def test_the_sentiment_is_the_mean_by_weight_and_fades_with_age(desk: Desk) -> None:
    desk.take(article("new", sentiment=1.0), article("old", 30, sentiment=-1.0))
    view = desk.news()
    assert view.sentiment == pytest.approx(1 / 3)  # weights 1 and 0.5
    assert [one.article.title for one in view.articles] == ["new", "old"]
    assert (view.positive, view.negative) == (1, 1)


def test_only_relevant_headlines_of_editors_become_headlines(desk: Desk) -> None:
    desk.take(
        article("relevant"),
        article("irrelevant", relevance=0.5),
        article("social", kind=NewsKind.SOCIAL),
        article("of no pair", symbols=()),
    )
    assert [one.title for one in desk.headlines] == ["relevant"]


def test_an_article_counts_once_however_often_it_comes(desk: Desk) -> None:
    assert desk.take(article("same")) == 1
    assert desk.take(article("same")) == 0
    assert len(desk.headlines) == 1


def test_every_article_is_a_row(desk: Desk) -> None:
    desk.take(article("one", 5), article("two"))
    desk.take(article("two"))
    stored = desk.records._tables.news.since(NOW - 60 * MINUTE, 10)
    assert stored == [article("one", 5), article("two")]


def test_a_kind_without_a_key_is_not_configured_whatever_the_others_are(desk: Desk) -> None:
    desk.take(article("news"))
    assert desk.news(NewsKind.SOCIAL).problem == NOT_CONFIGURED
    assert desk.news().problem == ""


def test_silence_of_the_news_process_is_said(desk: Desk) -> None:
    desk.take(article("news"))
    desk.clock.advance_to(NOW + 3 * MINUTE + 1)
    assert "stale" in desk.news().problem


def test_sources_that_all_fail_are_said_with_their_reasons(desk: Desk) -> None:
    failing = SourceState(name="F", kind="news", configured=True, ok=False, detail="F: HTTP 500")
    desk.take(sources=(failing,))
    assert desk.news().problem == "no source answers: F: HTTP 500"


def test_a_burst_is_told_only_against_an_hour_or_more(desk: Desk) -> None:
    posts = [article(f"p{n}", n, kind=NewsKind.SOCIAL) for n in range(6)]
    desk.take(*posts)
    assert desk.news(NewsKind.SOCIAL).burst is None
    desk.clock.advance_to(NOW + 120 * MINUTE)
    new = [article(f"q{n}", -115 - n / 10, kind=NewsKind.SOCIAL) for n in range(8)]
    desk.take(*new)
    assert desk.news(NewsKind.SOCIAL).burst == 8.0  # usual are less than one in ten minutes


def transfer(name: str, direction: Any, amount: float = 1000.0) -> LargeTransfer:
    return LargeTransfer(
        id=name, asset="ETH", amount=amount, direction=direction, exchange="B", time_ms=NOW
    )


def test_transfers_are_summed_by_direction_in_the_quote_asset(desk: Desk) -> None:
    moved = (transfer("a", "to_exchange"), transfer("b", "from_exchange", 500.0))
    desk.take(transfers=moved)
    desk.take(transfers=moved)
    view = desk.desk.transfers("ETH", 6)
    assert (view.to_exchange, view.from_exchange) == (3e6, 1.5e6)


def test_without_a_price_notionals_are_unknown(desk: Desk) -> None:
    desk.take(transfers=(transfer("a", "to_exchange"),))
    desk.prices.clear()
    assert "no price" in desk.desk.transfers("ETH", 6).problem


def test_memory_is_bounded_by_age_and_number(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trading.node.news_desk.CAPACITY", 5)
    for number in range(9):
        desk.take(article(f"n{number}", symbols=()))
    assert len(desk.desk._articles) == 5
    desk.clock.advance_to(NOW + 49 * 60 * MINUTE)
    desk.take()
    assert len(desk.desk._articles) == 0


async def test_a_core_that_starts_again_knows_what_the_one_before_was_told(
    tmp_path: Path,
) -> None:
    first = Desk(tmp_path)
    first.take(article("told before", 5))
    again = Desk(tmp_path)
    await again.desk.restore()
    again.take(article("told before", 5), article("new"))
    assert [one.article.title for one in again.news().articles] == ["new", "told before"]
    assert [one.title for one in again.headlines] == ["new"]
