"""How the core's interpreter keeps the feed's pace while its other threads work.

The main loop shares one interpreter with the order thread and the thread that writes records. By
CPython's default a thread that computes (a record's JSON, its hash) keeps the interpreter for 5 ms
after another one has asked for it, and a trade waits that long beside every run of a crew.
"""

from __future__ import annotations

import gc
import sys

# Not less: a switch itself costs some microseconds, and a thread that keeps losing the interpreter
# finishes nothing.
HAND_OVER_S = 0.0002


def keep_the_feeds_pace() -> None:
    """Hand the interpreter over soon, and leave what lives as long as the process out of the
    garbage collector's full passes, which stop every thread. Call once everything is built."""
    sys.setswitchinterval(HAND_OVER_S)
    gc.collect()
    gc.freeze()
