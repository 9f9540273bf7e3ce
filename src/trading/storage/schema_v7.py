"""Schema version 7: articles and posts, as they were read."""

from __future__ import annotations

NEWS_ARTICLES = """
CREATE TABLE news_articles (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('news', 'social')),
    source TEXT NOT NULL,
    title TEXT NOT NULL,
    summary TEXT NOT NULL DEFAULT '',
    url TEXT NOT NULL DEFAULT '',
    published_at TEXT NOT NULL,
    published_at_ms INTEGER NOT NULL,
    fetched_at TEXT NOT NULL,
    fetched_at_ms INTEGER NOT NULL,
    symbols TEXT NOT NULL DEFAULT '[]',
    sentiment REAL NOT NULL CHECK (sentiment BETWEEN -1 AND 1),
    sentiment_by TEXT NOT NULL,
    relevance REAL NOT NULL CHECK (relevance BETWEEN 0 AND 1)
)
"""

TABLES = (NEWS_ARTICLES,)
INDEXES = (("news_articles", ("published_at_ms",)),)
