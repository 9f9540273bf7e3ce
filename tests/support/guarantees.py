"""Writes docs/guarantees.md from what ``make prove`` counted: ``guarantees.py RESULTS OUTPUT``."""

from __future__ import annotations

import json
import sys
from itertools import groupby
from pathlib import Path

from proofs import Held

HEAD = """\
# What is guaranteed, and how often it was tried

Written by `make prove`; do not edit. Each row is a property that held in every trial. With no
failure in n trials, the chance of a failure per trial is below 3/n with 95 % confidence (the rule
of three); that is the last column, and all that counting can show. Each property was also checked
on a broken variant of the code, which the same check must, and did, fail.
"""


def page(results: list[Held]) -> str:
    """The whole page, sections in the order of their names."""
    lines = [HEAD]
    ordered = sorted(results, key=lambda held: (held.section, held.guarantee))
    for section, rows in groupby(ordered, key=lambda held: held.section):
        lines += [
            f"## {section}\n",
            "| guarantee | trials | failures | broken variant, and how it failed | 95 % bound |",
            "|---|---:|---:|---|---:|",
        ]
        for held in rows:
            bound = min(1.0, 3 / held.trials)
            lines.append(
                f"| {held.guarantee} | {held.trials:,} {held.unit} | {held.violations} "
                f"| {held.mutant}: {held.caught} | {bound:.2g} |"
            )
        lines.append("")
    return "\n".join(lines)


def main(results: Path, output: Path) -> None:
    found = [Held(**json.loads(path.read_text())) for path in sorted(results.glob("*.json"))]
    if not found:
        sys.exit(f"no results in {results}: run `make prove`")
    output.write_text(page(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
