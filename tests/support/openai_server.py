"""A local OpenAI-compatible chat server whose brain is a function of the request.

The default brain answers like the built-in rules, through real HTTP and native tool calls; tests
bend single answers to see what plain code makes of a model that lies.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from agents.config import RulePolicyConfig
from agents.rule_llm import RULES
from agents.rules.view import TaskView

# A sentence of each task's description, to know which one a request is about.
_MARKS = {
    "spike_detection": "Say whether the numbers bear it out",
    "stability_check": "calm enough for an entry in this pair",
    "context_analysis": "Say what kind of move this is",
    "risk_evaluation": "Choose a stop and a take profit",
    "execution": "Enter or abstain. Enter only if",
    "guardian_assessment": "Assess the market now",
    "post_trade_analysis": "Look back at a closed trade",
    "recovery_assessment": "Say where recovery stands",
    "incident_report": "Write the incident report",
    "refusal_explanation": "Explain why a rule refused this entry",
    "reconciliation_explanation": "Explain this comparison of our books",
    "error_explanation": "Explain these repeated errors",
    "day_narrative": "Write the story of this day",
    "session_report": "Write up this run on virtual money",
}

Usage = bool | dict[str, int]


def task_of(messages: list[dict[str, Any]]) -> str:
    text = "\n".join(str(m.get("content")) for m in messages if m["role"] == "user")
    return next(name for name, mark in _MARKS.items() if mark in text)


def named_results(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Tool messages with the tool's name, which the protocol only gives by call id."""
    names = {
        call["id"]: call["function"]["name"]
        for message in messages
        for call in message.get("tool_calls") or ()
    }
    return [{**m, "name": names[m["tool_call_id"]]} if m["role"] == "tool" else m for m in messages]


def rules_brain(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """An assistant message as the rules would write it."""
    view = TaskView.from_messages(named_results(messages))
    step = RULES[task_of(messages)](view, RulePolicyConfig())
    if not isinstance(step, list):
        return {"role": "assistant", "content": step.model_dump_json()}
    calls = [
        {
            "id": f"call_{len(messages)}_{index}",
            "type": "function",
            "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
        }
        for index, call in enumerate(step)
    ]
    return {"role": "assistant", "content": None, "tool_calls": calls}


@dataclass(frozen=True)
class Refusal:
    """What a server answers instead of a completion."""

    status: int
    body: str = '{"error": {"message": "not now"}}'
    headers: tuple[tuple[str, str], ...] = ()


class DroppedConnectionError(Exception):
    """Raised by a brain: the server closes the socket without an answer."""


@dataclass
class OpenAiServer:
    """``brain`` maps the messages to an assistant message; ``requests`` keeps every body.

    An answer takes ``delay_s``, thinking included. A brain may also return a ``Refusal`` or raise
    ``DroppedConnectionError``. Requests for a stream get server-sent events, ``usage`` False leaves
    the token counts out, and a dictionary is given in their place.
    """

    brain: Callable[[list[dict[str, Any]]], Any] = rules_brain
    delay_s: float = 0.0
    usage: Usage = True
    keep_requests: bool = True
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)

    def __enter__(self) -> OpenAiServer:
        server = self

        class Handler(BaseHTTPRequestHandler):
            # As real endpoints do: connections stay, and small answers leave at once.
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                length = int(self.headers["content-length"])
                body = json.loads(self.rfile.read(length))
                if server.keep_requests:
                    server.requests.append(body)
                server.keys.add(self.headers.get("authorization", ""))
                due = time.monotonic() + server.delay_s
                try:
                    message = server.brain(body["messages"])
                    time.sleep(max(0.0, due - time.monotonic()))
                    self._answer(body, message)
                except (BrokenPipeError, ConnectionResetError, DroppedConnectionError):
                    self.close_connection = True

            def _answer(self, body: dict[str, Any], message: Any) -> None:
                headers: tuple[tuple[str, str], ...] = ()
                status, kind = 200, "application/json"
                if isinstance(message, Refusal):
                    status, headers, text = message.status, message.headers, message.body
                elif body.get("stream"):
                    kind, text = "text/event-stream", _events(body, message, server.usage)
                else:
                    text = json.dumps(_completion(body, message, server.usage))
                content = text.encode(errors="surrogatepass")
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(content)))
                for name, value in headers:
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def tasks(self) -> list[str]:
        """Which task each request was about, in order of arrival."""
        return [task_of(body["messages"]) for body in self.requests]


_USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


def _counts(usage: Usage) -> dict[str, int]:
    return usage if isinstance(usage, dict) else _USAGE


def _completion(body: dict[str, Any], message: dict[str, Any], usage: Usage) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": body["model"],
        "choices": [
            {
                "index": 0,
                "message": message,
                "finish_reason": "tool_calls" if message.get("tool_calls") else "stop",
            }
        ],
        **({"usage": _counts(usage)} if usage else {}),
    }


def _events(body: dict[str, Any], message: dict[str, Any], usage: Usage) -> str:
    """The message as server-sent events: text in pieces of ten characters, calls in two."""
    deltas: list[dict[str, Any]] = [{"role": "assistant"}]
    content = message.get("content") or ""
    deltas += [{"content": content[at : at + 10]} for at in range(0, len(content), 10)]
    for index, call in enumerate(message.get("tool_calls") or ()):
        name, arguments = call["function"]["name"], call["function"]["arguments"]
        named = {"index": index, "id": call["id"], "type": "function"}
        deltas.append({"tool_calls": [{**named, "function": {"name": name, "arguments": ""}}]})
        deltas.append({"tool_calls": [{"index": index, "function": {"arguments": arguments}}]})
    reason = "tool_calls" if message.get("tool_calls") else "stop"
    choices = [[{"index": 0, "delta": delta, "finish_reason": None}] for delta in deltas]
    choices.append([{"index": 0, "delta": {}, "finish_reason": reason}])
    chunk = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": body["model"],
    }
    events = [{**chunk, "choices": choice} for choice in choices]
    if usage:
        events.append({**chunk, "choices": [], "usage": _counts(usage)})
    return "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
