"""The one boundary to model providers: builds ``crewai.LLM`` and translates what it raises."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx

from agents.config import AgentConfig
from agents.llm_choice import LlmChoice
from agents.model_config import LlmProvider
from agents.models.openai_costs import cut_costs
from tools.framework import LLM, BaseInterceptor, BaseLLM, HookAborted
from trading.errors import ConfigurationError, ModelError, SpikeguardError

MAX_RESPONSE_BYTES = 4_000_000
_MESSAGE_CHARACTERS = 400
# Busy or broken for the moment; everything else will be the same the next time.
_PASSING_STATUS = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_NAMES = {
    LlmProvider.OPENAI: "openai",
    LlmProvider.OPENAI_COMPATIBLE: "openai",
    LlmProvider.ANTHROPIC: "anthropic",
}


class BoundedResponses(BaseInterceptor[httpx.Request, httpx.Response]):
    """Ends an answer that has no end: by its size, and by the time it takes as a whole.

    The client's own time-out only bounds the silence between two pieces.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s

    def on_outbound(self, message: httpx.Request) -> httpx.Request:
        message.headers["accept-encoding"] = "identity"
        return message

    def on_inbound(self, message: httpx.Response) -> httpx.Response:
        packed = message.headers.get("content-encoding", "identity").strip().lower()
        if packed not in ("", "identity"):
            # Unpacked it could be a thousand times as long, where no bound is.
            message.close()
            raise httpx.DecodingError(f"the answer is packed ({packed[:20]}), which was not asked")
        if isinstance(message.stream, httpx.SyncByteStream):
            deadline = time.monotonic() + self._timeout_s
            message.stream = _Bounded(message.stream, deadline)
        return message


class _Bounded(httpx.SyncByteStream):
    def __init__(self, stream: httpx.SyncByteStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        for piece in self._stream:
            size += len(piece)
            if size > MAX_RESPONSE_BYTES:
                raise httpx.ReadError(f"the answer is longer than {MAX_RESPONSE_BYTES} bytes")
            if time.monotonic() > self._deadline:
                raise httpx.ReadTimeout("the answer takes too long as a whole")
            yield piece

    def close(self) -> None:
        self._stream.close()


def create_model(choice: LlmChoice, agent: AgentConfig) -> BaseLLM:
    """A ``crewai.LLM`` without repeats of its own: those are the chain's.

    Raises:
        ConfigurationError: the settings do not describe a model that can be built.
    """
    settings = choice.settings
    native = choice.provider in _NAMES
    if _NAMES.get(choice.provider) == "openai":
        cut_costs()
    options: dict[str, Any] = {
        "provider": _NAMES.get(choice.provider),
        "base_url": choice.base_url,
        "api_key": choice.api_key,
        # Of providers that CrewAI builds otherwise, not all take these two.
        "interceptor": BoundedResponses(settings.timeout_s) if native else None,
        "max_retries": 0 if native else None,
    }
    try:
        llm: BaseLLM = LLM(
            model=choice.model,
            temperature=agent.temperature,
            max_tokens=agent.max_tokens,
            timeout=settings.timeout_s,
            stream=settings.stream,
            **{name: value for name, value in options.items() if value is not None},
        )
    except Exception as error:  # CrewAI wraps whatever the provider's client raises
        raise ConfigurationError(
            f"{choice.where}.model = {choice.model!r}: cannot be used: {_text_of(error, choice)}"
        ) from error
    return llm


@contextlib.contextmanager
def model_errors(choice: LlmChoice) -> Iterator[None]:
    """Turn whatever a provider raises into ModelError; ours and deliberate aborts pass."""
    try:
        yield
    except (SpikeguardError, HookAborted):
        raise
    except Exception as error:
        raise ModelError(
            f"{choice.label}{_host_of(choice)}: {_what_happened(error, choice)}",
            retryable=is_retryable(error),
        ) from error


def is_retryable(error: BaseException) -> bool:
    """Whether asking the same model again at once may help.

    A time-out is not: the run has no second one to spare.
    """
    found: BaseException | None = error
    seen: set[int] = set()
    while found is not None and id(found) not in seen:  # CrewAI raises errors from themselves
        seen.add(id(found))
        if "timeout" in type(found).__name__.lower():
            return False
        status = getattr(found, "status_code", None)
        if isinstance(status, int):
            return status in _PASSING_STATUS
        found = found.__cause__ or found.__context__
    return isinstance(error, (ConnectionError, httpx.TransportError))


def _host_of(choice: LlmChoice) -> str:
    """Where it was looked for; no path and no user, which may hold a secret."""
    try:
        parts = urlsplit(choice.base_url or "")
        host, port = parts.hostname, parts.port
    except ValueError:
        return ""
    return f" at {host}{f':{port}' if port else ''}" if host else ""


def _what_happened(error: BaseException, choice: LlmChoice) -> str:
    told = f"{type(error).__name__}: {_text_of(error, choice)}"
    if isinstance(error, (AttributeError, TypeError, LookupError, json.JSONDecodeError)):
        # What the client library trips over when a web page or another protocol answers.
        return f"its answer is no chat completion; is {choice.where}.base_url right? ({told})"
    return told


def _text_of(error: BaseException, choice: LlmChoice) -> str:
    """The error's words without the key, which a provider may repeat in them."""
    text = " ".join(str(error).split())
    if choice.api_key and len(choice.api_key) > 4:
        text = text.replace(choice.api_key, "***")
    return text[:_MESSAGE_CHARACTERS]
