"""From what the sources found to articles: cleaned, new, matched to pairs, scored."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping

from trading.model.news import LEXICON, MOST_SYMBOLS, Article
from trading.model.outside_text import NAME_LENGTH, SUMMARY_LENGTH, TITLE_LENGTH, clean
from trading.news.duplicates import SeenBefore, article_id
from trading.news.raw import RawArticle
from trading.news.relevance import relevance
from trading.news.sentiment import LexiconSentiment
from trading.news.symbols import SymbolFinder

_TAG = re.compile(r"<[^<>]{0,2000}>")
_ADDRESS = re.compile(r"^https?://[^\s<>\"']{1,480}$")


def plain(text: str, length: int) -> str:
    """Text out of HTML, cleaned."""
    return clean(html.unescape(_TAG.sub(" ", text[: length * 8])), length)


class NewsPipeline:
    """Keeps what it has seen for ``max_age_ms``, which is also how old an article may be."""

    def __init__(self, pairs: Mapping[str, str], max_age_ms: int, max_future_ms: int) -> None:
        """``pairs``: base assets by symbol. ``max_future_ms``: how far a clock may be ahead."""
        self._finder = SymbolFinder(pairs)
        self._sentiment = LexiconSentiment()
        self._seen = SeenBefore(2 * max_age_ms)
        self._max_age_ms = max_age_ms
        self._max_future_ms = max_future_ms

    def take(self, found: Iterable[RawArticle], now_ms: int) -> list[Article]:
        """The new ones among ``found``, oldest first. One without a usable time is left out: what
        cannot be placed in time is no news."""
        articles = [article for raw in found if (article := self._article(raw, now_ms))]
        articles.sort(key=lambda article: (article.published_at_ms, article.id))
        return [one for one in articles if self._seen.add(one.id, one.title, now_ms)]

    def _article(self, raw: RawArticle, now_ms: int) -> Article | None:
        title = plain(raw.title, TITLE_LENGTH)
        time_ms = raw.published_at_ms
        if not title or time_ms is None:
            return None
        if not -self._max_future_ms <= now_ms - time_ms <= self._max_age_ms:
            return None
        summary = plain(raw.summary, SUMMARY_LENGTH)
        source = clean(raw.source, NAME_LENGTH) or "unnamed"
        in_title = self._finder.find(title, raw.assets)
        symbols = self._finder.find(f"{title}. {summary}", raw.assets)[:MOST_SYMBOLS]
        return Article(
            id=article_id(source, title, raw.url),
            kind=raw.kind,
            source=source,
            title=title,
            summary=summary,
            url=raw.url if _ADDRESS.match(raw.url) else "",
            published_at_ms=min(time_ms, now_ms),
            fetched_at_ms=now_ms,
            symbols=symbols,
            sentiment=self._sentiment.score(title, summary),
            sentiment_by=LEXICON,
            relevance=relevance(title, len(in_title), len(symbols)),
        )
