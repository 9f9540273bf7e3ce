"""Tells an article that was seen before, also under another title by another source."""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict

_WORD = re.compile(r"[^\W_]+")
_FILLERS = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "but",
        "by",
        "for",
        "from",
        "has",
        "have",
        "in",
        "into",
        "is",
        "it",
        "its",
        "of",
        "on",
        "or",
        "s",
        "says",
        "than",
        "that",
        "the",
        "this",
        "to",
        "was",
        "were",
        "will",
        "with",
    ]
)
SAME_SHARE = 0.75
"""Titles that share this much of their words (Jaccard) tell the same story."""
FEWEST_WORDS = 4
"""Shorter titles are the same only when all their words are."""


def article_id(source: str, title: str, url: str) -> str:
    """Stable for the same article of the same source, whenever it is fetched."""
    address = url.split("?")[0].split("#")[0].rstrip("/").lower()
    return hashlib.sha256(f"{source}\n{address or title.lower()}".encode()).hexdigest()[:32]


class SeenBefore:
    """Remembers the articles of ``span_ms``, at most ``capacity`` of them."""

    def __init__(self, span_ms: int, capacity: int = 5_000) -> None:
        self._span_ms = span_ms
        self._capacity = capacity
        self._ids: OrderedDict[str, int] = OrderedDict()
        self._stories: OrderedDict[frozenset[str], int] = OrderedDict()
        self._by_word: dict[str, set[frozenset[str]]] = {}

    def add(self, identity: str, title: str, now_ms: int) -> bool:
        """Take an article; False when it, or its story, was taken before."""
        self._forget(now_ms)
        if identity in self._ids:
            return False
        self._ids[identity] = now_ms
        words = frozenset(_WORD.findall(title.lower())) - _FILLERS
        if not words or self._is_known(words):
            return False
        self._stories[words] = now_ms
        for word in words:
            self._by_word.setdefault(word, set()).add(words)
        return True

    def _is_known(self, words: frozenset[str]) -> bool:
        if words in self._stories:
            return True
        if len(words) < FEWEST_WORDS:
            return False
        candidates: set[frozenset[str]] = set()
        for word in words:
            candidates |= self._by_word.get(word, set())
        return any(
            len(words & other) >= SAME_SHARE * len(words | other)
            for other in candidates
            if len(other) >= FEWEST_WORDS
        )

    def _forget(self, now_ms: int) -> None:
        oldest_ms = now_ms - self._span_ms
        while self._ids and (
            len(self._ids) > self._capacity or next(iter(self._ids.values())) < oldest_ms
        ):
            self._ids.popitem(last=False)
        while self._stories and (
            len(self._stories) > self._capacity or next(iter(self._stories.values())) < oldest_ms
        ):
            words, _ = self._stories.popitem(last=False)
            for word in words:
                left = self._by_word[word]
                left.discard(words)
                if not left:
                    del self._by_word[word]
