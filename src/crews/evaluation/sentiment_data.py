"""Labelled texts in a folder of recorded data, found by the files' names and columns.

==========================  =======================================================================
``sentiment_*.parquet``     ``text`` and ``sentiment`` (Positive, Negative, Neutral), by people
``news_*votes*.parquet``    ``title``, ``ts`` and counts of readers' positive and negative votes
==========================  =======================================================================

Texts with machine scores are no labels and are left out. Each set is split once and for all: with
times, the older half is the *build* part and the newer one the *test* part; without, a text's
SHA-256 decides. The shipped lexicon was written with an eye on build parts alone.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from trading.errors import MarketDataError
from trading.simulator.recorded_series import read_table

LABELLED = re.compile(r"^sentiment_.*\.parquet$")
VOTED = re.compile(r"^news_.*votes.*\.parquet$")
MIN_VOTES = 3
"""Headlines with fewer votes on their direction say little."""
VOTE_SHARE = 0.2
"""Positive minus negative votes over both; beyond it, either way, the label has a direction."""

Part = Literal["build", "test"]
_CLASSES = {"positive": 1, "negative": -1, "neutral": 0}


@dataclass(frozen=True, slots=True)
class LabelledText:
    part: Part
    text: str
    label: int  # 1 positive, -1 negative, 0 neither


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """``labels`` says who labelled, ``split`` how the parts were made."""

    name: str
    labels: str
    split: str
    texts: tuple[LabelledText, ...]


def labelled_sets(folder: Path) -> list[LabelledSet]:
    """All sets in the folder.

    Raises:
        MarketDataError: there is none, or a file is not what its name says.
    """
    sets = []
    for path in sorted(folder.iterdir()):
        if LABELLED.match(path.name):
            sets.append(_by_people(path))
        elif VOTED.match(path.name):
            sets.append(_by_votes(path))
    if not sets:
        raise MarketDataError(
            f"{folder} holds no labelled texts (sentiment_*.parquet, news_*votes*.parquet)"
        )
    return sets


def _by_people(path: Path) -> LabelledSet:
    texts = []
    for row in _rows(path, ("text", "sentiment")):
        label = _CLASSES.get(str(row["sentiment"]).lower())
        if label is None:
            raise MarketDataError(f"{path}: no sentiment {row['sentiment']!r}")
        text = str(row["text"])
        part: Part = "test" if hashlib.sha256(text.encode()).digest()[0] % 2 else "build"
        texts.append(LabelledText(part, text, label))
    return LabelledSet(path.stem, "people", "by the text's hash", tuple(texts))


def _by_votes(path: Path) -> LabelledSet:
    rows = _rows(path, ("ts", "title", "votes_positive", "votes_negative"))
    rows.sort(key=lambda row: (row["ts"], row["title"]))
    texts = []
    for number, row in enumerate(rows):
        up, down = row["votes_positive"] or 0, row["votes_negative"] or 0
        if up + down < MIN_VOTES:
            continue
        share = (up - down) / (up + down)
        label = (share >= VOTE_SHARE) - (share <= -VOTE_SHARE)
        texts.append(
            LabelledText("build" if number < len(rows) // 2 else "test", str(row["title"]), label)
        )
    return LabelledSet(path.stem, "readers' votes", "by time, half and half", tuple(texts))


def _rows(path: Path, columns: tuple[str, ...]) -> list[dict[str, Any]]:
    table = read_table(path, None)
    if missing := [name for name in columns if name not in table.column_names]:
        raise MarketDataError(f"{path} has no column {', '.join(missing)}")
    rows: list[dict[str, Any]] = table.select(list(columns)).to_pylist()
    return rows
