"""Articles, posts and large transfers, and what is said of them to whoever asks."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from trading.model.base import Fraction, SymbolName, ValueModel
from trading.model.outside_text import NAME_LENGTH, SUMMARY_LENGTH, TITLE_LENGTH

Sentiment = Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)]

LEXICON = "lexicon"
NOT_CONFIGURED = "not configured"
MOST_SYMBOLS = 50
"""So many pairs an article may be about; of one that names more the first count."""


NEUTRAL_BAND = 0.05
"""VADER's own: a score beyond it, either way, is positive or negative."""


def sentiment_class(score: float) -> int:
    """1 positive, -1 negative, 0 neither."""
    return (score >= NEUTRAL_BAND) - (score <= -NEUTRAL_BAND)


class NewsKind(StrEnum):
    NEWS = "news"  # by editors
    SOCIAL = "social"  # by anybody


class Article(ValueModel):
    """One article or post. Texts are cleaned (``outside_text.clean``) and stay data.

    ``sentiment`` runs from -1 to 1 as scored by ``sentiment_by``; ``relevance`` says how much it is
    about its pairs. ``symbols`` are the pairs it is about.
    """

    id: str = Field(pattern=r"^[0-9a-f]{32}$")
    kind: NewsKind
    source: str = Field(min_length=1, max_length=NAME_LENGTH)
    title: str = Field(min_length=1, max_length=TITLE_LENGTH)
    summary: str = Field(default="", max_length=SUMMARY_LENGTH)
    url: str = Field(default="", max_length=500)
    published_at_ms: int
    fetched_at_ms: int
    symbols: tuple[SymbolName, ...] = Field(default=(), max_length=MOST_SYMBOLS)
    sentiment: Sentiment
    sentiment_by: str = Field(min_length=1, max_length=NAME_LENGTH + 20)
    relevance: Fraction


class LargeTransfer(ValueModel):
    """A large transfer between an exchange's known wallet and another one."""

    id: str = Field(min_length=1, max_length=120)
    asset: str = Field(pattern=r"^[A-Z0-9]{1,15}$")
    amount: float = Field(gt=0, allow_inf_nan=False)
    direction: Literal["to_exchange", "from_exchange"]
    exchange: str = Field(min_length=1, max_length=NAME_LENGTH)
    time_ms: int


class SourceState(ValueModel):
    """How a source fares. ``detail`` holds no secret and no address."""

    name: str = Field(min_length=1, max_length=NAME_LENGTH)
    kind: Literal["news", "social", "on_chain"]
    configured: bool
    ok: bool
    detail: str = Field(default="", max_length=200)


class NewsBatch(ValueModel):
    """What the news process hands to the core in one go."""

    articles: tuple[Article, ...] = Field(default=(), max_length=500)
    transfers: tuple[LargeTransfer, ...] = Field(default=(), max_length=500)
    sources: tuple[SourceState, ...] = Field(default=(), max_length=100)
    valid_for_ms: int = Field(gt=0, le=86_400_000)  # without a newer batch, all this is stale


class WeighedArticle(ValueModel):
    """An article with its part in the whole: relevance, fading with age."""

    article: Article
    weight: Fraction


class NewsView(ValueModel):
    """What is known of a pair from one kind of source; ``problem`` says why little or nothing is.

    ``sentiment`` is the mean by weight, None without articles. ``burst`` is the last ten minutes'
    number of articles over what is usual in ten minutes of the day before; None while unknown.
    """

    symbol: str
    kind: NewsKind
    time_ms: int
    problem: str = ""
    configured: bool = False
    sources_ok: int = 0
    sources_configured: int = 0
    articles: tuple[WeighedArticle, ...] = ()
    count_1h: int = 0
    sentiment: Sentiment | None = None
    positive: int = 0
    negative: int = 0
    burst: float | None = None


class TransfersView(ValueModel):
    """Large transfers of an asset within the hours asked for; notional in the quote asset."""

    asset: str
    time_ms: int
    hours: float
    problem: str = ""
    configured: bool = False
    transfers: tuple[LargeTransfer, ...] = ()
    to_exchange: float = 0.0
    from_exchange: float = 0.0
    price: float | None = None
