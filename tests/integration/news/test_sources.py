"""Each source over a real socket: what it asks, what it reads, how it bears failures."""

from __future__ import annotations

import asyncio
import logging
import time
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from news_server import KEYS, LINK_CONTRACT, WALLET, NewsServer, bomb, iso_time, news_server

from trading.errors import NewsSourceError
from trading.model.news import NOT_CONFIGURED, NewsKind
from trading.news.assembly import create_sources, http_client
from trading.news.poller import Poller
from trading.news.sources import feeds
from trading.news.sources.base import Source
from trading.news.sources.x_search import query_for

NOW = time.time_ns() // 1_000_000 // 1000 * 1000
PRICES = {"ETH": 3_000.0, "LINK": 20.0}


@pytest_asyncio.fixture
async def server() -> AsyncIterator[NewsServer]:
    async with news_server() as served:
        yield served


def sources_of(server: NewsServer, keys: dict[str, str] = KEYS, **changes: Any) -> list[Source]:
    sources, _ = create_sources(
        server.config(**changes), keys, ("BTC", "LINK"), http_client(), PRICES.get
    )
    return sources


def source(server: NewsServer, name: str, **changes: Any) -> Source:
    return next(one for one in sources_of(server, **changes) if one.name == name)


async def test_a_feed_gives_titles_summaries_links_and_times(server: NewsServer) -> None:
    server.rss = [{"title": "Bitcoin up", "summary": "<b>s</b>", "ms": NOW}, {"title": "No time"}]
    first, second = (await source(server, "Feed").fetch()).articles
    assert (first.title, first.published_at_ms, first.kind) == ("Bitcoin up", NOW, NewsKind.NEWS)
    assert first.url == "https://example.org/0"
    assert second.published_at_ms is None


async def test_an_unchanged_feed_is_not_read_twice(server: NewsServer) -> None:
    server.rss, server.tag = [{"title": "Bitcoin up", "ms": NOW}], '"v1"'
    feed = source(server, "Feed")
    assert len((await feed.fetch()).articles) == 1
    assert (await feed.fetch()).articles == []
    assert server.requests[-1][2]["if-none-match"] == '"v1"'


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ("bomb", "Feed: its answer is longer than 2000000 bytes"),
        ("torn", "Feed: its answer ends half way"),
        ("brotli", "Feed: its answer is packed in a way not asked for"),
    ],
)
async def test_a_packed_answer_is_unpacked_no_further_than_an_answer_may_be_long(
    server: NewsServer, broken: str, reason: str
) -> None:
    server.broken = {"/rss": broken}
    bomb()  # made once, and not counted below
    tracemalloc.start()
    try:
        with pytest.raises(NewsSourceError, match=reason):
            await source(server, "Feed", timeout_s=10).fetch()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20_000_000


@pytest.mark.parametrize("value", ["²", "-1", "soon", "9" * 400])
async def test_a_pause_that_is_no_number_is_none(server: NewsServer, value: str) -> None:
    server.broken, server.headers = {"/rss": 503}, {"retry-after": value}
    with pytest.raises(NewsSourceError, match="HTTP 503"):
        await source(server, "Feed").fetch()


@pytest.mark.parametrize("style", ["currencies", "instruments"])
async def test_cryptopanic_gives_headlines_with_their_coins(server: NewsServer, style: str) -> None:
    server.panic = [
        {
            "title": "Big news",
            "published_at": iso_time(NOW),
            "source": {"title": "CoinX"},
            style: [{"code": "LINK"}],
            "votes": {"positive": 3},
        }
    ]
    (article,) = (await source(server, "CryptoPanic").fetch()).articles
    assert (article.source, article.assets) == ("CoinX", ("LINK",))
    assert article.published_at_ms == NOW
    assert server.requests[-1][1]["currencies"] == "BTC,LINK"


