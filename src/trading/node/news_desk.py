"""Keeps what the news process brings, and answers for it.

Articles come cleaned and scored; what they say is never acted on here. A headline can make a spike
only together with a move of the pair's own price.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from functools import partial

from trading.clock import DAY_MS, Clock
from trading.model.news import (
    NOT_CONFIGURED,
    Article,
    LargeTransfer,
    NewsBatch,
    NewsKind,
    NewsView,
    SourceState,
    TransfersView,
    WeighedArticle,
    sentiment_class,
)
from trading.model.signals import Headline
from trading.news.relevance import weight
from trading.node.records import Records, RecordTables

CAPACITY = 5_000
HOUR_MS = 3_600_000
BURST_MS = 600_000
# A burst is told from an hour's quiet only when there is an hour to hold it against.
MIN_BASELINE_MS = HOUR_MS


class NewsDesk:
    """Used on the core's main loop."""

    def __init__(
        self,
        clock: Clock,
        records: Records,
        *,
        say: Callable[[str, str], None],
        on_headline: Callable[[Headline], None],
        price: Callable[[str], float | None],
        quote_asset: str,
        min_headline_relevance: float,
    ) -> None:
        """``say`` tells the screens, ``price`` gives a pair's last price."""
        self._clock = clock
        self._records = records
        self._say = say
        self._on_headline = on_headline
        self._price = price
        self._quote = quote_asset
        self._min_relevance = min_headline_relevance
        self._articles: OrderedDict[str, Article] = OrderedDict()
        self._transfers: OrderedDict[str, LargeTransfer] = OrderedDict()
        self._sources: tuple[SourceState, ...] = ()
        self._fresh_until_ms: int | None = None
        self._heard_since_ms: int | None = None
        self._restored = False

    async def restore(self) -> None:
        """Take up what an earlier core was told: the news process does not tell it twice."""
        if self._restored:
            return
        self._restored = True
        since_ms = self._clock.now_ms() - DAY_MS
        stored = await self._records.call(lambda tables: tables.news.since(since_ms, CAPACITY))
        newer, self._articles = self._articles, OrderedDict((one.id, one) for one in stored)
        self._articles.update(newer)

    def take(self, batch: NewsBatch) -> int:
        """Take a batch; returns how many of its articles are new."""
        now_ms = self._clock.now_ms()
        if self._heard_since_ms is None:
            self._heard_since_ms = now_ms
        self._sources = batch.sources
        self._fresh_until_ms = now_ms + batch.valid_for_ms
        new = [one for one in batch.articles if one.id not in self._articles]
        for article in new:
            self._articles[article.id] = article
            self._records.write(partial(_insert, article))
            is_headline = article.kind is NewsKind.NEWS and article.symbols
            if is_headline and article.relevance >= self._min_relevance:
                self._say("news", f"{article.source}: {article.title}")
                self._on_headline(
                    Headline(article.id, article.symbols, article.title, article.published_at_ms)
                )
        for transfer in batch.transfers:
            self._transfers.setdefault(transfer.id, transfer)
        self._forget(now_ms)
        return len(new)

    def news(self, symbol: str, kind: NewsKind, hours: float, limit: int) -> NewsView:
        """What is known of a pair from sources of a kind, weightiest first."""
        now_ms = self._clock.now_ms()
        since_ms = now_ms - round(hours * HOUR_MS)
        about = [
            one
            for one in self._articles.values()
            if one.kind is kind and symbol in one.symbols and one.published_at_ms >= since_ms
        ]
        weighed = [
            WeighedArticle(article=one, weight=weight(one.relevance, now_ms - one.published_at_ms))
            for one in about
        ]
        weighed.sort(key=lambda one: (-one.weight, -one.article.published_at_ms, one.article.id))
        total = sum(one.weight for one in weighed)
        mean = sum(one.weight * one.article.sentiment for one in weighed) / total if total else None
        sources = [one for one in self._sources if one.kind == kind.value]
        configured = [one for one in sources if one.configured]
        return NewsView(
            symbol=symbol,
            kind=kind,
            time_ms=now_ms,
            problem=self._problem(sources, now_ms),
            configured=bool(configured),
            sources_ok=sum(one.ok for one in configured),
            sources_configured=len(configured),
            articles=tuple(weighed[:limit]),
            count_1h=sum(one.published_at_ms > now_ms - HOUR_MS for one in about),
            sentiment=None if mean is None else max(-1.0, min(1.0, mean)),
            positive=sum(sentiment_class(one.sentiment) > 0 for one in about),
            negative=sum(sentiment_class(one.sentiment) < 0 for one in about),
            burst=self._burst(symbol, kind, now_ms),
        )

    def transfers(self, asset: str, hours: float) -> TransfersView:
        """Large transfers of an asset to and from exchanges' wallets."""
        now_ms = self._clock.now_ms()
        sources = [one for one in self._sources if one.kind == "on_chain"]
        price = self._price(asset + self._quote)
        found = [
            one
            for one in self._transfers.values()
            if one.asset == asset and one.time_ms >= now_ms - round(hours * HOUR_MS)
        ]
        found.sort(key=lambda one: (-one.amount, one.id))

        def total(direction: str) -> float:
            return sum(one.amount for one in found if one.direction == direction) * (price or 0.0)

        problem = self._problem(sources, now_ms)
        if not problem and price is None:
            problem = f"no price of {asset}: notionals are unknown"
        return TransfersView(
            asset=asset,
            time_ms=now_ms,
            hours=hours,
            problem=problem,
            configured=any(one.configured for one in sources),
            transfers=tuple(found[:20]),
            to_exchange=total("to_exchange"),
            from_exchange=total("from_exchange"),
            price=price,
        )

    def _problem(self, sources: list[SourceState], now_ms: int) -> str:
        configured = [one for one in sources if one.configured]
        if not configured:
            return NOT_CONFIGURED
        if self._fresh_until_ms is None or now_ms > self._fresh_until_ms:
            return "stale: the news process has brought nothing lately"
        if not any(one.ok for one in configured):
            return "no source answers: " + "; ".join(one.detail for one in configured)[:300]
        return ""

    def _burst(self, symbol: str, kind: NewsKind, now_ms: int) -> float | None:
        """The last ten minutes' articles over what is usual in ten minutes of the day before."""
        if self._heard_since_ms is None:
            return None
        before_ms = now_ms - BURST_MS
        first_ms = max(self._heard_since_ms, before_ms - DAY_MS)
        if before_ms - first_ms < MIN_BASELINE_MS:
            return None
        times = deque(
            one.published_at_ms
            for one in self._articles.values()
            if one.kind is kind and symbol in one.symbols
        )
        lately = sum(time_ms > before_ms for time_ms in times)
        earlier = sum(first_ms < time_ms <= before_ms for time_ms in times)
        usual = earlier * BURST_MS / (before_ms - first_ms)
        # A quiet pair's first post is no burst: at least one in ten minutes counts as usual.
        return lately / max(1.0, usual)

    def _forget(self, now_ms: int) -> None:
        for known in (self._articles, self._transfers):
            while len(known) > CAPACITY:
                known.popitem(last=False)
        oldest_ms = now_ms - 2 * DAY_MS
        for identity, article in list(self._articles.items()):
            if article.published_at_ms < oldest_ms:
                del self._articles[identity]
        for identity, transfer in list(self._transfers.items()):
            if transfer.time_ms < oldest_ms:
                del self._transfers[identity]


def _insert(article: Article, tables: RecordTables) -> bool:
    return tables.news.insert(article)
