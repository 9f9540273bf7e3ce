"""Numbers and pairs in an answer's free text: each must stand in what the agent was given.

What counts as given is the data of the prompt, the answers of tools in this run, the task's own
instructions and the accepted outputs of colleagues. A number matches when it is the given one
rounded or cut to the digits shown, as a share or in per cent, with either sign. Times ("5 min",
"1h"), clock times and dates are not claims; neither are 0, 1, 2 and 100.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

_TIMES = "s|sec|secs|seconds?|m|min|mins|minutes?|h|hrs?|hours?|d|days?|w|weeks?|ms|candles?|bars?"
_CLOCK = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}\S*)?|\b\d{1,2}:\d{2}(?::\d{2})?\b")
_NUMBER = re.compile(
    r"(?<![\w.\-])[-+−]?(?P<number>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)"
    r"(?P<exponent>[eE][-+]?\d{1,3})?(?:\s?(?P<scale>[kKMB])\b)?"
    rf"(?P<time>[\s\-]?(?:{_TIMES})\b)?(?P<rest>\w*)"
)
_DIGIT = re.compile(r"\d")
_QUOTES = ("USDT", "USDC", "FDUSD", "BUSD", "BTC")
_PAIR = re.compile(rf"\b[A-Z0-9]{{2,12}}(?:{'|'.join(_QUOTES)})\b")
_SCALES = {"k": 1e3, "K": 1e3, "M": 1e6, "B": 1e9}
_ALWAYS_KNOWN = frozenset({0.0, 1.0, 2.0, 100.0})
_DEEPEST = 12


@dataclass(frozen=True, slots=True)
class NumberClaim:
    """A number as written, its size, and the value of its last digit shown."""

    text: str
    value: float
    unit: float


@dataclass(frozen=True, slots=True)
class Given:
    """All numbers (in ascending order) and pairs that an agent may name."""

    numbers: tuple[float, ...]
    pairs: frozenset[str]

    @classmethod
    def of(cls, sources: Iterable[Any]) -> Given:
        """Collect from any JSON-like values, texts inside them included."""
        return cls.of_all(map(collect, sources))

    @classmethod
    def of_all(cls, collections: Iterable[Collected]) -> Given:
        """Put together what was collected."""
        numbers: set[float] = set()
        pairs: set[str] = set()
        for found in collections:
            numbers |= found.numbers
            pairs |= found.pairs
        return cls(tuple(sorted(numbers)), frozenset(pairs))

    def has(self, claim: NumberClaim) -> bool:
        if claim.value in _ALWAYS_KNOWN:
            return True
        return any(
            _matches(claim, number * scale)
            for scale in (1.0, 100.0)
            for number in self._near(claim, scale)
        )

    def _near(self, claim: NumberClaim, scale: float) -> tuple[float, ...]:
        """The only numbers that can match: all others are more than a digit away."""
        low, high = claim.value - 2 * claim.unit, claim.value + 2 * claim.unit
        start = bisect_left(self.numbers, low / scale)
        return self.numbers[start : bisect_right(self.numbers, high / scale)]


@dataclass(frozen=True, slots=True)
class Collected:
    """Numbers and pairs of one source."""

    numbers: frozenset[float]
    pairs: frozenset[str]


@dataclass(frozen=True, slots=True)
class Collections:
    """What is in sources that do not change any more, worked out once for each of them."""

    _known: dict[int, tuple[Any, Collected]] = field(default_factory=dict)

    def of(self, source: Any) -> Collected:
        """What ``source`` holds; the same object must always hold the same."""
        known = self._known.get(id(source))
        if known is None:
            # The source is kept, so that no other can take its identity.
            known = self._known[id(source)] = (source, collect(source))
        return known[1]


def collect(source: Any) -> Collected:
    """From any JSON-like value, texts inside it included."""
    numbers: set[float] = set()
    pairs: set[str] = set()
    _collect(source, numbers, pairs, 0)
    return Collected(frozenset(numbers), frozenset(pairs))


def numbers_in(text: str) -> list[NumberClaim]:
    """The claims among the numbers of ``text``."""
    found = []
    for match in _NUMBER.finditer(_CLOCK.sub(" ", text)):
        if match["time"] or match["rest"]:
            continue
        digits = match["number"].replace(",", "")
        scale = _SCALES.get(match["scale"] or "", 1.0) * float(f"1{match['exponent'] or 'e0'}")
        value, unit = float(digits) * scale, 10.0 ** -len(digits.partition(".")[2]) * scale
        if math.isfinite(value):
            found.append(NumberClaim(match[0].strip(), value, unit))
    return found


def unfounded(texts: Iterable[str], given: Given) -> list[str]:
    """What ``texts`` claim and ``given`` does not have, in words for the agent."""
    problems = []
    for text in texts:
        for claim in numbers_in(text):
            if not given.has(claim):
                problems.append(f"the number {claim.text} is in no data and no tool's answer")
        for pair in _PAIR.findall(text):
            if pair not in given.pairs:
                problems.append(f"the pair {pair} is in no data and no tool's answer")
    return list(dict.fromkeys(problems))[:5]


def _matches(claim: NumberClaim, number: float) -> bool:
    gap = abs(claim.value - number)
    rounded = gap <= claim.unit * 0.5000001
    cut = 0 <= number - claim.value < claim.unit
    return rounded or cut


def _collect(value: Any, numbers: set[float], pairs: set[str], depth: int) -> None:
    if depth > _DEEPEST:
        return
    match value:
        case bool() | None:
            return
        case int() | float():
            if math.isfinite(value):
                numbers.add(abs(float(value)))
        case str():
            if _DIGIT.search(value):
                numbers.update(claim.value for claim in numbers_in(value))
            if any(quote in value for quote in _QUOTES):
                pairs.update(_PAIR.findall(value))
        case dict():
            for key, item in value.items():
                _collect(key, numbers, pairs, depth + 1)
                _collect(item, numbers, pairs, depth + 1)
        case list() | tuple():
            for item in value:
                _collect(item, numbers, pairs, depth + 1)
