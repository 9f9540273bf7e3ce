"""Counts what the models of one crew run use, and stops it where a budget ends."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass

from agents.model_config import BudgetConfig
from trading.api.client import RecordClient
from trading.errors import BudgetExhaustedError, SpikeguardError
from trading.model.model_call import ModelCall, ModelUsage

_MICRO = 1_000_000


@dataclass(frozen=True, slots=True)
class TaskUsage:
    """What one task used, and whose answer its last one was."""

    decided_by: str = ""
    model_calls: int = 0
    tokens: int = 0
    cost_micro_usd: int = 0


@dataclass(frozen=True, slots=True)
class Reservation:
    """What a call may use at most, held until it is known what it did use."""

    tokens: int
    micro_usd: int


class RunMeter:
    """One per run. Safe to use from the threads of tasks that run side by side."""

    def __init__(
        self,
        client: RecordClient,
        budgets: BudgetConfig,
        *,
        crew: str,
        spike_id: str | None = None,
        prompt_hashes: Mapping[str, str] | None = None,
    ) -> None:
        self.crew = crew
        self.prompt_hashes = prompt_hashes or {}
        self.spike_id = spike_id
        self._client = client
        self._budgets = budgets
        self._lock = threading.Lock()
        self._used = Reservation(0, 0)
        self._held = Reservation(0, 0)
        self._all: ModelUsage | None = None
        self._tasks: dict[str, TaskUsage] = {}

    def reserve(self, tokens: int, micro_usd: int) -> Reservation:
        """Hold what a call may use at most.

        Raises:
            BudgetExhaustedError: it would not fit a budget, or nobody can say what is used up.
        """
        with self._lock:
            if self._all is None:
                self._all = self._ask_core()
            tokens_now = self._used.tokens + self._held.tokens + tokens
            money_now = self._used.micro_usd + self._held.micro_usd + micro_usd
            held_tokens, held_money = self._held.tokens + tokens, self._held.micro_usd + micro_usd
            limits, used = self._budgets, self._all
            for name, amount, limit in (
                ("max_tokens_per_run", tokens_now, limits.max_tokens_per_run),
                ("max_tokens_per_hour", used.hour_tokens + held_tokens, limits.max_tokens_per_hour),
                ("max_tokens_per_day", used.day_tokens + held_tokens, limits.max_tokens_per_day),
            ):
                if amount > limit:
                    raise BudgetExhaustedError(f"{name}: {amount} tokens, {limit} allowed")
            for name, amount, usd in (
                ("max_usd_per_run", money_now, limits.max_usd_per_run),
                ("max_usd_per_hour", used.hour_micro_usd + held_money, limits.max_usd_per_hour),
                ("max_usd_per_day", used.day_micro_usd + held_money, limits.max_usd_per_day),
            ):
                if amount > round(usd * _MICRO):
                    raise BudgetExhaustedError(
                        f"{name}: {amount / _MICRO:.4f} USD, {usd:g} allowed"
                    )
            self._held = Reservation(held_tokens, held_money)
            return Reservation(tokens, micro_usd)

    def settle(self, held: Reservation, call: ModelCall, label: str) -> None:
        """Put what was used in place of what was held, and on record.

        Raises:
            BudgetExhaustedError: the core took no record: what comes next could not be bounded.
        """
        tokens = call.input_tokens + call.output_tokens
        with self._lock:
            self._held = Reservation(
                self._held.tokens - held.tokens, self._held.micro_usd - held.micro_usd
            )
            self._used = Reservation(
                self._used.tokens + tokens, self._used.micro_usd + call.cost_micro_usd
            )
            before = self._tasks.get(call.task, TaskUsage())
            self._tasks[call.task] = TaskUsage(
                decided_by=label if call.ok else before.decided_by,
                model_calls=before.model_calls + 1,
                tokens=before.tokens + tokens,
                cost_micro_usd=before.cost_micro_usd + call.cost_micro_usd,
            )
        try:
            usage = self._client.record_model_call(call)
        except SpikeguardError as error:
            raise BudgetExhaustedError(f"a model call could not be recorded: {error}") from error
        with self._lock:
            self._all = usage

    def answered(self, task: str, label: str) -> None:
        """Somebody answered who uses no budget (the rules, a recording)."""
        with self._lock:
            before = self._tasks.get(task, TaskUsage())
            self._tasks[task] = TaskUsage(
                label, before.model_calls + 1, before.tokens, before.cost_micro_usd
            )

    def of(self, task: str) -> TaskUsage:
        """What ``task`` has used so far."""
        with self._lock:
            return self._tasks.get(task, TaskUsage())

    @property
    def tokens(self) -> int:
        """Tokens used by the run so far."""
        with self._lock:
            return self._used.tokens

    def _ask_core(self) -> ModelUsage:
        try:
            return self._client.model_usage()
        except SpikeguardError as error:
            raise BudgetExhaustedError(f"the core does not say what is used: {error}") from error


_current: ContextVar[RunMeter | None] = ContextVar("spikeguard_meter", default=None)


def current_meter() -> RunMeter | None:
    return _current.get()


@contextlib.contextmanager
def meter_scope(meter: RunMeter) -> Iterator[RunMeter]:
    """Make ``meter`` the current one for this thread and those that CrewAI starts from it."""
    token = _current.set(meter)
    try:
        yield meter
    finally:
        _current.reset(token)