async def test_newsapi_sends_its_key_in_a_header(server: NewsServer) -> None:
    server.press = [{"title": "T", "url": "https://a.org/1", "publishedAt": iso_time(NOW)}]
    (article,) = (await source(server, "NewsAPI").fetch()).articles
    assert article.source == "NewsAPI"
    _, query, headers = server.requests[-1]
    assert headers["X-Api-Key"] == KEYS["NEWSAPI_API_KEY"]
    assert KEYS["NEWSAPI_API_KEY"] not in str(query)


async def test_x_is_searched_for_the_watched_cashtags(server: NewsServer) -> None:
    server.tweets = [{"id": "17", "text": "$BTC to the moon", "created_at": iso_time(NOW)}]
    (post,) = (await source(server, "X").fetch()).articles
    assert (post.kind, post.url) == (NewsKind.SOCIAL, "https://x.com/i/status/17")
    assert server.requests[-1][1]["query"] == "($BTC OR $LINK) lang:en -is:retweet"


def test_a_query_holds_as_many_cashtags_as_it_may() -> None:
    query = query_for(tuple(f"COIN{number}" for number in range(200)))
    assert len(query) <= 512
    assert query.endswith(") lang:en -is:retweet")


async def test_reddit_asks_for_a_token_once_and_then_for_posts(server: NewsServer) -> None:
    server.reddit = [{"title": "Link", "permalink": "/r/C/1", "created_utc": NOW / 1000}]
    reddit = source(server, "Reddit")
    (post,) = (await reddit.fetch()).articles
    await reddit.fetch()
    assert (post.source, post.published_at_ms) == ("r/CryptoCurrency", NOW)
    assert server.paths().count("/token") == 1
    assert server.requests[-1][2]["Authorization"] == "Bearer planted-reddit-token"


