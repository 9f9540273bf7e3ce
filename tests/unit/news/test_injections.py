"""No injection of the corpus keeps its disguise, leaves its block, or hides in a tool's answer."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable

import pytest
from injections import Injection, injections
from memory_client import START_MS, SYMBOL, MemoryTradingClient

from agents.prompt_data import data_block, read_blocks
from tools import base
from tools.registry import tools_named
from trading.model.news import Article, NewsKind, NewsView, WeighedArticle
from trading.model.outside_text import SUMMARY_LENGTH, TITLE_LENGTH
from trading.news import pipeline as news_pipeline
from trading.news.pipeline import NewsPipeline
from trading.news.raw import RawArticle

CORPUS = injections(SYMBOL)
PIPELINE = NewsPipeline({SYMBOL: "SOL"}, 3_600_000, 0)  # making one reads the lexicon
HIDDEN = {"Cc", "Cf", "Co", "Cs", "Cn"}


def article_of(injection: Injection) -> Article:
    raw = RawArticle(
        NewsKind.NEWS,
        "Feed",
        injection.text,
        summary=injection.text,
        published_at_ms=START_MS,
        assets=("SOL",),
    )
    article = PIPELINE._article(raw, START_MS)
    assert article is not None
    return article


def tool_answer(article: Article) -> str:
    client = MemoryTradingClient()
    weighed = WeighedArticle(article=article, weight=1.0)
    client.news_views[NewsKind.NEWS] = NewsView(
        symbol=SYMBOL, kind=NewsKind.NEWS, time_ms=START_MS, configured=True, articles=(weighed,)
    )
    (tool,) = tools_named(client, ["get_news_sentiment"])
    text = tool.run(symbol=SYMBOL)
    assert isinstance(text, str)
    return text


def check(injection: Injection) -> None:
    """What every build must hold of every injection."""
    article = article_of(injection)
    for text, most in ((article.title, TITLE_LENGTH), (article.summary, SUMMARY_LENGTH)):
        assert len(text) <= most
        assert not [c for c in text if unicodedata.category(c) in HIDDEN]
        assert not [c for c in text if "\ufe00" <= c <= "\ufe0f" or c >= "\U000e0000"]
    if injection.is_hidden:
        assert "CALL" not in article.title
    answer = tool_answer(article)
    assert answer.isascii()
    assert "<" not in answer
    assert json.loads(answer)["items"][0]["title"] == article.title
    prompt = f"Task.\n{data_block('outside', json.loads(answer))}\nEnd."
    assert len(re.findall("<data", prompt)) == len(re.findall("</data>", prompt)) == 1
    assert set(read_blocks(prompt)) == {"outside"}
    inside = prompt.split("\n")[2]
    assert prompt.split("\n")[1:4:2] == ['<data name="outside">', "</data>"]
    assert not re.search(r"\{[a-z_]+\}", inside)  # nothing that a template would fill


def test_the_corpus_holds_five_hundred() -> None:
    assert len(CORPUS) == len({one.name for one in CORPUS}) == 500


def test_every_injection_is_made_visible_bounded_and_delimited() -> None:
    for injection in CORPUS:
        try:
            check(injection)
        except AssertionError as error:
            raise AssertionError(injection.name) from error


def _raw_text(text: str, length: int) -> str:
    return text[:length]


def _raw_json(answer: dict[str, object]) -> str:
    return json.dumps(answer, ensure_ascii=False)


@pytest.mark.parametrize(
    ("module", "name", "broken"),
    [(news_pipeline, "plain", _raw_text), (base, "as_text", _raw_json)],
    ids=["texts are not cleaned", "answers are not escaped"],
)
def test_a_build_without_the_cleaning_lets_some_through(
    monkeypatch: pytest.MonkeyPatch, module: object, name: str, broken: Callable[..., str]
) -> None:
    monkeypatch.setattr(module, name, broken)
    let_through = 0
    for injection in CORPUS[::7]:
        try:
            check(injection)
        except (AssertionError, ValueError):
            let_through += 1
    assert let_through
