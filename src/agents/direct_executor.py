"""CrewAI's agent executor with its steps called one after another, in the task's own thread.

CrewAI runs its executor as a flow: an event loop of its own for every task, and a hop to another
thread for every step, which was more than half of what a run took beside its models. The steps
themselves (ask the model, make the tool calls, ask again, finish) are CrewAI's, unchanged, and so
is what may follow what: ``tests/unit/agents/test_direct_executor.py`` compares the table below with
the flow that CrewAI declares.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from typing import Any

from pydantic import PrivateAttr

from tools.framework import AgentExecutor
from trading.errors import CrewError

# What an outcome leads to, by the names that CrewAI gives its steps.
NEXT_STEP = {
    "planning_disabled": "initialize_reasoning",
    "initialized": "check_max_iterations",
    "continue_reasoning": "call_llm_and_parse",
    "continue_reasoning_native": "call_llm_native_tools",
    "force_final_answer": "ensure_force_final_answer",
    "parsed": "route_by_answer_type",
    "parser_error": "recover_from_parser_error",
    "context_error": "recover_from_context_length",
    "execute_tool": "execute_tool_action",
    "tool_completed": "check_todo_completion",
    "native_tool_calls": "execute_native_tool",
    "native_tool_completed": "check_native_todo_completion",
    "todo_not_satisfied": "increment_and_continue",
}
LAST_OUTCOMES = frozenset({"agent_finished", "native_finished", "tool_result_is_final"})


def _plain(step: str) -> Callable[[Any], str]:
    """The step's own function, without what makes it part of a flow."""
    function: Callable[[Any], str] = getattr(AgentExecutor, step).unwrap()
    return function


_STEPS = {outcome: _plain(step) for outcome, step in NEXT_STEP.items()}
_FINALIZE = _plain("finalize")


class DirectExecutor(AgentExecutor):
    """For agents without a plan, which ours are.

    Tool calls of one reply are made in the order that the model gave, not side by side: what is on
    record of a run is then the same whenever the model's replies are.
    """

    _native_of: list[Any] = PrivateAttr(default_factory=list)
    _native: tuple[Any, Any, Any] | None = PrivateAttr(default=None)

    def kickoff(self, *_arguments: Any, **_options: Any) -> None:
        """All steps of one task. Raises CrewError for an outcome that CrewAI did not have."""
        # Whatever a step leaves in context variables ends with the task, as in CrewAI's own loop.
        copy_context().run(self._walk)

    def _walk(self) -> None:
        outcome = "planning_disabled"
        while outcome not in LAST_OUTCOMES:
            if (step := _STEPS.get(outcome)) is None:
                raise CrewError(f"CrewAI's executor came to {outcome!r}, which is not expected")
            outcome = step(self)
        _FINALIZE(self)

    def _should_parallelize_native_tool_calls(self, tool_calls: list[Any]) -> bool:
        return False

    def _setup_native_tools(self) -> None:
        """As CrewAI's, once for the same tools: their schemas do not change between runs."""
        tools = self.original_tools
        same = len(tools) == len(self._native_of) and all(
            one is other for one, other in zip(tools, self._native_of, strict=True)
        )
        if self._native is None or not same:
            super()._setup_native_tools()
            self._native_of = list(tools)
            self._native = (self._openai_tools, self._available_functions, self._tool_name_mapping)
        self._openai_tools, self._available_functions, self._tool_name_mapping = self._native
