"""Which pairs a text is about."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from trading.news.assets import BESIDE, CRYPTO_WORDS, NAMES, WORDS

_TOKEN = re.compile(r"\$?[A-Za-z0-9][A-Za-z0-9.]*")
_PAIR = re.compile(r"\b([A-Z0-9]{2,15})[/\-_](?:USDT|USDC|USD|BTC|ETH|EUR|BUSD|FDUSD)\b")
_BRACKETS = re.compile(r"\(\s*\$?([A-Z0-9]{2,15})\s*\)")
_QUOTES = ("FDUSD", "USDT", "USDC", "BUSD")


class SymbolFinder:
    """Finds the pairs of a fixed set in texts."""

    def __init__(self, pairs: Mapping[str, str]) -> None:
        """``pairs``: each pair's base asset by its symbol, such as {"SOLUSDT": "SOL"}."""
        self._symbols: dict[str, str] = {asset: symbol for symbol, asset in pairs.items()}
        names = {name: asset for asset in self._symbols for name in (*NAMES.get(asset, ()),)}
        # Longest first: "bitcoin cash" must not be taken for bitcoin. Those of coins that are not
        # watched hide what they contain.
        others = {name: "" for known in NAMES.values() for name in known if name not in names}
        self._names = {**others, **names}
        longest = sorted(self._names, key=len, reverse=True)
        self._pattern = re.compile(
            r"(?<![\w$])(" + "|".join(map(re.escape, longest)) + r")(?:'s|’s)?(?!\w)",
            re.IGNORECASE,
        )

    def find(self, text: str, named: Iterable[str] = ()) -> tuple[str, ...]:
        """Symbols of the pairs that ``text`` speaks of, in the set's order.

        ``named`` are assets that the source itself names, which need no context.
        """
        assets = {asset for asset in named if asset in self._symbols}
        words: list[str] = _TOKEN.findall(text)
        is_crypto = any(word.lower().strip("$.") in CRYPTO_WORDS for word in words)
        assets |= self._by_name(text, is_crypto)
        assets |= self._by_mark(text)
        assets |= self._by_ticker(words)
        return tuple(symbol for asset, symbol in self._symbols.items() if asset in assets)

    def _by_name(self, text: str, is_crypto: bool) -> set[str]:
        found = set()
        for match in self._pattern.finditer(text):
            written = match[1]
            name = written.lower()
            if name in WORDS and not (is_crypto and written[0].isupper()):
                continue
            found.add(self._names[name])
        return found - {""}

    def _by_mark(self, text: str) -> set[str]:
        marked = {
            token[1:].rstrip(".").upper() for token in _TOKEN.findall(text) if token[0] == "$"
        }
        marked |= set(_PAIR.findall(text)) | set(_BRACKETS.findall(text))
        return {asset for asset in marked if asset in self._symbols}

    def _by_ticker(self, words: list[str]) -> set[str]:
        found = set()
        shouting = sum(word.isupper() for word in words) > len(words) / 2
        for at, word in enumerate(words):
            token = word.rstrip(".")
            for quote in _QUOTES:
                if len(token) > len(quote) and token.isupper() and token.endswith(quote):
                    token = token[: -len(quote)]
                    break
            if token not in self._symbols:
                continue
            is_word = token.lower() in WORDS or len(token) <= 2
            near = {
                other.lower().rstrip(".")
                for other in (*words[max(0, at - 1) : at], *words[at + 1 : at + 2])
            }
            if (is_word or shouting) and not near & BESIDE:
                continue
            found.add(token)
        return found
