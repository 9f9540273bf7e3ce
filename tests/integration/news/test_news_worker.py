"""The news process from a feed to the core's tools, and what it does when things are gone."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from core_in_process import CoreInProcess, LoopThread, core_in_process
from memory_client import MemoryTradingClient
from news_server import KEYS, NewsServer, iso_time, news_server
from openai_server import OpenAiServer, Refusal

from agents.config import AgentsConfig, LlmConfig, LlmProvider
from crews.news.config import NewsWorkerConfig
from crews.news.worker import NewsWorker
from tools.registry import tools_named
from trading.model.model_call import ModelUsage
from trading.news.config import SentimentMode

PRICES = {"BTCUSDT": 60_000.0, "ETHUSDT": 3_000.0}


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture
def sources() -> Iterator[NewsServer]:
    loop = LoopThread("sources")
    context = news_server()
    yield loop.run(context.__aenter__())
    loop.run(context.__aexit__(None, None, None))
    loop.stop()


def settings(server: NewsServer, socket: Path, **changes: Any) -> NewsWorkerConfig:
    values: dict[str, Any] = {
        "socket_path": socket,
        "news": server.config(),
        "symbols": tuple(PRICES),
        "quote_asset": "USDT",
    }
    return NewsWorkerConfig(**{**values, **changes})


def worker_of(
    server: NewsServer, client: Any, keys: dict[str, str] = KEYS, **changes: Any
) -> NewsWorker:
    return NewsWorker(client, settings(server, Path("unused"), **changes), keys)


def test_a_headline_reaches_the_tools_through_the_process_and_the_core(
    sources: NewsServer, tmp_path: Path
) -> None:
    sources.rss = [{"title": "Ethereum exchange hacked, funds stolen", "ms": now_ms() - 60_000}]
    sources.tweets = [{"id": "1", "text": "$ETH to the moon", "created_at": iso_time(now_ms())}]
    with core_in_process(tmp_path, PRICES) as core:
        config = settings(sources, core.worker._socket_path)
        keys = {name: value for name, value in KEYS.items() if name != "ETHERSCAN_API_KEY"}
        process = subprocess.Popen(
            [sys.executable, "-m", "crews.news.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **keys},
            text=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(config.model_dump_json() + "\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["ready"]
        answer = eventually(core, "get_news_sentiment", lambda one: one["items"])
        assert answer["available"]
        assert answer["sentiment"] < -0.3
        assert answer["items"][0]["title"] == "Ethereum exchange hacked, funds stolen"
        social = ask(core, "get_social_sentiment", symbol="ETHUSDT")
        assert social["sentiment"] > 0.3
        assert ask(core, "get_large_transfers", asset="ETH")["problem"] == "not configured"
        names = [one.name for one in core.operator.status().components]
        assert "news-worker" in names
        process.stdin.close()  # its parent is gone
        assert process.wait(30) == 0
        said = process.stdout.read() + (process.stderr.read() if process.stderr else "")
        assert not any(key in said for key in KEYS.values())


def ask(core: CoreInProcess, name: str, /, **arguments: Any) -> Any:
    (tool,) = tools_named(core.worker, [name])
    return json.loads(tool.run(**arguments))


def eventually(core: CoreInProcess, name: str, holds: Any) -> Any:
    deadline = time.monotonic() + 30
    while not holds(answer := ask(core, name, symbol="ETHUSDT")):
        assert time.monotonic() < deadline, answer
        time.sleep(0.1)
    return answer


async def test_times_are_moved_to_the_markets_clock(sources: NewsServer) -> None:
    sources.rss = [{"title": "Bitcoin rises", "ms": (now_ms() - 60_000) // 1000 * 1000}]
    client = MemoryTradingClient()  # its market is years behind the wall
    await worker_of(sources, client).round()
    (article,) = [one for batch in client.batches for one in batch.articles]
    assert 59_000 <= client.time_ms - article.published_at_ms <= 120_000


async def test_a_round_without_news_still_tells_how_the_sources_fare(sources: NewsServer) -> None:
    client = MemoryTradingClient()
    await worker_of(sources, client, keys={}).round()
    (batch,) = client.batches
    assert batch.articles == ()
    assert [one.name for one in batch.sources if one.ok] == ["Feed"]


def scored_by_model(server: OpenAiServer, **changes: Any) -> dict[str, Any]:
    llm = LlmConfig(provider=LlmProvider.OPENAI_COMPATIBLE, model="m", base_url=server.url)
    return {"agents": AgentsConfig(llm=llm), **changes}


def brain_of(scores: Any) -> Any:
    return lambda _messages: {"role": "assistant", "content": json.dumps(scores)}


async def scores_with(sources: NewsServer, answer: Any) -> dict[str, tuple[float, str]]:
    ms = now_ms() - 60_000
    sources.rss = [{"title": "Bitcoin surges", "ms": ms}, {"title": "Ethereum plunges", "ms": ms}]
    client = MemoryTradingClient()
    with OpenAiServer(brain=brain_of(answer)) as model:
        worker = worker_of(sources, client, **scored_by_model(model))
        await worker.round()
        prompts = "".join(str(one["messages"]) for one in model.requests)
    assert "Bitcoin surges" in prompts
    assert not any(key in prompts for key in KEYS.values())
    articles = [one for batch in client.batches for one in batch.articles]
    return {one.title: (one.sentiment, one.sentiment_by) for one in articles}


async def test_a_model_scores_headlines_in_batches_where_there_is_one(sources: NewsServer) -> None:
    answer = {"scores": [{"number": 1, "sentiment": 0.25}, {"number": 2, "sentiment": -0.75}]}
    scores = await scores_with(sources, answer)
    assert {score for score, _ in scores.values()} == {0.25, -0.75}
    assert {by for _, by in scores.values()} == {"model m"}


@pytest.mark.parametrize(
    "answer",
    [
        {"scores": [{"number": 1, "sentiment": 0.5}]},  # one is missing
        {"scores": [{"number": 1, "sentiment": 5}, {"number": 2, "sentiment": 0}]},
        {"scores": [{"number": 1, "sentiment": 0}, {"number": 1, "sentiment": 0}]},
        {"scores": [{"number": 1, "sentiment": 0, "buy": True}, {"number": 2, "sentiment": 0}]},
        {"scores": "all good"},
        "Sure! Here are the scores: 1, 1",
    ],
)
async def test_what_is_not_one_score_for_every_headline_leaves_the_lexicons(
    sources: NewsServer, answer: Any
) -> None:
    scores = await scores_with(sources, answer)
    assert {by for _, by in scores.values()} == {"lexicon"}
    assert scores["Bitcoin surges"][0] > 0 > scores["Ethereum plunges"][0]


async def test_a_models_reading_of_headlines_is_counted_and_stored(sources: NewsServer) -> None:
    sources.rss = [{"title": "Bitcoin surges", "ms": now_ms() - 60_000}]
    client = MemoryTradingClient()
    answer = {"scores": [{"number": 1, "sentiment": 0.25}]}
    usage = {"prompt_tokens": 321, "completion_tokens": 12, "total_tokens": 333}
    with OpenAiServer(brain=brain_of(answer), usage=usage) as model:
        await worker_of(sources, client, **scored_by_model(model)).round()
    (call,) = client.model_calls
    assert (call.crew, call.task, call.model, call.ok) == ("news", "headline_sentiment", "m", True)
    assert (call.input_tokens, call.output_tokens, call.estimated) == (321, 12, False)
    assert call.prompt_hash


async def test_a_reading_that_failed_is_stored_with_why(sources: NewsServer) -> None:
    sources.rss = [{"title": "Bitcoin surges", "ms": now_ms() - 60_000}]
    client = MemoryTradingClient()
    with OpenAiServer(brain=lambda _messages: Refusal(503)) as model:
        await worker_of(sources, client, **scored_by_model(model)).round()
        assert len(model.requests) == 1  # a repeat would not be counted
    (call,) = client.model_calls
    assert (call.ok, call.estimated) == (False, True)
    assert "HTTP 503" in call.error
    assert call.input_tokens > 0


@pytest.mark.parametrize("usage", [ModelUsage(hour_tokens=2_999_000), ModelUsage(day_tokens=2**60)])
async def test_an_empty_budget_leaves_the_lexicons_scores_and_asks_no_model(
    sources: NewsServer, usage: ModelUsage
) -> None:
    sources.rss = [{"title": "Bitcoin surges", "ms": now_ms() - 60_000}]
    client = MemoryTradingClient()
    client.usage = usage
    with OpenAiServer(brain=brain_of({})) as model:
        await worker_of(sources, client, **scored_by_model(model)).round()
        assert model.requests == []
    assert client.batches[0].articles[0].sentiment_by == "lexicon"


async def test_the_lexicon_alone_is_used_where_that_is_configured(sources: NewsServer) -> None:
    sources.rss = [{"title": "Bitcoin surges", "ms": now_ms() - 60_000}]
    client = MemoryTradingClient()
    with OpenAiServer(brain=brain_of({})) as model:
        news = sources.config(sentiment=SentimentMode.LEXICON)
        await worker_of(sources, client, **scored_by_model(model, news=news)).round()
        assert model.requests == []
    assert client.batches[0].articles[0].sentiment_by == "lexicon"


async def test_the_process_ends_when_the_core_is_gone_for_good(
    sources: NewsServer, tmp_path: Path
) -> None:
    from trading.api.http_client import HttpTradingClient

    with HttpTradingClient(tmp_path / "nobody.sock", timeout_s=0.2) as client:
        worker = worker_of(sources, client, core_lost_after_s=0.1)
        await asyncio.wait_for(worker.run(asyncio.Event()), 20)
    assert worker.exit_code == 3
