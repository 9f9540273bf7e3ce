"""Sentiment of headlines and posts: VADER (Hutto and Gilbert 2014) with a lexicon of crypto words.

VADER's rules for negation, degree and punctuation stay as they are; the shipped
``crypto_lexicon.txt`` adds words, changes some, and joins phrases into words of their own. How much
that helps on labelled sets is in docs/sentiment.md.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from trading.errors import ConfigurationError

_SUMMARY_SHARE = 0.3  # a headline says what matters; the text below it is often background


@cache
def crypto_lexicon() -> dict[str, float]:
    """Valence by word or phrase, as shipped. Raises ConfigurationError when the file is damaged."""
    text = resources.files("trading.news").joinpath("crypto_lexicon.txt").read_text("utf-8")
    lexicon: dict[str, float] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line or line.startswith("#"):
            continue
        word, _, valence = line.partition("\t")
        try:
            value = float(valence)
        except ValueError:
            value = 9.0
        if not word or word in lexicon or not -4 <= value <= 4:
            raise ConfigurationError(f"crypto_lexicon.txt, line {number}: {line!r} is no entry")
        lexicon[word] = value
    return lexicon


class LexiconSentiment:
    """Scores texts from -1 to 1. ``plain`` leaves the crypto words out: VADER as it comes."""

    def __init__(self, *, plain: bool = False) -> None:
        self._vader = SentimentIntensityAnalyzer()
        own = {} if plain else crypto_lexicon()
        phrases = sorted((word for word in own if " " in word), key=len, reverse=True)
        self._phrases = (
            re.compile(r"\b(" + "|".join(map(re.escape, phrases)) + r")\b", re.IGNORECASE)
            if phrases
            else None
        )
        self._vader.lexicon.update({_joined(word): value for word, value in own.items()})

    def score(self, title: str, summary: str = "") -> float:
        """Sentiment of an article by its headline, and a little by its summary."""
        headline = self._compound(title)
        if not summary:
            return headline
        whole = (1 - _SUMMARY_SHARE) * headline + _SUMMARY_SHARE * self._compound(summary)
        return round(whole, 4)

    def _compound(self, text: str) -> float:
        if self._phrases is not None:
            text = self._phrases.sub(lambda match: _joined(match[1].lower()), text)
        return float(self._vader.polarity_scores(text)["compound"])


def _joined(phrase: str) -> str:
    return phrase.replace(" ", "_")
