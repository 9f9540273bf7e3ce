"""Everything that belongs to one run of a crew, made current in one step."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from agents.model_config import BudgetConfig
from agents.models.meter import RunMeter, meter_scope
from agents.run_state import RunState, state_scope
from crews.run_guard import RunGuard
from tools.run_context import RunContext, run_scope
from trading.api.client import RecordClient


@dataclass(frozen=True, slots=True)
class CrewRun:
    """Context (for the tools), state (for the answers), meter (for the models), guard (for all)."""

    context: RunContext
    state: RunState
    meter: RunMeter
    guard: RunGuard

    @classmethod
    def of(
        cls,
        client: RecordClient,
        context: RunContext,
        budgets: BudgetConfig,
        *,
        max_model_calls: int,
        prompt_hashes: Mapping[str, str],
        stops_on_trip: bool = True,
    ) -> CrewRun:
        """A run that has not begun."""
        state = RunState()
        meter = RunMeter(
            client,
            budgets,
            crew=context.crew,
            spike_id=context.spike_id,
            prompt_hashes=prompt_hashes,
        )
        guard = RunGuard(
            client,
            context,
            state,
            max_model_calls=max_model_calls,
            stops_on_trip=stops_on_trip,
        )
        return cls(context, state, meter, guard)

    @contextlib.contextmanager
    def scope(self) -> Iterator[Any]:
        """Tools, agents and models within the block belong to this run."""
        with run_scope(self.context), state_scope(self.state), meter_scope(self.meter):
            yield
