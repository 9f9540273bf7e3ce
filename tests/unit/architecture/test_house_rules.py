"""What every source file keeps to."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
LONGEST_FILE = 400
SUPPRESSION = re.compile(r"#\s*(?:noqa:|type: ignore\[)")
REASONED = re.compile(r"#\s*(?:noqa: [A-Z0-9, ]+ - \S|type: ignore\[[a-z, -]+\]\s+#\s*\S)")


def sources() -> list[Path]:
    return sorted((ROOT / "src").rglob("*.py"))


def unexplained(code: str) -> list[int]:
    """Numbers of the lines that silence a checker without a reason beside it."""
    return [
        number
        for number, line in enumerate(code.splitlines(), start=1)
        if SUPPRESSION.search(line) and not REASONED.search(line)
    ]


def test_whoever_silences_a_checker_says_why() -> None:
    assert {
        path.relative_to(ROOT).as_posix(): lines
        for path in sources()
        if (lines := unexplained(path.read_text()))
    } == {}


@pytest.mark.parametrize(
    "line",
    ["x = f()  # noqa: B009", "x = f()  # type: ignore[misc]", "x = f()  # type: ignore[a] #"],
)
def test_a_suppression_without_a_reason_is_found(line: str) -> None:
    assert unexplained(line) == [1]
    assert unexplained("x = f()  # noqa: B009 - why") == []
    assert unexplained("x = f()  # type: ignore[misc]  # why") == []


def test_no_source_file_is_long() -> None:
    lines = {path.relative_to(ROOT).as_posix(): path.read_text().count("\n") for path in sources()}
    assert {name: count for name, count in lines.items() if count > LONGEST_FILE} == {}


def test_nothing_is_left_to_be_written() -> None:
    """What subclasses must write is abstract, so that forgetting it fails at once."""
    assert [
        path.relative_to(ROOT).as_posix()
        for path in sources()
        if "NotImplementedError" in path.read_text()
    ] == []
