"""What a whole spike run costs beside its models: five tasks, real CrewAI, tools, records.

Measured with the rule LLM, and with a scripted server, in a process of its own, of 0, 200 and
1,000 ms a call: the run, the longest chain of model calls in it (the analysts ask side by side),
and what is above that chain. Beside it the same five steps and instructions on bare CrewAI defaults
in a process without our code: one agent after another, no data in the prompts, everything fetched
by tools. Importing CrewAI is paid once by a worker and is not in the figures.

The aim is at most 60 ms above the chain, and 1.15 times the chain.
"""

from __future__ import annotations

import json
import logging
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))
warnings.simplefilter("ignore")  # before the imports below, which warn: hence E402

from _model_server import FETCHED  # noqa: E402
from memory_client import MemoryTradingClient, make_claim, make_spike  # noqa: E402

from agents.config import AgentsConfig, LlmConfig, LlmProvider  # noqa: E402
from crews.crew_config import SpikeCrewConfig  # noqa: E402
from crews.spike_trading.crew import SpikeTradingCrew  # noqa: E402
from crews.spike_trading.tasks import OWNERS, load_tasks  # noqa: E402
from tools.registry import tools_named  # noqa: E402
from trading.model.decision import SpikeRunStatus  # noqa: E402

# How often, by the milliseconds that a call takes.
RUNS = {0: 21, 200: 7, 1_000: 3}


class ModelServer:
    """The scripted server's parent."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.url = self._read()

    def delay(self, ms: int) -> None:
        """Let every answer take so long from now on."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{ms / 1000}\n")
        self._process.stdin.flush()
        assert self._read() == "ok"

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@contextmanager
def model_server(brain: str) -> Iterator[ModelServer]:
    command = [sys.executable, str(Path(__file__).with_name("_model_server.py")), brain]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        yield ModelServer(process)


def ours(url: str | None) -> SpikeTradingCrew:
    llm = LlmConfig(provider=LlmProvider.RULE)
    if url is not None:
        llm = LlmConfig(provider=LlmProvider.OPENAI_COMPATIBLE, base_url=url, max_retries=0)
    crew = SpikeTradingCrew(
        MemoryTradingClient(), AgentsConfig(llm=llm), SpikeCrewConfig(), environment={}
    )
    assert crew.run(make_claim()).status is SpikeRunStatus.TRADED
    return crew


def times_ms(run: Any, count: int) -> list[float]:
    """Wall time of each run."""
    taken = []
    for _ in range(count):
        started = time.perf_counter()
        run()
        taken.append((time.perf_counter() - started) * 1000)
    return taken


def report(name: str, taken: list[float], chain_ms: float) -> None:
    best, median = min(taken), statistics.median(taken)
    above = f"{best - chain_ms:7.0f} {median - chain_ms:7.0f}"
    ratio = f"{median / chain_ms:7.2f}" if chain_ms else "      -"
    print(f"{name:44} {best:8.0f} {median:8.0f} {chain_ms:8.0f} {above} {ratio}")


def bare_steps() -> list[dict[str, Any]]:
    """What a bare crew is given: our instructions, and our tools with their answers."""
    client, specs, steps = MemoryTradingClient(), load_tasks(), []
    for name, owner in OWNERS.items():
        fetched, arguments = FETCHED[name]
        (tool,) = tools_named(client, (fetched,), owner.name)
        instructions = getattr(specs, name).description.replace("{", "(").replace("}", ")")
        text = f"step: {name}\n{instructions}\nThe spike: {make_spike().evidence}"
        answers = {
            "name": fetched,
            "description": tool.description,
            "answer": tool.run(**arguments),
        }
        steps.append({"owner": owner.name, "description": text, "tool": answers})
    return steps


@contextmanager
def bare_crew(url: str) -> Iterator[Callable[[int], list[float]]]:
    """Bare CrewAI in its process: gives what so many runs took."""
    pipe = subprocess.PIPE
    command = [sys.executable, str(Path(__file__).with_name("_bare_crew.py"))]
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        print(json.dumps({"url": url, "steps": bare_steps()}), file=process.stdin, flush=True)

        def runs(count: int) -> list[float]:
            print(count, file=process.stdin, flush=True)
            taken: list[float] = json.loads(process.stdout.readline())
            return taken

        yield runs


def main() -> None:
    logging.disable(logging.CRITICAL)
    print(
        f"{'a whole spike run, ms':44} {'best':>8} {'median':>8} {'chain':>8}   "
        "above: best, median; median / chain"
    )
    crew = ours(None)
    report("rules", times_ms(lambda: crew.run(make_claim()), RUNS[0]), 0.0)
    with model_server("rules") as server:
        model = ours(server.url)
        for delay_ms, count in RUNS.items():
            server.delay(delay_ms)
            # Analysts side by side, then three calls for the risk, two for the entry.
            report(
                f"scripted model, {delay_ms} ms a call",
                times_ms(lambda: model.run(make_claim()), count),
                6.0 * delay_ms,
            )
    with model_server("bare") as server, bare_crew(server.url) as runs:
        for delay_ms, count in RUNS.items():
            server.delay(delay_ms)
            report(f"bare CrewAI, {delay_ms} ms a call", runs(count), 10.0 * delay_ms)


if __name__ == "__main__":
    main()
