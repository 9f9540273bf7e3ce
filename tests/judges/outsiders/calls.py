"""What the scripts of this folder share: the exchange's ready line, and a line of JSON a call."""

from __future__ import annotations

import asyncio
import inspect
import json
import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

WAIT_S = 20.0


def ready() -> dict[str, Any]:
    """The exchange's own line, which comes on standard input."""
    line: dict[str, Any] = json.loads(sys.stdin.readline())
    return line


def moved(url: str, base: str) -> str:
    """The path of ``url`` on another host."""
    return base + urlsplit(url).path


def same(arguments: Any, *names: str) -> dict[str, Any]:
    """The same arguments for every name."""
    return dict.fromkeys(names, arguments)


def call(name: str, act: Callable[[], Any], refusal: str = "") -> Any:
    """Call, and say how it went; ``refusal`` names the error that the answer should be."""
    try:
        answer = act()
    except Exception as error:
        return _judge(name, error, refusal)
    _say(name, f"accepted, and not refused with {refusal}" if refusal else None)
    return answer


async def acall(name: str, act: Callable[[], Any], refusal: str = "") -> Any:
    """``call`` for what has to be awaited."""
    try:
        answer = act()
        if inspect.isawaitable(answer):
            answer = await asyncio.wait_for(answer, WAIT_S)
    except Exception as error:
        return _judge(name, error, refusal)
    _say(name, f"accepted, and not refused with {refusal}" if refusal else None)
    return answer


def heard(name: str, expected: set[str], got: set[str]) -> None:
    """Say which of the expected events were missing."""
    missing = sorted(expected - got)
    _say(name, f"not heard: {', '.join(missing)}" if missing else None)


def _judge(name: str, error: Exception, refusal: str) -> None:
    told = f"{type(error).__name__}: {error}"
    expected = refusal and refusal in told
    _say(name, None if expected else told[:300])


def _say(name: str, problem: str | None) -> None:
    sys.stdout.write(json.dumps({"call": name, "problem": problem}) + "\n")
    sys.stdout.flush()
