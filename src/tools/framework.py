"""The one door to CrewAI: everything else in the shell imports its names from here.

The environment must be set before the first ``import crewai``: no telemetry, no tracing, and
CrewAI's own files (it wants a folder for task outputs and a key file under the home directory)
in a private temporary folder instead of the user's home. ``OTEL_SDK_DISABLED`` is left alone: it
would switch off the user's own tracing too.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator

os.environ["CREWAI_DISABLE_TELEMETRY"] = "true"
os.environ["CREWAI_TRACING_ENABLED"] = "false"


@contextlib.contextmanager
def _private_home() -> Iterator[None]:
    """A throw-away home while CrewAI is imported, which creates a credentials file there."""
    storage = tempfile.mkdtemp(prefix="spikeguard-crewai-")
    atexit.register(shutil.rmtree, storage, ignore_errors=True)
    os.environ.setdefault("CREWAI_STORAGE_DIR", storage)
    home = os.environ.get("HOME")
    os.environ["HOME"] = storage
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
