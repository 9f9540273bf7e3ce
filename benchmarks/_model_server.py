"""The scripted model server in a process of its own, as a real one would be.

Started with the name of its brain (``rules`` or ``bare``); prints its address, then takes the delay
of its answers, in seconds, one a line, and says ``ok`` to each. Ends with its standard input.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

from openai_server import OpenAiServer, rules_brain

# What a bare crew has to fetch in each step for the data that ours has in its prompt.
FETCHED = {
    "spike_detection": ("get_market_windows", {"symbol": "SOLUSDT"}),
    "stability_check": ("check_market_stability", {}),
    "context_analysis": ("analyze_spike_context", {"symbol": "SOLUSDT"}),
    "risk_evaluation": ("get_market_windows", {"symbol": "SOLUSDT"}),
    "execution": ("check_circuit_breaker_status", {}),
}


def bare_brain(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """Steps a bare crew through the same five tasks: one fetch, then an answer."""
    text = str(messages)
    task = next(name for name in FETCHED if f"step: {name}" in text)
    if any(message["role"] == "tool" for message in messages):
        return {"role": "assistant", "content": json.dumps({"task": task, "answer": "done"})}
    name, arguments = FETCHED[task]
    function = {"name": name, "arguments": json.dumps(arguments)}
    call = {"id": f"call_{time.monotonic_ns()}", "type": "function", "function": function}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def main(brain: str) -> None:
    brains = {"rules": rules_brain, "bare": bare_brain}
    with OpenAiServer(brain=brains[brain], keep_requests=False) as server:
        print(server.url, flush=True)
        for line in sys.stdin:
            server.delay_s = float(line)
            print("ok", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
