"""News beside a live run: started by the supervisor, read by tools, started again when killed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from core_in_process import LoopThread
from live_instance import eventually, live_instance
from news_server import KEYS, NewsServer, news_server

from trading.model.news import NewsKind


@pytest.fixture
def sources() -> Iterator[NewsServer]:
    loop = LoopThread("sources")
    context = news_server()
    yield loop.run(context.__aenter__())
    loop.run(context.__aexit__(None, None, None))
    loop.stop()


def test_headlines_reach_a_live_run_and_survive_the_death_of_their_process(
    sources: NewsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRYPTOPANIC_API_KEY", KEYS["CRYPTOPANIC_API_KEY"])
    now_ms = time.time_ns() // 1_000_000
    sources.rss = [{"title": "Bitcoin surges to all-time high", "ms": now_ms - 60_000}]
    news = sources.config()
    settings = {
        "news__mode": "on",
        "news__interval_s": 1.0,
        "news__feeds": [one.model_dump() for one in news.feeds],
        "news__cryptopanic": news.cryptopanic.model_dump(),
    }
    with live_instance(tmp_path, with_workers=False, **settings) as live:

        def articles() -> Any:
            return live.worker.news("BTCUSDT", NewsKind.NEWS, 6, 10).articles

        (one,) = eventually(articles, 40, "an article")
        assert one.article.sentiment > 0.3
        first = live.supervisor.process_id("news worker")
        environment = Path(f"/proc/{first}/environ").read_bytes().decode()
        assert KEYS["CRYPTOPANIC_API_KEY"] in environment
        assert "BINANCE_" not in environment
        core = Path(f"/proc/{live.supervisor.process_id('core')}/environ").read_bytes().decode()
        assert KEYS["CRYPTOPANIC_API_KEY"] not in core
        os.kill(first, signal.SIGKILL)
        sources.rss += [{"title": "Ethereum exchange hacked, funds stolen", "ms": now_ms}]

        def is_back() -> Any:
            live.supervisor.check()
            return live.worker.news("ETHUSDT", NewsKind.NEWS, 6, 10).articles

        eventually(is_back, 40, "an article after the restart")
        assert len(articles()) == 1  # the first one was not taken twice
