"""Which pairs a text is about: names, tickers, and words that only look like them."""

from __future__ import annotations

import pytest

from trading.news.symbols import SymbolFinder

ASSETS = (
    *("BTC", "ETH", "SOL", "XRP", "ADA", "DOGE", "AVAX", "LINK", "DOT"),
    *("LTC", "TRX", "NEAR", "OP", "BCH", "ETC", "SAND", "UNI"),
)
FINDER = SymbolFinder({f"{asset}USDT": asset for asset in ASSETS})


def found(text: str) -> set[str]:
    return {symbol.removesuffix("USDT") for symbol in FINDER.find(text)}


@pytest.mark.parametrize(
    ("text", "assets"),
    [
        ("Bitcoin tops $100,000 as ETH follows", {"BTC", "ETH"}),
        ("Ethereum's next upgrade", {"ETH"}),
        ("SOL/USDT breaks out", {"SOL"}),
        ("DOGEUSDT and LTCUSDT volumes double", {"DOGE", "LTC"}),
        ("Is $LINK undervalued?", {"LINK"}),
        ("Chainlink (LINK) partners with SWIFT", {"LINK"}),
        ("LINK price jumps 12%", {"LINK"}),
        ("Polkadot and DOT token holders vote", {"DOT"}),
        ("Avalanche launches subnet for crypto games", {"AVAX"}),
        ("Cardano’s ADA tumbles", {"ADA"}),
        ("Ripple wins against SEC", {"XRP"}),
        ("NEAR Protocol raises $350M", {"NEAR"}),
        ("Optimism token OP coin unlock", {"OP"}),
        ("Bitcoin Cash forks again", {"BCH"}),
        ("Ethereum Classic hashrate doubles", {"ETC"}),
    ],
)
def test_pairs_are_found_by_name_ticker_cashtag_and_pair(text: str, assets: set[str]) -> None:
    assert found(text) == assets


@pytest.mark.parametrize(
    "text",
    [
        "Click the link below to read more",
        "The end is near for the old dot",
        "Avalanche kills three skiers in the Alps",
        "An op-ed on solar power: optimism returns",
        "Sand prices rise as builders return",
        "A ripple effect through the stock market",
        "LINK IN BIO FOR FREE STUFF",
        "The Ada Lovelace prize was awarded",
        "He swept the dot com boom",
        "Uni students protest",
        "THE DOT SAID NO",
        "",
    ],
)
def test_words_that_only_look_like_coins_are_none(text: str) -> None:
    assert found(text) == set()


def test_what_the_source_names_needs_no_context_and_unknown_coins_are_left_out() -> None:
    assert FINDER.find("A quiet day", ["LINK", "NOSUCH"]) == ("LINKUSDT",)


def test_pairs_come_in_the_watched_order_and_once() -> None:
    text = "ETH, Ethereum and $ETH beside BTC"
    assert FINDER.find(text) == ("BTCUSDT", "ETHUSDT")


def test_a_long_text_is_read_in_little_time() -> None:
    FINDER.find("(" * 5000 + "$" * 5000 + "A." * 5000)
