"""Tells on standard error how far a long evaluation has come."""

from __future__ import annotations

import sys


def to_stderr(text: str) -> None:
    """One line of its own where nobody watches, in place where a person does."""
    end = "\r" if sys.stderr.isatty() else "\n"
    sys.stderr.write(f"{text:<70}{end}")
    sys.stderr.flush()
