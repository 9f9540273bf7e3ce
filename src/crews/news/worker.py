"""The news process: ``python -m crews.news.worker``.

It reads what people outside write, so it holds nothing worth stealing: no exchange key, no order,
only the sources' keys and the workers' socket of the core. Its settings come as one JSON line on
standard input; when that closes, the parent is gone and it ends.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence

from pydantic import ValidationError

from agents.llm_choice import worker_variables
from crews.news.config import NewsWorkerConfig
from crews.news.model_sentiment import create_model_sentiment
from crews.worker import EXIT_CONFIGURATION, EXIT_CORE_LOST, EXIT_OK, refuse_exchange_keys
from trading.api.client import TradingClient
from trading.api.http_client import HttpTradingClient
from trading.api.schemas import STARTING
from trading.errors import ConfigurationError, ControlApiError, SpikeguardError
from trading.model.news import Article, LargeTransfer, NewsBatch
from trading.news.assembly import create_sources, http_client
from trading.news.pipeline import NewsPipeline
from trading.news.poller import Poller
from trading.node.logs import configure_logging
from trading.node.pulse import Pulse

logger = logging.getLogger(__name__)

NAME = "news-worker"
MAX_BATCH = 200
MAX_FUTURE_MS = 120_000  # how far an author's clock may be ahead
HEARTBEAT_S = 2.0
LONGEST_S = 120.0  # for a model's reading and the core's answers


class NewsWorker:
    """Rounds through the sources until stopped. ``client``'s calls run on threads."""

    def __init__(
        self, client: TradingClient, config: NewsWorkerConfig, environment: Mapping[str, str]
    ) -> None:
        """Raises ConfigurationError."""
        self._client = client
        self._config = config
        self._prices: dict[str, float] = {}
        quote = config.quote_asset
        pairs = {symbol: symbol.removesuffix(quote) for symbol in config.symbols}
        self._http = http_client()
        sources, without = create_sources(
            config.news, environment, tuple(pairs.values()), self._http, self._price_of
        )
        self._poller = Poller(sources, without, time.monotonic)
        max_age_ms = round(config.news.max_age_h * 3_600_000)
        self._pipeline = NewsPipeline(pairs, max_age_ms, MAX_FUTURE_MS)
        self._model = create_model_sentiment(config.news, config.agents, environment, client)
        self._detail = STARTING
        self._pulse = Pulse(NAME)
        self._pulse.beat()
        self.exit_code = EXIT_OK

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop`` is set, or the core was silent for too long."""
        beating = asyncio.create_task(self._beat(stop))
        try:
            while not stop.is_set():
                started = time.monotonic()
                self._pulse.beat()
                try:
                    await self.round()
                except SpikeguardError as error:
                    self._detail = f"not handed over: {error}"
                    logger.warning("%s", self._detail)
                pause_s = max(0.0, self._config.news.interval_s - (time.monotonic() - started))
                try:
                    await asyncio.wait_for(stop.wait(), pause_s)
                except TimeoutError:
                    continue
        finally:
            beating.cancel()
            await self._http.aclose()

    async def round(self) -> int:
        """Ask the sources that are due and hand over what is new; returns how much the core took.

        Raises:
            ControlApiError: the core did not take it.
        """
        market = await asyncio.to_thread(self._client.market)
        self._prices = dict(market.prices)
        found = await self._poller.poll()
        wall_ms = time.time_ns() // 1_000_000
        articles = self._pipeline.take(found.articles, wall_ms)
        if self._model is not None and articles:
            articles = await self._model.score(articles)
        # Sources speak of the wall's time, the core of the market's, which a simulation sets.
        offset_ms = await asyncio.to_thread(self._client.now_ms) - time.time_ns() // 1_000_000
        taken = await self._hand_over(
            [_moved(article, offset_ms) for article in articles],
            [
                one.model_copy(update={"time_ms": one.time_ms + offset_ms})
                for one in found.transfers
            ],
        )
        states = self._poller.states
        asked = [one for one in states if one.configured]
        self._detail = f"{sum(one.ok for one in asked)} of {len(asked)} sources answer"
        return taken

    async def _hand_over(
        self, articles: Sequence[Article], transfers: Sequence[LargeTransfer]
    ) -> int:
        """In batches; one even when there is nothing, so that the core knows of the sources."""
        news, taken = self._config.news, 0
        valid_for_ms = round((3 * news.interval_s + news.timeout_s) * 1000)
        longest = max(len(articles), len(transfers), 1)
        for start in range(0, longest, MAX_BATCH):
            batch = NewsBatch(
                articles=tuple(articles[start : start + MAX_BATCH]),
                transfers=tuple(transfers[start : start + MAX_BATCH]),
                sources=self._poller.states,
                valid_for_ms=valid_for_ms,
            )
            taken += await asyncio.to_thread(self._client.record_news, batch)
        return taken

    @property
    def _hangs(self) -> bool:
        """Whether a round takes longer than what it brings would be of use."""
        news = self._config.news
        return self._pulse.silent_ms > (3 * news.interval_s + news.timeout_s + LONGEST_S) * 1000

    async def _beat(self, stop: asyncio.Event) -> None:
        """Signs of life for the rounds: one that hangs has none, and the worker is begun anew."""
        heard = time.monotonic()
        while True:
            if self._hangs:
                logger.error("no sign of life: the round through the sources does not end")
                return
            try:
                await asyncio.to_thread(self._client.worker_heartbeat, NAME, self._detail)
                heard = time.monotonic()
            except ControlApiError as error:
                if time.monotonic() - heard > self._config.core_lost_after_s:
                    logger.error("core lost, ending: %s", error)
                    self.exit_code = EXIT_CORE_LOST
                    stop.set()
                    return
            await asyncio.sleep(HEARTBEAT_S)

    def _price_of(self, asset: str) -> float | None:
        return self._prices.get(asset + self._config.quote_asset)


def _moved(article: Article, offset_ms: int) -> Article:
    return article.model_copy(
        update={
            "published_at_ms": article.published_at_ms + offset_ms,
            "fetched_at_ms": article.fetched_at_ms + offset_ms,
        }
    )


async def serve(config: NewsWorkerConfig, environment: Mapping[str, str]) -> int:
    """Run one worker to its end; the exit code. Raises ConfigurationError."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    def on_input() -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            loop.remove_reader(sys.stdin.fileno())
            stop.set()

    loop.add_reader(sys.stdin.fileno(), on_input)
    with HttpTradingClient(config.socket_path, timeout_s=config.request_timeout_s) as client:
        worker = NewsWorker(client, config, environment)
        ready = json.dumps({"ready": True, "pid": os.getpid(), "worker": NAME})
        sys.stdout.write(ready + "\n")
        sys.stdout.flush()
        await worker.run(stop)
        return worker.exit_code


def main() -> int:
    """Exit codes as of a crew worker."""
    try:
        refuse_exchange_keys(os.environ)
        config = NewsWorkerConfig.model_validate_json(sys.stdin.readline() or "{}")
        configure_logging(config.logging, NAME, secret_variables=worker_variables(config.agents))
        return asyncio.run(serve(config, os.environ))
    except ValidationError as error:
        sys.stderr.write(f"configuration: the settings do not fit: {error}\n")
    except ConfigurationError as error:
        sys.stderr.write(f"configuration: {error}\n")
    return EXIT_CONFIGURATION


if __name__ == "__main__":
    sys.exit(main())
