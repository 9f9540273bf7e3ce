"""What CrewAI may do to a run: each plays on a stage and returns what was violated."""

from __future__ import annotations

import itertools
import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
from crew_stage import Messages, SlowClient, Stage, calls, eager
from openai_server import task_of

from agents.builder import AgentSpec
from agents.direct_executor import DirectExecutor
from crews.quiet_crew import QuietCrew
from crews.run_guard import RunGuard
from tools.framework import AgentExecutor, InterceptionPoint, Process
from trading.model.breaker import BreakerStatus

ANALYSTS = ("spike_detection", "stability_check", "context_analysis")
PATIENCE_S = 60.0

Hazard = Callable[[Stage, random.Random], list[str]]


def execution_arguments(messages: Messages) -> dict[str, Any]:
    """The order tool's arguments as an obedient executor would choose them."""
    fresh = [message for message in messages if message["role"] in ("system", "user")]
    (call,) = eager(fresh)["tool_calls"]
    arguments: dict[str, Any] = json.loads(call["function"]["arguments"])
    return arguments


def abstain(stage: Stage) -> dict[str, Any]:
    answer = {"task": "execution", "symbol": stage.symbol, "action": "abstain"}
    words = {"confidence": 0.5, "reasoning": "nothing more to do"}
    return {"role": "assistant", "content": json.dumps({**answer, **words})}


def finish(*threads: threading.Thread) -> None:
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive(), "a crew run does not end"


def later(stage: Stage, delay_s: float) -> threading.Thread:
    """Trip from another thread, some time from now."""

    def work() -> None:
        time.sleep(delay_s)
        stage.trip()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


@contextmanager
def cache_on() -> Iterator[None]:
    """CrewAI's tool cache as it is when nobody switches it off: on for crew and agents."""

    def cached(cls: type[QuietCrew], name: str, agents: list[Any], tasks: list[Any]) -> QuietCrew:
        return cls(
            name=name,
            agents=agents,
            tasks=tasks,
            process=Process.sequential,
            cache=True,
            verbose=False,
        )

    create = AgentSpec.create

    def with_cache(*arguments: Any) -> Any:
        agent = create(*arguments)
        agent.cache = True
        return agent

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(QuietCrew, "of", classmethod(cached))
        patch.setattr(AgentSpec, "create", with_cache)
        patch.setattr(RunGuard, "hooks", lambda _: nullcontext())  # or it would stop the run
        yield


def tool_cache(stage: Stage, dice: random.Random) -> list[str]:
    """The same reading of the breaker is asked for before and after a trip, then an order."""
    read = ("check_circuit_breaker_status", {})
    answers: list[str] = []

    def brain(messages: Messages) -> dict[str, Any]:
        if task_of(messages) != "execution":
            return eager(messages)
        done = [json.loads(message["content"]) for message in messages if message["role"] == "tool"]
        if not done:
            return calls(read)
        if len(done) == 1:
            stage.trip()
            return calls(read)
        if len(done) == 2:
            answers.append(done[-1]["breaker"]["status"])
            return calls(read, ("place_entry_order", execution_arguments(messages)))
        return abstain(stage)

    with cache_on():
        stage.brain = brain
        stage.crew().run(stage.claim())
    stale = [] if answers == [BreakerStatus.TRIGGERED] else [f"after the trip it read {answers}"]
    return stale + stage.violations(allowed=0)


def raising_hooks(stage: Stage, dice: random.Random) -> list[str]:
    """Hooks that raise at every step, which CrewAI swallows, and a trip in the middle."""
    from crewai.hooks.dispatch import register, unregister

    points = (
        InterceptionPoint.PRE_TOOL_CALL,
        InterceptionPoint.POST_TOOL_CALL,
        InterceptionPoint.PRE_MODEL_CALL,
        InterceptionPoint.POST_MODEL_CALL,
    )
    at_call = dice.choice([None, *range(1, 9)])

    def broken(_: Any) -> None:
        raise RuntimeError("a hook of somebody else")

    def brain(messages: Messages) -> dict[str, Any]:
        if len(stage.model_calls) == at_call:
            stage.trip()
        return eager(messages)

    stage.brain = brain
    for point in points:
        register(point, broken)
    try:
        stage.crew().run(stage.claim())
    finally:
        for point in points:
            unregister(point, broken)
    return stage.violations()


