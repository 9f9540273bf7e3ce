"""Proofs of the breaker's guarantees: how much of each is run, and what came out.

A proof runs in its quick form in ``make test`` and in its full form in ``make prove``
(``SPIKEGUARD_PROOFS=full``), which collects what each one counted (``SPIKEGUARD_PROOF_RESULTS``, a
directory) and writes docs/guarantees.md from it; see ``guarantees.py``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

FULL = os.environ.get("SPIKEGUARD_PROOFS") == "full"
N = TypeVar("N", int, float)
RESULTS = os.environ.get("SPIKEGUARD_PROOF_RESULTS")


def rounds(quick: N, full: N) -> N:
    """How often to try, in the form that is being run."""
    return full if FULL else quick


def until_late(
    directory: Path, trips: int, race: Callable[[Path], tuple[int, int]]
) -> tuple[int, int]:
    """(late orders, trips raced) of a mutant, in batches of ``trips`` until one order is late.

    On a busy machine even a mutant may win a whole batch; eight are no chance.
    """
    for batch in range(1, 9):
        late, _ = race(directory / f"mutant-{batch}")
        if late:
            break
    return late, batch * trips


@dataclass(frozen=True)
class Held:
    """What one proof counted.

    ``mutant`` says which broken variant the same check was run on, and ``caught`` how that one
    failed: a guarantee without a mutant that breaks it is not shown.
    """

    section: str
    guarantee: str
    trials: int
    unit: str
    violations: int
    mutant: str
    caught: str


def record(held: Held) -> None:
    """Fail on a violation; keep the count for docs/guarantees.md when results are collected."""
    if RESULTS:
        directory = Path(RESULTS)
        directory.mkdir(parents=True, exist_ok=True)
        name = "".join(c if c.isalnum() else "-" for c in f"{held.section} {held.guarantee}")[:150]
        (directory / f"{name}.json").write_text(json.dumps(asdict(held)))
    assert held.trials > 0, "nothing was tried"
    assert held.violations == 0, f"{held.guarantee}: {held.violations} of {held.trials} failed"
