"""Rows of news_articles."""

from __future__ import annotations

import sqlite3

from trading.clock import iso
from trading.model.news import Article, NewsKind
from trading.storage.repository import Repository, from_json, to_json


class NewsRepository(Repository):
    """Writes and reads news_articles."""

    def insert(self, article: Article) -> bool:
        """Add an article; False when it is there already."""
        cursor = self._execute(
            "INSERT INTO news_articles (id, kind, source, title, summary, url, published_at,"
            " published_at_ms, fetched_at, fetched_at_ms, symbols, sentiment, sentiment_by,"
            " relevance) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (id) DO NOTHING",
            (
                article.id,
                article.kind.value,
                article.source,
                article.title,
                article.summary,
                article.url,
                iso(article.published_at_ms),
                article.published_at_ms,
                iso(article.fetched_at_ms),
                article.fetched_at_ms,
                to_json(article.symbols),
                article.sentiment,
                article.sentiment_by,
                article.relevance,
            ),
        )
        return cursor.rowcount == 1

    def since(self, time_ms: int, limit: int) -> list[Article]:
        """The newest articles published from ``time_ms`` on, oldest first."""
        rows = self._rows(
            "SELECT * FROM news_articles WHERE published_at_ms >= ?"
            " ORDER BY published_at_ms DESC, id LIMIT ?",
            (time_ms, limit),
        )
        return [_article(row) for row in reversed(rows)]


def _article(row: sqlite3.Row) -> Article:
    return Article(
        id=row["id"],
        kind=NewsKind(row["kind"]),
        source=row["source"],
        title=row["title"],
        summary=row["summary"],
        url=row["url"],
        published_at_ms=row["published_at_ms"],
        fetched_at_ms=row["fetched_at_ms"],
        symbols=tuple(from_json(row["symbols"])),
        sentiment=row["sentiment"],
        sentiment_by=row["sentiment_by"],
        relevance=row["relevance"],
    )
