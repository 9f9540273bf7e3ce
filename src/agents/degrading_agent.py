"""An agent whose failure is a fact of the run, not the end of its crew."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from contextvars import copy_context
from typing import Any

from pydantic import PrivateAttr

from agents.prompt_data import data_block
from agents.run_state import RunState, current_state
from tools.framework import Agent, HookAborted

NO_ANSWER = "(no answer)"  # CrewAI takes a crew without any output for a broken one
_REFUSED = (
    "Your answer was refused for the reasons below; this is the last attempt. Answer again with "
    "the task's JSON object, using only numbers from the data and from tool answers. If they do "
    "not carry a decision, abstain."
)


class DegradingAgent(Agent):
    """Whatever goes wrong in a task is noted in the run's state and the task's output is empty.

    Only a deliberate stop of the whole run passes. ``time_limit_s`` is kept here: CrewAI's own
    waits for the thread that took too long.
    """

    _time_limit_s: float | None = PrivateAttr(default=None)

    def limit_time(self, seconds: float | None) -> None:
        """Give every task of this agent at most so long."""
        self._time_limit_s = seconds

    def create_agent_executor(self, tools: Any = None, task: Any = None) -> None:
        """Once for a task and its tools; CrewAI would do it anew, and twice, in every run."""
        executor = self.agent_executor
        if executor is not None and (task is None or _is_prepared(executor, tools, task)):
            return
        super().create_agent_executor(tools, task)

    def execute_task(self, task: Any, context: str | None = None, tools: Any = None) -> Any:
        """One attempt: what CrewAI makes of it, or NO_ANSWER with the reason in the state."""
        state = current_state()
        if state is None:
            return super().execute_task(task, context, tools)
        try:
            return self._within_limit(task, _with_refusal(state, task.name, context), tools)
        except HookAborted:
            raise
        except TimeoutError:
            reason = f"no answer within {self._time_limit_s:g} s"
            state.fail(task.name, reason, hung=True)
        except Exception as error:
            state.fail(task.name, f"{type(error).__name__}: {error}"[:500])
        return NO_ANSWER

    def _within_limit(self, task: Any, context: str | None, tools: Any) -> Any:
        if self._time_limit_s is None:
            return super().execute_task(task, context, tools)
        answer: Future[Any] = Future()
        work = super().execute_task

        def run() -> None:
            try:
                answer.set_result(work(task, context, tools))
            except BaseException as error:
                answer.set_exception(error)

        # A daemon: what hangs here must not hold up the end of the process.
        threading.Thread(target=copy_context().run, args=(run,), daemon=True).start()
        return answer.result(self._time_limit_s)


def _is_prepared(executor: Any, tools: Any, task: Any) -> bool:
    """Whether ``executor`` stands as it would be set up for ``task`` again.

    A tool whose calls are counted has to be counted from zero.
    """
    wanted, present = list(tools or ()), executor.original_tools
    return (
        executor.task is task
        and executor.tools_handler is executor.agent.tools_handler
        and len(wanted) == len(present)
        and all(one is other for one, other in zip(wanted, present, strict=True))
        and all(tool.max_usage_count is None for tool in wanted)
    )


def _with_refusal(state: RunState, task: str, context: str | None) -> str | None:
    """The task's context; in its second attempt, the first one's with the refusal as data.

    CrewAI would put its own text in place of the colleagues' outputs.
    """
    problems = state.refusals(task)
    if not problems:
        state.contexts[task] = context or ""
        return context
    return f"{state.contexts.get(task, '')}\n\n{_REFUSED}\n{data_block('refused', problems)}"
