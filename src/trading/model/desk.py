"""What the safety desk's agents are asked to put into words, and what they wrote.

A note is for people. Nothing in the program reads one back: not a prompt, not a limit, not a
setting.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from trading.model.base import ValueModel
from trading.model.outside_text import clean

LONGEST_FACT = 300
LONGEST_SUMMARY = 3_000
LONGEST_POINT = 600
MOST_POINTS = 10


class DeskKind(StrEnum):
    """What there is to explain."""

    REFUSAL = "refusal"  # of an entry, by a rule
    RECONCILIATION = "reconciliation"  # that corrected our books, or latched
    ERRORS = "errors"  # that repeat
    DAY = "day"  # of the compliance report
    SESSION = "session"  # on virtual money


def _visible(value: Any) -> Any:
    """``value`` with every text in it cleaned and bounded."""
    if isinstance(value, str):
        return clean(value, LONGEST_FACT)
    if isinstance(value, dict):
        return {key: _visible(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_visible(item) for item in value]
    return value


class DeskSubject(ValueModel):
    """One thing to explain, as the store has it.

    Some texts among the ``facts`` are not ours (a venue's message, an operator's reason, a
    model's): they are cleaned here, and a prompt holds all facts as data. Subjects of one kind with
    the same ``key`` need one note between them.
    """

    kind: DeskKind
    id: str
    key: str
    title: str
    at_ms: int
    facts: Annotated[dict[str, Any], AfterValidator(_visible)]


class DeskQuery(ValueModel):
    """Which kinds a worker explains, and how many notes an hour may come of events."""

    kinds: tuple[DeskKind, ...]
    most_per_hour: int = Field(ge=1)


class NoteOutcome(StrEnum):
    EXPLAINED = "explained"
    ABSTAINED = "abstained"  # the facts do not carry an explanation
    FAILED = "failed"  # nobody could give one


def _summary(text: str) -> str:
    return clean(text, LONGEST_SUMMARY)


def _points(texts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(clean(text, LONGEST_POINT) for text in texts[:MOST_POINTS])


Points = Annotated[tuple[str, ...], AfterValidator(_points)]


class DeskNote(ValueModel):
    """An agent's words about one subject, without anything that cannot be seen.

    ``problem`` is why there is no explanation, or why it is not the model's.
    """

    kind: DeskKind
    subject_id: str
    subject_key: str
    subject_title: str
    subject_at_ms: int
    occasion: Literal["event", "request"]
    agent_name: str
    outcome: NoteOutcome
    summary: Annotated[str, AfterValidator(_summary)] = ""
    causes: Points = ()
    what_to_check: Points = ()
    proposed_steps: Points = ()
    decided_by: str
    prompt_version: str
    prompt_hash: str
    problem: Annotated[str, AfterValidator(_summary)] = ""


class StoredNote(DeskNote):
    """A note as the store has it."""

    id: int
    created_at: str
    created_at_ms: int
