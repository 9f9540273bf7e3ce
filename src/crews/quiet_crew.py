"""A CrewAI crew that leaves no files behind."""

from __future__ import annotations

from typing import Any

from pydantic import PrivateAttr

from tools.framework import Agent, Crew, Process, Task


class _NoTaskOutputs:
    """Stands in for CrewAI's store of task outputs: an SQLite file in the user's data folder,
    written after every task, of which only `crewai replay` makes use."""

    def reset(self) -> None:
        pass

    def update(self, task_index: int, log: dict[str, Any]) -> None:
        pass

    def load(self) -> None:
        pass


class QuietCrew(Crew):
    """Sequential, silent, without memory, cache or stored outputs."""

    _task_output_handler: Any = PrivateAttr(default_factory=_NoTaskOutputs)

    @classmethod
    def of(cls, name: str, agents: list[Agent], tasks: list[Task]) -> QuietCrew:
        """Build one that can be kicked off again and again."""
        return cls(
            name=name,
            agents=agents,
            tasks=tasks,
            process=Process.sequential,
            memory=False,
            cache=False,
            verbose=False,
        )
