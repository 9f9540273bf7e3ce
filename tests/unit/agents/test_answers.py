"""From an answer's text to its typed output, whatever the text is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.answers import StrictConverter, parse_answer
from agents.outputs import ExecutionDecision
from tools.framework import ConverterError

ANSWER = {"symbol": "SOLUSDT", "action": "abstain", "confidence": 0.5, "reasoning": "not sure"}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(ANSWER),
        f"```json\n{json.dumps(ANSWER)}\n```",
        f"Here is my answer: {json.dumps(ANSWER, indent=2)} - I hope it helps",
        f"<think>{{not json}}</think>{json.dumps(ANSWER)}",
    ],
)
def test_the_first_json_object_counts_wherever_it_stands(text: str) -> None:
    output, problems = parse_answer(text, ExecutionDecision)
    assert problems == []
    assert output is not None
    assert output.action == "abstain"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no JSON object"),
        ("I would buy", "no JSON object"),
        ("[1, 2]", "no JSON object"),
        (json.dumps({**ANSWER, "confidence": 7}), "confidence"),
        (json.dumps({**ANSWER, "confidence": float("nan")}), "confidence"),
        (json.dumps({**ANSWER, "confidence": 1e999}), "confidence"),
        (json.dumps({**ANSWER, "leverage": 20}), "leverage"),
        (json.dumps({**ANSWER, "action": "all in"}), "action"),
        (json.dumps({**ANSWER, "symbol": 5}), "symbol"),
        ("{" * 100_000, "no JSON object"),
        ('{"a":' * 100_000, "no JSON object"),
    ],
)
def test_anything_else_is_refused_with_what_is_wrong(text: str, problem: str) -> None:
    output, problems = parse_answer(text, ExecutionDecision)
    assert output is None
    assert problem in "; ".join(problems)


@given(st.text() | st.recursive(st.none(), lambda i: st.lists(i) | st.text()).map(json.dumps))
def test_no_text_breaks_it(text: str) -> None:
    output, problems = parse_answer(text, ExecutionDecision)
    assert (output is None) is bool(problems)


def test_an_answer_that_does_not_fit_is_not_sent_to_a_model_for_repair() -> None:
    class NeverAsk:
        def __getattr__(self, name: str) -> Any:
            raise AssertionError(f"the model was asked: {name}")

    converter = StrictConverter(
        text="no json", llm=NeverAsk(), model=ExecutionDecision, instructions=""
    )
    assert isinstance(converter.to_pydantic(), ConverterError)
