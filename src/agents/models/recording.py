"""Model traffic on file: written beside a run, or read back in place of a model.

A file of JSON lines. ``reply`` lines hold what was answered to a question, found again by a hash of
the question alone (task, messages, tools): the same run asks the same and gets the same, without
any model. ``run`` and ``outcome`` lines say what became of each spike, for ``evaluate crew``.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, PrivateAttr, ValidationError

from agents.llm_choice import recorded_label
from agents.model_config import LlmConfig, RecordingMode
from agents.models.meter import current_meter
from agents.models.replies import ModelReply
from tools.framework import BaseLLM
from trading.errors import ConfigurationError, ModelError

_PARTS = ("role", "content", "tool_calls", "tool_call_id", "name")
_Recorded = tuple[ModelReply, str]  # with the name of the model that gave it


def question_key(task: str, messages: Any, tools: Any) -> str:
    """Identifies a question, whoever answers it."""
    asked = [{part: message.get(part) for part in _PARTS} for message in messages]
    offered = [tool.get("function", {}).get("name") for tool in tools or ()]
    text = json.dumps([task, asked, offered], sort_keys=True, default=str)
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:32]


class Recorder:
    """Appends lines to a recording; several processes may share the file."""

    def __init__(self, path: Path, label: str = "") -> None:
        self._path = path
        self._label = label
        self._lock = threading.Lock()

    def reply(self, key: str, reply: ModelReply, **about: Any) -> None:
        """What was answered."""
        self._write("reply", {"key": key, "reply": reply.model_dump(), **about})

    def run(self, **about: Any) -> None:
        """How a spike's run ended."""
        self._write("run", about)

    def outcome(self, **about: Any) -> None:
        """What a trade that came of a run earned."""
        self._write("outcome", about)

    def _write(self, kind: str, content: dict[str, Any]) -> None:
        line = json.dumps({"kind": kind, "label": self._label, **content}, default=str) + "\n"
        # One write of a whole line in append mode: lines of two processes never mix.
        with self._lock, self._path.open("ab", buffering=0) as file:
            file.write(line.encode(errors="replace"))


def recorder_of(config: LlmConfig) -> Recorder | None:
    """The recorder that the settings ask for; None where nothing is recorded."""
    settings = config.recording
    if settings.mode is not RecordingMode.RECORD or settings.file is None:
        return None
    return _recorder(settings.file, settings.label)


@cache
def _recorder(file: str, label: str) -> Recorder:
    return Recorder(Path(file), label)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """All lines of a recording. Raises ConfigurationError."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        found = [json.loads(line) for line in lines if line.strip()]
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} is no recording: {error}") from error
    if not all(isinstance(line, dict) and "kind" in line for line in found):
        raise ConfigurationError(f"{path} is no recording: a line without its kind")
    return found


class RecordedLLM(BaseLLM):
    """Answers from a recording: the n-th time a question is asked, with the n-th reply to it."""

    _replies: dict[str, list[_Recorded]] = PrivateAttr()
    _asked: dict[str, int] = PrivateAttr(default_factory=lambda: defaultdict(int))
    _lock: Any = PrivateAttr(default_factory=threading.Lock)
    _task: str = PrivateAttr(default="")

    def __init__(self, path: Path) -> None:
        """Raises ConfigurationError."""
        super().__init__(model="recording", provider="recording")
        self._replies = _load(path)

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
        """Raises ModelError when the question was never asked."""
        self._task = getattr(from_task, "name", None) or self._task
        key = question_key(self._task, messages, tools)
        with self._lock:
            number = self._asked[key]
            self._asked[key] += 1
        known = self._replies.get(key)
        if known is None:
            raise ModelError(
                f"the recording has no reply to this question of task {self._task}: the prompts, "
                "the market or the settings are not those it was made with"
            )
        reply, model = known[min(number, len(known) - 1)]
        if (meter := current_meter()) is not None:
            meter.answered(self._task, recorded_label(model))
        if response_model is not None and reply.text:
            try:
                return response_model.model_validate_json(reply.text)
            except ValidationError:
                return reply.text
        return reply.for_crewai()

    def supports_function_calling(self) -> bool:
        return True

    def supports_stop_words(self) -> bool:
        return False

    def get_context_window_size(self) -> int:
        return 1_000_000

    def get_input_tokens_count(
        self, messages: Any, tools: Any = None, response_model: Any = None
    ) -> int:
        return 1  # a recording has no window to overflow


def _load(path: Path) -> dict[str, list[_Recorded]]:
    replies: dict[str, list[_Recorded]] = defaultdict(list)
    for line in read_lines(path):
        if line["kind"] != "reply":
            continue
        try:
            reply = ModelReply.model_validate(line["reply"])
            replies[line["key"]].append((reply, str(line.get("model", "?"))))
        except (KeyError, ValidationError) as error:
            raise ConfigurationError(f"{path} is no recording: {error}") from error
    if not replies:
        raise ConfigurationError(f"{path} holds no reply of a model")
    return dict(replies)
