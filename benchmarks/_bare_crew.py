"""The same five steps as CrewAI makes them when nothing is set, in a process without our own code.

Takes the steps as one JSON line, then a number of runs a line; prints what each took, in ms.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
import warnings
from typing import Any

os.environ.update(CREWAI_DISABLE_TELEMETRY="true", CREWAI_TRACING_ENABLED="false")
warnings.simplefilter("ignore")  # before the imports below, which warn: hence E402

from crewai import LLM, Agent, Crew, Task  # noqa: E402
from crewai.tools import BaseTool  # noqa: E402


class Fetch(BaseTool):
    """One of our tools as seen from outside: its name, its text, and what it answers."""

    name: str
    description: str
    answer: str

    def _run(self, symbol: str = "") -> str:
        return self.answer


def crew_of(url: str, steps: list[dict[str, Any]]) -> Crew:
    agents, tasks = [], []
    for step in steps:
        llm = LLM(model="bare", provider="openai", base_url=url, api_key="none")
        agent = Agent(role=step["owner"], goal="Trade spikes well.", backstory="A trader.", llm=llm)
        task = Task(
            description=step["description"],
            expected_output="One JSON object.",
            agent=agent,
            tools=[Fetch(**step["tool"])],
        )
        agents.append(agent)
        tasks.append(task)
    return Crew(agents=agents, tasks=tasks)


def main() -> None:
    logging.disable(logging.CRITICAL)
    # CrewAI writes to the terminal; the figures go where it does not.
    figures = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    given = json.loads(sys.stdin.readline())
    crew = crew_of(given["url"], given["steps"])
    crew.kickoff()
    for line in sys.stdin:
        taken = []
        for _ in range(int(line)):
            started = time.perf_counter()
            crew.kickoff()
            taken.append((time.perf_counter() - started) * 1000)
        print(json.dumps(taken), file=figures, flush=True)


if __name__ == "__main__":
    main()
