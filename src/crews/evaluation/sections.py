"""Writes what an evaluation found into its own part of a page; the rest of the page stays."""

from __future__ import annotations

from pathlib import Path

from trading.errors import ConfigurationError


def write_section(page: Path, name: str, text: str) -> None:
    """Put ``text`` between the page's marks of ``name``; a page without them gets them at its end.

    Raises ConfigurationError for a page with only one of the marks.
    """
    begin, end = f"<!-- {name}: begin, written by a command -->", f"<!-- {name}: end -->"
    old = page.read_text() if page.exists() else ""
    section = f"{begin}\n\n{text.strip()}\n\n{end}"
    if (begin in old) != (end in old):
        raise ConfigurationError(f"{page}: the marks of section {name} are not a pair")
    if begin in old:
        before, rest = old.split(begin, 1)
        new = before + section + rest.split(end, 1)[1]
    else:
        new = (old.rstrip() + "\n\n" if old else "") + section + "\n"
    page.write_text(new)
