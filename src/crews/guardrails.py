"""Proof of tool use: an answer whose claims are not on record is refused once, with the reason.

A second answer that does not hold is let through to the crew's own checks, which do not act on it:
the run abstains.
"""

# No `from __future__ import annotations` here: CrewAI looks at a guardrail's return type at run
# time, and takes a type in quotes for a wrong one.

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from agents.answers import parse_answer
from agents.claims import Given, collect, unfounded
from agents.outputs import OUTPUTS, AgentOutput, StabilityReport, as_record
from agents.run_state import RunState, current_state
from tools.framework import TaskOutput
from tools.run_context import RunContext, current_run

Check = Callable[[AgentOutput, RunContext], list[str]]
Guardrail = Callable[[TaskOutput], tuple[bool, Any]]

# Fields that are checked against the record one by one, or chosen from a list.
_NOT_FREE_TEXT = frozenset(
    {
        "task",
        "subject",
        "symbol",
        "client_order_id",
        "direction",
        "classification",
        "action",
        "risk_level",
    }
)


def guardrail_of(
    name: str,
    check: Check,
    instructions: str,
    known: Mapping[str, Any],
    is_done: Callable[[RunContext], bool] = lambda _run: False,
) -> Guardrail:
    """The guardrail of task ``name``.

    ``known`` are numbers an agent may name besides its data (thresholds of the policy); once
    ``is_done``, an answer is not asked for again.
    """

    def judged(finished: TaskOutput) -> tuple[bool, Any]:
        state, run = current_state(), current_run()
        if state is None or run is None or state.failure(name) is not None:
            return True, finished
        output, problems = parse_answer(finished.raw, OUTPUTS[name])
        if output is not None:
            problems = check(output, run)
            lasting = (*state.facts.values(), *run.results(), instructions, known)
            given = Given.of_all(
                [
                    *(state.collections.of(source) for source in lasting),
                    *(collect(source) for source in _of_the_moment(output, state)),
                ]
            )
            problems += unfounded(free_texts(output), given)
        first = state.refuse(name, problems) if problems else False
        if first and not is_done(run):
            return False, "; ".join(problems)
        state.judge(name, problems, as_record(output) if output and not problems else None)
        if isinstance(output, StabilityReport) and output.critical and not problems:
            state.stop(f"the market is critical: {'; '.join(output.concerns) or output.reasoning}")
        return True, finished.model_copy(update={"pydantic": output})

    # CrewAI reads a guardrail's source each time it is used: the shorter, the sooner.
    def guardrail(finished: TaskOutput) -> tuple[bool, Any]:
        return judged(finished)

    return guardrail


def free_texts(output: AgentOutput) -> Iterator[str]:
    """What an output says in its own words."""
    for name, value in as_record(output).items():
        if name not in _NOT_FREE_TEXT:
            yield from _texts(value)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _of_the_moment(output: AgentOutput, state: RunState) -> Iterator[Any]:
    yield state.accepted
    # Its own decisions (size, stop, confidence) it may repeat; they are checked field by field.
    yield {name: v for name, v in as_record(output).items() if not isinstance(v, (str, list))}
    yield output.model_dump().get("symbol")
