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
from functools import cache
from typing import Any

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
    from crewai.agent import utils as _agent_utils
    from crewai.agents.agent_executor import AgentExecutor
    from crewai.events.base_events import BaseEvent
    from crewai.events.event_bus import CrewAIEventsBus, crewai_event_bus
    from crewai.events.event_context import MismatchBehavior
    from crewai.events.event_context import _default_config as _event_defaults
    from crewai.events.listeners.tracing.trace_listener import TraceCollectionListener
    from crewai.hooks.dispatch import HookAborted, InterceptionPoint, scoped_hooks
    from crewai.llms.base_llm import call_stop_override
    from crewai.llms.hooks.base import BaseInterceptor
    from crewai.llms.retry import _active_llm_rate_limit_retry
    from crewai.tasks.conditional_task import ConditionalTask
    from crewai.tasks.task_output import TaskOutput
    from crewai.tools import BaseTool
    from crewai.utilities import file_store as _file_store
    from crewai.utilities.agent_utils import extract_tool_call_info, is_tool_call_list
    from crewai.utilities.converter import Converter, ConverterError
    from crewai.utilities.pydantic_schema_utils import (
        generate_model_description as _generate_model_description,
    )


# A task that fails leaves CrewAI's events unpaired, which it would tell the terminal every time.
# Threads start without the context variable that is meant for it, so the default itself is set.
_event_defaults.mismatch_behavior = MismatchBehavior.SILENT
_event_defaults.empty_pop_behavior = MismatchBehavior.SILENT


def _no_files(work: Any) -> None:
    """Our tasks have no files, and CrewAI starts an event loop each time it looks for some: a
    quarter of what a run costs beside its models."""
    work.close()


_file_store._run_sync = _no_files  # type: ignore[assignment] # all it could return is nothing

# The form of an answer is described anew for every task of every run; it never changes.
vars(_agent_utils)["generate_model_description"] = cache(_generate_model_description)


def _keep_no_event(self: CrewAIEventsBus, event: BaseEvent) -> None:
    pass


def _listen_to_nothing() -> None:
    """CrewAI's own listeners serve its console, telemetry and traces, all of which are off, and a
    hop to another thread for every event; the events on record only serve its checkpoints."""
    TraceCollectionListener._listeners_setup = True  # or the next crew would bring them back
    for kind, handlers in list(crewai_event_bus._sync_handlers.items()):
        for handler in handlers:
            if handler.__module__.startswith("crewai.events."):
                crewai_event_bus.off(kind, handler)
    CrewAIEventsBus._record_event = _keep_no_event  # type: ignore[method-assign] # nothing reads them


_listen_to_nothing()


@contextlib.contextmanager
def no_rate_limit_pauses() -> Iterator[None]:
    """Keep CrewAI from sleeping, as long as a server's Retry-After says, within a model call."""
    token = _active_llm_rate_limit_retry.set(True)
    try:
        yield
    finally:
        _active_llm_rate_limit_retry.reset(token)


__all__ = [
    "LLM",
    "Agent",
    "AgentExecutor",
    "BaseInterceptor",
    "BaseLLM",
    "BaseTool",
    "ConditionalTask",
    "Converter",
    "ConverterError",
    "Crew",
    "HookAborted",
    "InterceptionPoint",
    "Process",
    "Task",
    "TaskOutput",
    "call_stop_override",
    "extract_tool_call_info",
    "is_tool_call_list",
    "no_rate_limit_pauses",
    "scoped_hooks",
]
