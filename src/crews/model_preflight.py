"""Whether the configured models can be built and recordings used, before anything is started.

A worker that finds out for itself would die at every start, and nobody would trade. No network is
used. CrewAI is only imported for what it alone knows: its other providers, and recordings.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from agents.config import AgentConfig, AgentsConfig
from agents.llm_choice import check_models, choose_llm
from agents.model_config import LlmProvider, RecordingConfig, RecordingMode
from trading.errors import ConfigurationError
from trading.news.config import NewsConfig, SentimentMode

_KNOWN_TO_CREWAI_ALONE = (LlmProvider.ANTHROPIC, LlmProvider.CREWAI)
_FILE = "agents.llm.recording.file"


def require_usable_models(agents: AgentsConfig, environment: Mapping[str, str]) -> None:
    """Raises ConfigurationError, naming the setting and its value."""
    choices = check_models(agents, environment)
    _require_usable_recording(agents.llm.recording)
    doubtful = [
        one for one in choices if one.recording is None and one.provider in _KNOWN_TO_CREWAI_ALONE
    ]
    if doubtful:
        from agents.models.provider import create_model

        with _in_force(environment):  # where CrewAI looks for keys of its other providers
            for choice in doubtful:
                create_model(choice, AgentConfig())


def require_usable_sentiment(
    news: NewsConfig, agents: AgentsConfig, environment: Mapping[str, str]
) -> None:
    """Raises ConfigurationError when headlines are to be scored by a model that cannot do it."""
    if news.sentiment is SentimentMode.LEXICON:
        return
    choice = choose_llm(agents.llm, environment)
    if news.sentiment is SentimentMode.MODEL and (choice.is_rules or choice.base_url is None):
        raise ConfigurationError(
            f"news.sentiment = {news.sentiment} needs a model that speaks the OpenAI protocol, "
            f"and agents.llm.provider = {agents.llm.provider} gives none here; set its key, or set "
            "news.sentiment to auto or lexicon"
        )


def _require_usable_recording(recording: RecordingConfig) -> None:
    if recording.file is None:
        return
    path = Path(recording.file)
    if recording.mode is RecordingMode.REPLAY:
        from agents.models.recording import RecordedLLM

        try:
            RecordedLLM(path)
        except ConfigurationError as error:
            raise ConfigurationError(f"{_FILE} = {recording.file!r}: {error}") from error
    elif recording.mode is RecordingMode.RECORD:
        was_there = path.exists()
        try:
            path.open("ab").close()
        except OSError as error:
            raise ConfigurationError(
                f"{_FILE} = {recording.file!r}: cannot be written: {error.strerror}"
            ) from error
        if not was_there:
            path.unlink()


@contextmanager
def _in_force(environment: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
