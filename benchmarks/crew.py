"""What a whole spike run costs beside its models: five tasks, real CrewAI, tools, records.

Measured with the rule LLM, and with a scripted server of 0, 200 and 1,000 ms a call: the run, the
longest chain of model calls in it (the analysts ask side by side), and what is above that chain.
Beside it the same five steps, instructions and tools on bare CrewAI defaults: one agent after
another, no data in the prompts, everything fetched by tools. Importing CrewAI is paid once by a
worker and is not in the figures.
"""

from __future__ import annotations

import json
import logging
import statistics
import sys
import time
import warnings
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))
warnings.simplefilter("ignore")

from memory_client import MemoryTradingClient, make_claim, make_spike  # noqa: E402
from openai_server import OpenAiServer  # noqa: E402

from agents.config import AgentsConfig, LlmConfig, LlmProvider  # noqa: E402
from crews.crew_config import SpikeCrewConfig  # noqa: E402
from crews.spike_trading.crew import SpikeTradingCrew  # noqa: E402
from crews.spike_trading.tasks import OWNERS, load_tasks  # noqa: E402
from tools.framework import LLM, Agent, Crew, Task  # noqa: E402
from tools.registry import tools_named  # noqa: E402
from trading.model.decision import SpikeRunStatus  # noqa: E402

DELAYS_MS = (0, 200, 1_000)
RUNS = 7
# What a bare crew has to fetch in each step for the data that ours has in its prompt.
FETCHED = {
    "spike_detection": ("get_market_windows", {"symbol": "SOLUSDT"}),
    "stability_check": ("check_market_stability", {}),
    "context_analysis": ("analyze_spike_context", {"symbol": "SOLUSDT"}),
    "risk_evaluation": ("get_market_windows", {"symbol": "SOLUSDT"}),
    "execution": ("check_circuit_breaker_status", {}),
}


def ours(url: str | None) -> SpikeTradingCrew:
    llm = LlmConfig(provider=LlmProvider.RULE)
    if url is not None:
        llm = LlmConfig(provider=LlmProvider.OPENAI_COMPATIBLE, base_url=url, max_retries=0)
    crew = SpikeTradingCrew(
        MemoryTradingClient(), AgentsConfig(llm=llm), SpikeCrewConfig(), environment={}
    )
    assert crew.run(make_claim()).status is SpikeRunStatus.TRADED
    return crew


def times_ms(run: Any) -> list[float]:
    """Wall time of each run."""
    taken = []
    for _ in range(RUNS):
        started = time.perf_counter()
        run()
        taken.append((time.perf_counter() - started) * 1000)
    return taken


def report(name: str, taken: list[float], chain_ms: float) -> None:
    best, median = min(taken), statistics.median(taken)
    above = f"{best - chain_ms:7.0f} {median - chain_ms:7.0f}"
    ratio = f"{median / chain_ms:7.2f}" if chain_ms else "      -"
    print(f"{name:44} {best:8.0f} {median:8.0f} {chain_ms:8.0f} {above} {ratio}")


class BareBrain:
    """Steps a bare crew through the same five tasks: one fetch, then an answer."""

    def __call__(self, messages: list[dict[str, Any]]) -> dict[str, Any]:
        text = str(messages)
        task = next(name for name in FETCHED if f"step: {name}" in text)
        if any(message["role"] == "tool" for message in messages):
            return {"role": "assistant", "content": json.dumps({"task": task, "answer": "done"})}
        name, arguments = FETCHED[task]
        function = {"name": name, "arguments": json.dumps(arguments)}
        call = {"id": f"call_{time.monotonic_ns()}", "type": "function", "function": function}
        return {"role": "assistant", "content": None, "tool_calls": [call]}


def bare(url: str) -> Crew:
    """The same steps as CrewAI makes them when nothing is set."""
    client, specs = MemoryTradingClient(), load_tasks()
    agents, tasks = [], []
    for name, owner in OWNERS.items():
        llm = LLM(model="bare", provider="openai", base_url=url, api_key="none")
        agent = Agent(role=owner.name, goal="Trade spikes well.", backstory="A trader.", llm=llm)
        instructions = getattr(specs, name).description.replace("{", "(").replace("}", ")")
        task = Task(
            description=f"step: {name}\n{instructions}\nThe spike: {make_spike().evidence}",
            expected_output="One JSON object.",
            agent=agent,
            tools=tools_named(client, (FETCHED[name][0],), owner.name),
        )
        agents.append(agent)
        tasks.append(task)
    return Crew(agents=agents, tasks=tasks)


def main() -> None:
    logging.disable(logging.CRITICAL)
    print(
        f"{'a whole spike run, ms':44} {'best':>8} {'median':>8} {'chain':>8}   above: best, median"
    )
    crew = ours(None)
    report("rules", times_ms(lambda: crew.run(make_claim())), 0.0)
    with OpenAiServer() as server:
        model = ours(server.url)
        for delay_ms in DELAYS_MS:
            server.delay_s = delay_ms / 1000
            # Analysts side by side, then three calls for the risk, two for the entry.
            report(
                f"scripted model, {delay_ms} ms a call",
                times_ms(lambda: model.run(make_claim())),
                6.0 * delay_ms,
            )
    with OpenAiServer(brain=BareBrain()) as server:
        other = bare(server.url)
        other.kickoff()
        for delay_ms in DELAYS_MS:
            server.delay_s = delay_ms / 1000
            report(f"bare CrewAI, {delay_ms} ms a call", times_ms(other.kickoff), 10.0 * delay_ms)


if __name__ == "__main__":
    main()
