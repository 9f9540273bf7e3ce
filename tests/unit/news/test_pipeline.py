"""From raw articles to articles: cleaned, new, about pairs, scored, recent."""

from __future__ import annotations

from typing import Any

import pytest

from trading.model.news import MOST_SYMBOLS, NewsKind, sentiment_class
from trading.news.duplicates import SeenBefore, article_id
from trading.news.pipeline import NewsPipeline
from trading.news.raw import RawArticle
from trading.news.relevance import HALF_LIFE_MS, relevance, weight
from trading.news.sentiment import LexiconSentiment, crypto_lexicon

NOW = 1_760_000_000_000
HOUR = 3_600_000


def pipeline() -> NewsPipeline:
    return NewsPipeline({"BTCUSDT": "BTC", "SOLUSDT": "SOL"}, 24 * HOUR, 120_000)


def raw(title: str, **fields: Any) -> RawArticle:
    values: dict[str, Any] = {"kind": NewsKind.NEWS, "source": "Feed", "published_at_ms": NOW}
    return RawArticle(title=title, **{**values, **fields})


def test_an_article_is_cleaned_matched_and_scored() -> None:
    (article,) = pipeline().take(
        [raw("<b>Solana</b>\u200b exchange hacked, $40M stolen", summary="<p>Bad &amp; sad</p>")],
        NOW,
    )
    assert article.title == "Solana exchange hacked, $40M stolen"
    assert article.summary == "Bad & sad"
    assert article.symbols == ("SOLUSDT",)
    assert article.sentiment < -0.5
    assert article.relevance == 1.0


def test_an_article_that_names_more_pairs_than_one_may_be_about_is_kept() -> None:
    pairs = {f"C{number}USDT": f"C{number}" for number in range(10, 80)}
    named = raw("Crypto market report", assets=tuple(pairs.values()))
    (article,) = NewsPipeline(pairs, 24 * HOUR, 120_000).take([named], NOW)
    assert len(article.symbols) == MOST_SYMBOLS


def test_the_same_article_comes_once_however_often_it_is_fetched() -> None:
    line = pipeline()
    assert len(line.take([raw("Bitcoin rises again today")], NOW)) == 1
    assert line.take([raw("Bitcoin rises again today")], NOW + 60_000) == []


def test_the_same_story_of_another_source_comes_once() -> None:
    line = pipeline()
    first = raw("SEC approves first spot Solana ETF", source="One", url="https://one.org/a")
    second = raw("SEC Approves the First Spot Solana ETF!", source="Two", url="https://two.org/b")
    other = raw("SEC sues exchange over Solana listing", source="Two", url="https://two.org/c")
    titles = [one.title.lower()[:9] for one in line.take([first, second, other], NOW)]
    assert sorted(titles) == ["sec appro", "sec sues "]


@pytest.mark.parametrize("age_h", [25, -1, None])
def test_what_is_old_or_of_the_future_or_without_time_is_no_news(age_h: int | None) -> None:
    time_ms = None if age_h is None else NOW - age_h * HOUR
    assert pipeline().take([raw("Bitcoin rises", published_at_ms=time_ms)], NOW) == []


def test_an_author_with_a_fast_clock_is_put_to_now() -> None:
    (article,) = pipeline().take([raw("Bitcoin rises", published_at_ms=NOW + 60_000)], NOW)
    assert article.published_at_ms == NOW


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "file:///etc/passwd", "https://a b", "https://x/" + "y" * 600]
)
def test_an_address_that_is_none_is_dropped(url: str) -> None:
    (article,) = pipeline().take([raw("Bitcoin rises", url=url)], NOW)
    assert article.url == ""


def test_ids_do_not_change_with_tracking_parameters() -> None:
    plain = article_id("S", "t", "https://x.org/a")
    assert article_id("S", "t", "https://x.org/a/?utm_source=rss#top") == plain
    assert article_id("S", "other", "") != article_id("S", "t", "")


def test_what_was_seen_is_forgotten_after_its_span_and_beyond_its_capacity() -> None:
    seen = SeenBefore(HOUR, capacity=3)
    assert seen.add("a", "bitcoin rises above five hundred", NOW)
    assert not seen.add("b", "bitcoin rises above five hundred", NOW)
    assert seen.add("c", "bitcoin rises above five hundred", NOW + 2 * HOUR)
    for number in range(10):
        assert seen.add(f"n{number}", f"title number{number} of words{number}", NOW + 2 * HOUR)
    assert len(seen._ids) <= 4
    assert len(seen._stories) <= 4
    assert set().union(*seen._by_word.values()) == set(seen._stories)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Solana surges to all-time high", 1),
        ("Bitcoin plunges in bloodbath as exchange is insolvent", -1),
        ("It was a rug pull", -1),
        ("SEC approves spot ETF", 1),
        ("Binance will delist three tokens", -1),
        ("Grayscale files form for trust shares", 0),
        ("The token was not hacked", 1),
    ],
)
def test_the_crypto_lexicon_knows_the_words_of_the_trade(text: str, expected: int) -> None:
    assert sentiment_class(LexiconSentiment().score(text)) == expected


def test_plain_vader_does_not_know_them() -> None:
    assert LexiconSentiment(plain=True).score("It was a rug pull by the team") == 0.0


def test_every_entry_of_the_lexicon_is_used() -> None:
    scorer = LexiconSentiment()
    for word, valence in crypto_lexicon().items():
        if valence:
            score = scorer.score(f"{word}")
            assert score * valence > 0, word


def test_relevance_counts_the_title_the_event_and_few_pairs() -> None:
    assert relevance("Anything", 0, 0) == 0.0
    assert relevance("Solana exchange hacked", 1, 1) == 1.0
    assert relevance("Market wrap", 0, 5) == pytest.approx(0.35)
    assert weight(1.0, HALF_LIFE_MS) == pytest.approx(0.5)
    assert weight(0.8, -5) == pytest.approx(0.8)
