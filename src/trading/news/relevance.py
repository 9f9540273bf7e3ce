"""How much an article is about its pairs, 0 to 1, and how that fades.

``0.35 for a pair named at all + 0.25 if in the title + 0.15 if it is one of at most two + 0.25 if
the title tells an event that moves prices``. Weights are ours: judgement. Without a pair it is 0.
"""

from __future__ import annotations

import math
import re

HALF_LIFE_MS = 30 * 60_000
"""After this long an article counts half: markets have mostly read it within the hour."""

_EVENTS = re.compile(
    r"\b(?:list(?:s|ed|ing)?|delist\w*|hack\w*|exploit\w*|drain\w*|breach\w*|stolen|attack\w*|"
    r"partner\w*|acqui\w+|merge\w*|lawsuit|sues?|sued|charges?|charged|indict\w*|settle\w*|"
    r"approv\w+|reject\w*|den(?:y|ies|ied)|ban(?:s|ned)?|etfs?|halv\w+|fork|upgrade|mainnet|"
    r"launch\w*|outage|halt\w*|bankrupt\w*|insolven\w*|liquidat\w+|depeg\w*|investigat\w*|"
    r"sanction\w*|burn\w*|unlock\w*|airdrop\w*|raises?|funding|surge\w*|soar\w*|plung\w*|crash\w*)\b",
    re.IGNORECASE,
)


def relevance(title: str, symbols_in_title: int, symbols: int) -> float:
    """The module's sum."""
    if symbols == 0:
        return 0.0
    total = 0.35
    if symbols_in_title:
        total += 0.25
    if symbols <= 2:
        total += 0.15
    if _EVENTS.search(title):
        total += 0.25
    return round(total, 4)


def weight(relevance_: float, age_ms: int) -> float:
    """Relevance as it has faded after ``age_ms``."""
    return relevance_ * math.exp2(-max(0, age_ms) / HALF_LIFE_MS)
