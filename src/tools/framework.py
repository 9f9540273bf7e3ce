"""The one door to CrewAI: everything else in the shell imports its names from here.

The environment must be set before the first ``import crewai``: no telemetry, no tracing, and
CrewAI's own files (it wants a folder for task outputs and a key file under the home directory)
in a private temporary folder instead of the user's home. ``OTEL_SDK_DISABLED`` is left alone: it
would switch off the user's own tracing too.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator

os.environ["CREWAI_DISABLE_TELEMETRY"] = "true"
os.environ["CREWAI_TRACING_ENABLED"] = "false"


@contextlib.contextmanager
def _private_home() -> Iterator[None]:
    """A throw-away home while CrewAI is imported, which creates a credentials file there.

    It is gone after the import, not at the end: a worker that is killed leaves nothing behind.
    """
    home = os.environ.get("HOME")
    with tempfile.TemporaryDirectory(prefix="spikeguard-crewai-") as throw_away:
        os.environ.setdefault("CREWAI_STORAGE_DIR", throw_away)
        os.environ["HOME"] = throw_away
        try:
            yield
        finally:
            if home is None:
                del os.environ["HOME"]
            else:
                os.environ["HOME"] = home


with _private_home():
    from crewai import LLM, Agent, BaseLLM, Crew, Process, Task
    from crewai.hooks.dispatch import HookAborted, InterceptionPoint, scoped_hooks
    from crewai.tasks.conditional_task import ConditionalTask
    from crewai.tasks.task_output import TaskOutput
    from crewai.tools import BaseTool

__all__ = [
    "LLM",
    "Agent",
    "BaseLLM",
    "BaseTool",
    "ConditionalTask",
    "Crew",
    "HookAborted",
    "InterceptionPoint",
    "Process",
    "Task",
    "TaskOutput",
    "scoped_hooks",
]
