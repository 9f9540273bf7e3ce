"""How often the sentiment of texts is the one that people gave them; plain VADER beside ours."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from crews.evaluation.guardian_text import TextTable, markdown
from crews.evaluation.sentiment_data import (
    MIN_VOTES,
    VOTE_SHARE,
    LabelledSet,
    LabelledText,
    labelled_sets,
)
from trading.model.news import NEUTRAL_BAND, sentiment_class
from trading.news.sentiment import LexiconSentiment, crypto_lexicon

PARTS = ("test", "build")
CLASS_NAMES = {1: "positive", 0: "neutral", -1: "negative"}
_Z = 1.96  # 95 %


def evaluate_sentiment(folder: Path) -> dict[str, Any]:
    """Figures of every set, part and scorer. Raises MarketDataError."""
    scorers = {"plain VADER": LexiconSentiment(plain=True), "ours": LexiconSentiment()}
    return {
        "lexicon_entries": len(crypto_lexicon()),
        "neutral_band": NEUTRAL_BAND,
        "sets": [_set(one, scorers) for one in labelled_sets(folder)],
    }


def _set(labelled: LabelledSet, scorers: Mapping[str, LexiconSentiment]) -> dict[str, Any]:
    parts = {}
    for part in PARTS:
        texts = [one for one in labelled.texts if one.part == part]
        parts[part] = {
            "texts": len(texts),
            "labels": {
                name: sum(one.label == label for one in texts)
                for label, name in CLASS_NAMES.items()
            },
            "majority": _majority(texts),
            "scorers": {name: _figures(texts, scorer) for name, scorer in scorers.items()},
        }
    return {
        "name": labelled.name,
        "labels_by": labelled.labels,
        "split": labelled.split,
        "parts": parts,
    }


def _majority(texts: Sequence[LabelledText]) -> float | None:
    """Accuracy of always naming the most frequent label."""
    if not texts:
        return None
    return max(Counter(one.label for one in texts).values()) / len(texts)


def _figures(texts: Sequence[LabelledText], scorer: LexiconSentiment) -> dict[str, Any]:
    pairs = [(one.label, sentiment_class(scorer.score(one.text))) for one in texts]
    right = sum(label == said for label, said in pairs)
    recalls = {
        name: _share(
            sum(label == said == wanted for label, said in pairs),
            sum(label == wanted for label, _ in pairs),
        )
        for wanted, name in CLASS_NAMES.items()
    }
    known = [recall for recall in recalls.values() if recall is not None]
    directed = [(label, said) for label, said in pairs if label and said]
    return {
        "accuracy": _share(right, len(pairs)),
        "accuracy_95": wilson(right, len(pairs)),
        "balanced_accuracy": math.fsum(known) / len(known) if known else None,
        "recall": recalls,
        # Of the texts with a direction to which the scorer gives one at all.
        "direction_right": _share(sum(label == said for label, said in directed), len(directed)),
        "opposite": _share(sum(label == -said for label, said in directed), len(pairs)),
    }


def _share(count: int, of: int) -> float | None:
    return count / of if of else None


def wilson(successes: int, trials: int) -> tuple[float, float] | None:
    """The 95 % interval of a share (Wilson 1927); None without trials."""
    if trials == 0:
        return None
    share, square = successes / trials, _Z**2
    middle = (share + square / (2 * trials)) / (1 + square / trials)
    half = (
        _Z
        * math.sqrt(share * (1 - share) / trials + square / (4 * trials**2))
        / (1 + square / trials)
    )
    return max(0.0, middle - half), min(1.0, middle + half)


def sentiment_tables(report: Mapping[str, Any]) -> tuple[TextTable, ...]:
    """A table for the parts that count, and one for those that the lexicon was written with."""
    notes = {
        "test": "Parts that the lexicon was not written from. Accuracy with its 95 %"
        " interval (Wilson); balanced accuracy is the mean of the labels' recalls; *opposite* is"
        " the share of all texts that were given the wrong direction.",
        "build": "Parts that gaps of the lexicon were looked for in: how well it fits what it"
        " was fitted to.",
    }
    titles = {"test": "Test parts", "build": "Build parts"}
    return tuple(
        TextTable(
            title=titles[part],
            note=notes[part],
            header=(
                "set",
                "texts (+ / 0 / −)",
                "scorer",
                "accuracy",
                "balanced",
                "positive found",
                "negative found",
                "direction right",
                "opposite",
                "always the most frequent",
            ),
            rows=tuple(row for one in report["sets"] for row in _rows(one, part)),
        )
        for part in PARTS
    )


def _rows(one: Mapping[str, Any], part: str) -> list[tuple[str, ...]]:
    figures = one["parts"][part]
    labels = figures["labels"]
    rows: list[tuple[str, ...]] = []
    for name, found in figures["scorers"].items():
        interval = found["accuracy_95"]
        shown = f" ({_pct(interval[0])}–{_pct(interval[1])})" if interval else ""
        rows.append(
            (
                one["name"],
                f"{figures['texts']} ({labels['positive']} / {labels['neutral']} /"
                f" {labels['negative']})",
                name,
                f"{_pct(found['accuracy'])}{shown}",
                _pct(found["balanced_accuracy"]),
                _pct(found["recall"]["positive"]),
                _pct(found["recall"]["negative"]),
                _pct(found["direction_right"]),
                _pct(found["opposite"]),
                _pct(figures["majority"]),
            )
        )
    return rows


def _pct(share: float | None) -> str:
    return "–" if share is None else f"{share * 100:.1f} %"


def sentiment_page(report: Mapping[str, Any]) -> str:
    """The section as Markdown."""
    sets = "\n".join(
        f"- `{one['name']}`: labels by {one['labels_by']}; parts {one['split']}."
        for one in report["sets"]
    )
    return f"""## Figures

Written by `python -m crews.run evaluate sentiment --data DIR --report docs/sentiment.md`. A score
beyond ±{report["neutral_band"]:g} is a direction, as VADER's authors have it; the lexicon has
{report["lexicon_entries"]} entries. Readers' votes count as a direction where positive and negative
ones (at least {MIN_VOTES} together) differ by {VOTE_SHARE:.0%} of their sum.

{sets}

{markdown(sentiment_tables(report))}"""