def parallel_calls(stage: Stage, dice: random.Random) -> list[str]:
    """One answer of the model asks for the order tool several times, at various sizes, and the
    calls are made as CrewAI makes them when it is left alone: all at once."""
    number = dice.randrange(2, 7)
    tripping: list[threading.Thread] = []

    def brain(messages: Messages) -> dict[str, Any]:
        if task_of(messages) != "execution" or any(m["role"] == "tool" for m in messages):
            return eager(messages)
        wanted = execution_arguments(messages)
        sizes = [{**wanted, "notional": wanted["notional"] * dice.uniform(0.3, 1)}] * (number - 1)
        if dice.random() < 0.5:
            tripping.append(later(stage, dice.uniform(0, 0.05)))
        return calls(*(("place_entry_order", arguments) for arguments in (wanted, *sizes)))

    stage.brain = brain
    at_once = AgentExecutor._should_parallelize_native_tool_calls
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DirectExecutor, "_should_parallelize_native_tool_calls", at_once)
        stage.crew().run(stage.claim())
    finish(*tripping)
    return stage.violations()


def late_thread(stage: Stage, dice: random.Random, how: str | None = None) -> list[str]:
    """A tool's thread outlives its task's time-out and goes on when nobody expects it any more."""
    how = how or dice.choice(["halted", "halted and cleared", "past the deadline"])
    client = SlowClient(stage.core.worker)
    claim = stage.claim(run_ms=2_500 if how == "past the deadline" else 40_000)
    crew = stage.crew(client, max_execution_time_s=1)
    run = threading.Thread(target=crew.run, args=(claim,))
    run.start()
    if client.arrived.wait(20):
        if how == "past the deadline":
            while stage.core.worker.now_ms() < claim.deadline_ms:
                time.sleep(0.02)
        else:
            time.sleep(dice.uniform(0, 1.2))
            stage.trip()
            if how == "halted and cleared":
                stage.clear()
    client.go.set()
    finish(run)
    return stage.violations(allowed=0)


def retried_task(stage: Stage, dice: random.Random) -> list[str]:
    """A guardrail refuses the executor's answers: CrewAI runs the task again, order and all."""
    trip_at = dice.choice([None, 1, 2])
    attempts = itertools.count(1)

    def refuse(_: Any) -> tuple[bool, str]:
        attempt = next(attempts)
        if attempt == trip_at:
            stage.trip()
        return attempt > 3, "try again"

    asked: dict[str, Any] = {}

    def brain(messages: Messages) -> dict[str, Any]:
        """Proposes anew in each attempt, whatever is left of the context."""
        if task_of(messages) != "execution" or any(m["role"] == "tool" for m in messages):
            return eager(messages)
        asked.update(asked or execution_arguments(messages))
        return calls(("place_entry_order", asked))

    stage.brain = brain
    crew = stage.crew()
    assert crew._warm is not None
    task = crew._warm.tasks["execution"]
    task._guardrail = refuse
    task.guardrail_max_retries = 3
    crew.run(stage.claim())
    return stage.violations()


def two_crews(stage: Stage, dice: random.Random) -> list[str]:
    """Two crews work on the same spike at once."""
    claim = stage.claim()
    runs = [threading.Thread(target=stage.crew().run, args=(claim,)) for _ in range(2)]
    for run in runs:
        run.start()
    tripping = [later(stage, dice.uniform(0, 1))] if dice.random() < 0.5 else []
    finish(*runs, *tripping)
    return stage.violations()


def repeated_kickoff(stage: Stage, dice: random.Random) -> list[str]:
    """The same spike is handed out again and again, also after a halt has come and gone."""
    crew, claim = stage.crew(), stage.claim()
    for _ in range(2):
        crew.run(claim)
        if dice.random() < 0.5:
            stage.trip()
            stage.clear()
            claim = stage.claim(spike_id=claim.spike.id)
    return stage.violations()


def running_on(stage: Stage, dice: random.Random) -> list[str]:
    """A trip while the crew waits for its model: it must not ask the model again."""
    at_call = dice.randrange(1, 9)
    tripped: list[tuple[int, str]] = []

    def brain(messages: Messages) -> dict[str, Any]:
        number = len(stage.model_calls)
        if number == at_call:
            tripped.append((stage.trip(), task_of(messages)))
        return eager(messages)

    stage.brain = brain
    stage.crew().run(stage.claim())
    if not tripped:
        return ["the crew never got so far"]
    returned_ns, task = tripped[0]
    # The analysts ask side by side: the other two may be on their way.
    side_by_side = 2 if task in ANALYSTS else 0
    after = sum(at_ns > returned_ns for at_ns, _ in stage.model_calls)
    found = [f"{after} model calls after the trip"] if after > side_by_side else []
    return found + stage.violations()
