"""The model behind an agent as CrewAI sees it: a chain of models, metered and bounded."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, PrivateAttr

from agents.llm_choice import LlmChoice
from agents.models.meter import Reservation, RunMeter, current_meter
from agents.models.prices import Price
from agents.models.provider import model_errors
from agents.models.recording import Recorder, question_key
from agents.models.replies import ModelReply, read_reply
from tools.framework import BaseLLM, call_stop_override, no_rate_limit_pauses
from trading.errors import ModelError
from trading.model.model_call import ModelCall

logger = logging.getLogger(__name__)

_MOST_TOKENS = 100_000_000  # of one call; no model takes or gives nearly as many
_CHARACTERS_PER_TOKEN = 4  # CrewAI's own rule of thumb, for endpoints that give no usage
_FIRST_PAUSE_S = 0.2


class ModelHealth:
    """Which models failed lately; shared by all chains of a process."""

    def __init__(self, rest_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self._rest_s = rest_s
        self._now = now
        self._failed: dict[tuple[str | None, str], float] = {}
        self._lock = threading.Lock()

    def failed(self, choice: LlmChoice) -> None:
        with self._lock:
            self._failed[choice.base_url, choice.model] = self._now()

    def answered(self, choice: LlmChoice) -> None:
        with self._lock:
            self._failed.pop((choice.base_url, choice.model), None)

    def rests(self, choice: LlmChoice) -> bool:
        """Whether to pass over ``choice`` while another one can answer."""
        with self._lock:
            failed_at = self._failed.get((choice.base_url, choice.model))
        return failed_at is not None and self._now() - failed_at < self._rest_s


@dataclass(frozen=True, slots=True)
class Link:
    """One model of a chain."""

    choice: LlmChoice
    llm: BaseLLM
    price: Price


class ModelChain(BaseLLM):
    """Asks one model after another until one answers; every call is counted against the budgets.

    Outside a run (no meter) it refuses: a call that nobody counts must not happen.
    """

    _links: tuple[Link, ...] = PrivateAttr()
    _health: ModelHealth = PrivateAttr()
    _agent_name: str = PrivateAttr()
    _max_tokens: int = PrivateAttr()
    _recorder: Recorder | None = PrivateAttr(default=None)
    _task: str = PrivateAttr(default="")

    def __init__(
        self,
        links: Sequence[Link],
        health: ModelHealth,
        *,
        agent_name: str,
        max_tokens: int,
        recorder: Recorder | None = None,
    ) -> None:
        first = links[0].choice
        super().__init__(model=first.model, provider=first.provider.value)
        self._links = tuple(links)
        self._health = health
        self._agent_name = agent_name
        self._max_tokens = max_tokens
        self._recorder = recorder

    def call(
        self,
        messages: Any,
        tools: Any = None,
        callbacks: Any = None,
        available_functions: Any = None,
        from_task: Any = None,
        from_agent: Any = None,
        response_model: type[BaseModel] | None = None,
    ) -> Any:
        """One answer: text, or tool calls for CrewAI to make.

        Raises:
            ModelError: no model of the chain answered in a usable form.
            BudgetExhaustedError: a budget does not allow the call.
        """
        # Questions that CrewAI asks of its own (for a final answer, say) name no task.
        self._task = getattr(from_task, "name", None) or self._task
        meter = current_meter()
        if meter is None:
            raise ModelError("a model may only be asked within a crew's run")
        request = _Request(self._text(messages), tools, from_task, from_agent)
        failures = []
        for link in self._order():
            try:
                reply = self._ask(link, request, meter)
            except ModelError as error:
                self._health.failed(link.choice)
                failures.append(str(error))
                logger.warning("%s, task %s: %s", self._agent_name, self._task, error)
                continue
            self._health.answered(link.choice)
            return _in_form(reply, response_model)
        raise ModelError("no model answers: " + "; ".join(failures))

    # CrewAI would repeat the whole chain after a pause of the server's choosing.
    call._crewai_rate_limit_wrapped = True  # type: ignore[attr-defined]  # CrewAI's mark

    def _order(self) -> list[Link]:
        """The chain as it stands, those that failed lately last."""
        return sorted(self._links, key=lambda link: self._health.rests(link.choice))

    def _ask(self, link: Link, request: _Request, meter: RunMeter) -> ModelReply:
        repeats = link.choice.settings.max_retries
        for attempt in range(repeats + 1):
            try:
                return self._ask_once(link, request, meter)
            except ModelError as error:
                if not error.retryable or attempt == repeats:
                    raise
                time.sleep(_FIRST_PAUSE_S * 2**attempt)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _ask_once(self, link: Link, request: _Request, meter: RunMeter) -> ModelReply:
        prompt_tokens = request.tokens
        held = meter.reserve(
            prompt_tokens + self._max_tokens, link.price.micro_usd(prompt_tokens, self._max_tokens)
        )
        before = link.llm.get_token_usage_summary()
        started_ns = time.perf_counter_ns()
        error, reply = "", None
        try:
            with model_errors(link.choice), no_rate_limit_pauses(), self._stop_words(link):
                answer = link.llm.call(
                    request.messages,
                    tools=request.tools,
                    from_task=request.task,
                    from_agent=request.agent,
                )
            reply = read_reply(answer).without(link.choice.api_key or "")
        except ModelError as failure:
            error = str(failure)
            raise
        finally:
            after = link.llm.get_token_usage_summary()
            used = (
                after.prompt_tokens - before.prompt_tokens,
                after.completion_tokens - before.completion_tokens,
            )
            duration_ms = (time.perf_counter_ns() - started_ns) / 1e6
            self._settle(link, request, meter, held, used, reply, error, duration_ms)
        return reply

    def _settle(
        self,
        link: Link,
        request: _Request,
        meter: RunMeter,
        held: Reservation,
        used: tuple[int, int],
        reply: ModelReply | None,
        error: str,
        duration_ms: float,
    ) -> None:
        # A request that failed may well be charged for; and figures beyond belief are none.
        estimated = sum(used) <= 0 or not all(0 <= count <= _MOST_TOKENS for count in used)
        if estimated:
            used = (request.tokens, (reply.size if reply else 0) // _CHARACTERS_PER_TOKEN)
        call = ModelCall(
            crew=meter.crew,
            agent_name=self._agent_name,
            task=self._task,
            provider=link.choice.provider.value,
            model=link.choice.model,
            prompt_hash=meter.prompt_hashes.get(self._task, ""),
            ok=reply is not None,
            error=error[:500],
            input_tokens=used[0],
            output_tokens=used[1],
            estimated=estimated,
            cost_micro_usd=link.price.micro_usd(*used),
            duration_ms=duration_ms,
            spike_event_id=meter.spike_id,
        )
        if reply is not None and self._recorder is not None:
            self._recorder.reply(
                question_key(self._task, request.messages, request.tools),
                reply,
                **call.model_dump(mode="json", exclude={"ok", "error"}),
            )
        meter.settle(held, call, link.choice.label)

    def _stop_words(self, link: Link) -> Any:
        stop = list(self.stop_sequences)
        return call_stop_override(link.llm, stop) if stop else nullcontext()

    @staticmethod
    def _text(messages: Any) -> Any:
        return [{"role": "user", "content": messages}] if isinstance(messages, str) else messages

    def supports_function_calling(self) -> bool:
        llm: Any = self._links[0].llm  # every provider's class has it, their base has not
        return bool(llm.supports_function_calling())

    def supports_stop_words(self) -> bool:
        return self._links[0].llm.supports_stop_words()

    def get_context_window_size(self) -> int:
        return min(link.llm.get_context_window_size() for link in self._links)

    def get_input_tokens_count(
        self, messages: Any, tools: Any = None, response_model: Any = None
    ) -> int:
        """An estimate: OpenAI's own count would cost a request of its own before every call."""
        return _Request(self._text(messages), tools).tokens


@dataclass(frozen=True, slots=True)
class _Request:
    messages: Any  # a list of CrewAI's own message dictionaries
    tools: Any = None
    task: Any = None
    agent: Any = None

    @property
    def tokens(self) -> int:
        """Roughly; JSON of tools included."""
        size = sum(len(str(message)) for message in self.messages) + len(str(self.tools or ""))
        return size // _CHARACTERS_PER_TOKEN + 1


def _in_form(reply: ModelReply, form: type[BaseModel] | None) -> Any:
    """An instance of ``form`` where CrewAI wants one and the text is one; else the reply."""
    if form is not None and reply.text:
        try:
            return form.model_validate_json(reply.text)
        except ValueError:
            return reply.text
    return reply.for_crewai()