def transfer(value: int, **fields: Any) -> dict[str, Any]:
    values = {"hash": "0xabc", "from": "0x" + "1" * 40, "to": WALLET.lower()}
    return {**values, "value": str(value), "timeStamp": str(NOW // 1000), **fields}


async def test_large_transfers_are_told_by_direction_and_size(server: NewsServer) -> None:
    server.transactions = [
        transfer(1000 * 10**18),
        transfer(10**18),  # 3,000 USD: small
        transfer(1000 * 10**18, isError="1"),
    ]
    link = {"contractAddress": LINK_CONTRACT.lower(), "tokenDecimal": "18", "tokenSymbol": "LINK"}
    out = {"from": WALLET, "to": "0x" + "2" * 40, "hash": "0xdef"}
    server.token_transfers = [
        transfer(10**5 * 10**18, **link, **out),
        transfer(10**9 * 10**18, **link | {"contractAddress": "0x" + "f" * 40}),  # forged LINK
    ]
    found = (await source(server, "Etherscan").fetch()).transfers
    assert [(one.asset, one.direction, one.amount) for one in found] == [
        ("ETH", "to_exchange", 1000.0),
        ("LINK", "from_exchange", 100_000.0),
    ]


ODD = ({"title": None, "text": None, "hash": None}, "text", 7, None, [], {"data": 1})


def one_good_among_odd(server: NewsServer) -> None:
    """Each source with one good item and several that are none."""
    good = {"title": "Bitcoin up", "published_at": iso_time(NOW)}
    server.panic = [*ODD, good, {**good, "currencies": [{"code": 5}, None]}]
    server.press = [*ODD[1:-1], {"title": "Bitcoin up", "publishedAt": iso_time(NOW)}]
    server.tweets = [*ODD, {"id": "17", "text": "$BTC up", "created_at": iso_time(NOW)}]
    server.reddit = [*ODD[:-1], {"title": "Bitcoin up", "created_utc": NOW / 1000}]
    server.reddit += [{"title": "Bitcoin", "created_utc": "soon"}]
    server.transactions = [
        *ODD,
        transfer(1000 * 10**18),
        {**transfer(0), "value": "many"},
        {**transfer(0), "value": "9" * 400},
        transfer(1000 * 10**18, timeStamp="9" * 30),
    ]
    token = {"contractAddress": LINK_CONTRACT.lower(), "tokenSymbol": "LINK"}
    server.token_transfers = [
        transfer(10**23, **token, tokenDecimal="18", hash="0xdef"),
        transfer(10**23, **token, tokenDecimal="-9999999"),
    ]


@pytest.mark.parametrize(
    ("name", "good", "malformed"),
    [("CryptoPanic", 1, 7), ("NewsAPI", 1, 4), ("X", 1, 6), ("Reddit", 1, 6), ("Etherscan", 2, 10)],
)
async def test_a_malformed_item_is_left_out_alone_and_counted(
    server: NewsServer, name: str, good: int, malformed: int
) -> None:
    one_good_among_odd(server)
    poller = Poller([source(server, name)], (), time.monotonic)
    found = await poller.poll()
    assert len(found.articles) + len(found.transfers) == good
    assert found.malformed == malformed
    (state,) = poller.states
    assert state.ok
    assert state.detail == f"answers; {malformed} malformed items left out so far"


async def test_an_entry_of_a_feed_with_an_impossible_time_is_left_out_alone(
    server: NewsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.rss = [{"title": "Bitcoin up", "ms": NOW}, {"title": "Bitcoin down", "ms": NOW}]
    read = feeds._entries

    def with_a_wild_time(body: bytes) -> list[Any]:
        first, second = read(body)
        first["published_parsed"] = (10**9, 1, 1, 0, 0, 0, 0, 0, 0)
        return [first, second]

    monkeypatch.setattr(feeds, "_entries", with_a_wild_time)
    found = await source(server, "Feed").fetch()
    assert [one.title for one in found.articles] == ["Bitcoin down"]
    assert found.malformed == 1


async def test_a_source_of_which_nothing_is_understood_has_failed(server: NewsServer) -> None:
    server.panic = [{"headline": "renamed"}, {"headline": "renamed too"}]
    poller = Poller([source(server, "CryptoPanic")], (), time.monotonic)
    await poller.poll()
    assert not poller.states[0].ok
    assert poller.states[0].detail == "CryptoPanic: none of its 2 items is understood"


@pytest.mark.parametrize("broken", [500, "slow", "endless", "garbage", "moved"])
async def test_no_failure_of_a_source_keeps_the_others_from_being_read(
    server: NewsServer, broken: int | str
) -> None:
    server.rss = [{"title": "Bitcoin up", "ms": NOW}]
    server.broken = dict.fromkeys(("/panic", "/press", "/x", "/etherscan", "/token"), broken)
    poller = Poller(sources_of(server, timeout_s=0.5), (), time.monotonic)
    found = await poller.poll()
    assert [one.title for one in found.articles] == ["Bitcoin up"]
    states = {one.name: one for one in poller.states}
    assert states["Feed"].ok
    assert [one.name for one in poller.states if one.ok] == ["Feed"]
    assert not any("elsewhere" in path for path in server.paths())


async def test_a_feed_of_garbage_has_no_articles(server: NewsServer) -> None:
    server.broken = {"/rss": "garbage"}
    assert (await source(server, "Feed").fetch()).articles == []


async def test_an_entity_bomb_is_no_feed_and_ends_quickly(server: NewsServer) -> None:
    doubled = (f'<!ENTITY l{n} "&l{n - 1};&l{n - 1};">' for n in range(1, 40))
    entities = '<!ENTITY l0 "lol">' + "".join(doubled)
    server._body = lambda *_: (  # type: ignore[method-assign]
        f'<?xml version="1.0"?><!DOCTYPE r [{entities}]><rss><channel><item><title>&l39;</title>'
        "</item></channel></rss>"
    )
    started = time.monotonic()
    found = await source(server, "Feed").fetch()
    assert time.monotonic() - started < 60  # expanded it would have 10^12 letters
    assert sum(len(one.title) for one in found.articles) < 10_000


async def test_a_source_that_wants_a_pause_gets_it(server: NewsServer) -> None:
    server.broken, server.headers = {"/panic": 429}, {"retry-after": "600"}
    now = [0.0]
    poller = Poller([source(server, "CryptoPanic")], (), lambda: now[0])
    await poller.poll()
    for now[0] in (100.0, 599.0):
        await poller.poll()
    assert server.paths().count("/panic") == 1
    now[0] = 601.0
    await poller.poll()
    assert server.paths().count("/panic") == 2


async def test_pauses_double_while_a_source_fails_and_end_with_its_answer(
    server: NewsServer,
) -> None:
    server.broken = {"/panic": 500}
    now, asked = [0.0], []
    poller = Poller([source(server, "CryptoPanic")], (), lambda: now[0])
    for second in range(0, 1000, 10):
        now[0] = float(second)
        before = len(server.requests)
        await poller.poll()
        if len(server.requests) > before:
            asked.append(second)
    assert asked == [0, 60, 180, 420, 900]
    server.broken = {}
    now[0] = 5_000.0
    await poller.poll()
    assert poller.states[0].ok


async def test_a_source_is_not_asked_more_often_than_it_may(server: NewsServer) -> None:
    now = [0.0]
    poller = Poller([source(server, "Feed", interval_s=60.0)], (), lambda: now[0])
    for now[0] in (0.0, 10.0, 59.0, 60.0):
        await poller.poll()
    assert server.paths().count("/rss") == 2


async def test_requests_of_one_source_keep_its_pace(server: NewsServer) -> None:
    config = server.config()
    slow = config.etherscan.model_copy(update={"requests_per_s": 5.0})
    etherscan = source(server, "Etherscan", etherscan=slow)
    started = time.monotonic()
    await etherscan.fetch()
    await etherscan.fetch()
    assert time.monotonic() - started >= 0.5  # four requests at 0.2 s each, the first one free


def test_without_a_key_a_source_is_named_as_not_configured(server: NewsServer) -> None:
    sources, without = create_sources(server.config(), {}, ("BTC",), http_client(), PRICES.get)
    assert [one.name for one in sources] == ["Feed"]
    states = Poller(sources, without, time.monotonic).states
    missing = [one for one in states if not one.configured]
    assert {one.name for one in missing} == {"CryptoPanic", "NewsAPI", "X", "Reddit", "Etherscan"}
    assert {one.detail for one in missing} == {NOT_CONFIGURED}


@pytest.mark.parametrize("broken", [401, 403, 404, 429, 500, "slow", "garbage", "moved", "endless"])
async def test_no_key_is_in_any_error_state_or_log(
    server: NewsServer, broken: int | str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.broken = dict.fromkeys(
        ("/panic", "/press", "/x", "/etherscan", "/token", "/reddit/r/CryptoCurrency/new"), broken
    )
    sources = sources_of(server, timeout_s=0.3)
    said = []
    for one in sources:
        try:
            await one.fetch()
        except NewsSourceError as error:
            said.append(f"{error!r} {error.__cause__!r}")
            said.append("" if error.__suppress_context__ else repr(error.__context__))
    poller = Poller(sources, (), time.monotonic)
    await poller.poll()
    text = caplog.text + str(said) + str(poller.states)
    assert len(said) >= 10
    for secret in (*KEYS.values(), "planted-reddit-token"):
        assert secret not in text


async def test_a_source_that_refuses_its_connection_says_so_without_its_address(
    server: NewsServer,
) -> None:
    config = server.config()
    gone = config.cryptopanic.model_copy(update={"url": "http://127.0.0.1:9/panic"})
    with pytest.raises(NewsSourceError, match=r"^CryptoPanic: ConnectError$"):
        await source(server, "CryptoPanic", cryptopanic=gone).fetch()
    await asyncio.sleep(0)
