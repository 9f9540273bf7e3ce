"""Text that somebody outside wrote, made fit to be stored, shown and put before a model.

What cannot be seen must not be read: control, format (bidirectional marks, zero-width and tag
characters), private-use, surrogate and unassigned characters go, variation selectors too, and of a
pile of combining marks the first two stay. Compatibility forms (full-width, styled and circled
letters) become plain ones, so that a filter and a reader see the same words. White space becomes
single spaces; what is too long ends in an ellipsis.

A cleaned text is still not to be trusted: it goes into prompts as labelled data only.
"""

from __future__ import annotations

import unicodedata

TITLE_LENGTH = 300
SUMMARY_LENGTH = 600
NAME_LENGTH = 60

_HIDDEN = frozenset({"Cc", "Cf", "Co", "Cs", "Cn"})
_MOST_MARKS = 2
# Letters that are drawn as nothing, and selectors of how others are drawn.
_BLANKS = frozenset("\u115f\u1160\u3164\uffa0\u2800\u17b4\u17b5\u034f")


def clean(text: str, length: int = TITLE_LENGTH) -> str:
    """``text`` as one visible line of at most ``length`` characters."""
    # Normalising takes longer than linear in bad cases, and what is far beyond the cap is lost.
    text = unicodedata.normalize("NFKC", text[: length * 8])
    kept: list[str] = []
    marks = 0
    for character in text:
        category = unicodedata.category(character)
        if character.isspace():
            kept.append(" ")
            marks = 0
        elif category in _HIDDEN or character in _BLANKS or _is_selector(character):
            continue
        elif category in ("Mn", "Me"):
            marks += 1
            if marks <= _MOST_MARKS:
                kept.append(character)
        else:
            kept.append(character)
            marks = 0
    line = " ".join("".join(kept).split())
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"


def _is_selector(character: str) -> bool:
    return "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"
