"""The built-in rules behind CrewAI's model interface: same crews, tools and schemas, no network."""

from __future__ import annotations

import json
from typing import Any

from pydantic import PrivateAttr

from agents.config import RulePolicyConfig
from agents.rules import desk_rules, guardian_rules, post_trade_rules, spike_rules
from agents.rules.view import Rule, TaskView
from tools.framework import BaseLLM
from trading.errors import CrewError

RULES: dict[str, Rule] = {
    "spike_detection": spike_rules.spike_detection,
    "stability_check": spike_rules.stability_check,
    "context_analysis": spike_rules.context_analysis,
    "risk_evaluation": spike_rules.risk_evaluation,
    "execution": spike_rules.execution,
    "post_trade_analysis": post_trade_rules.post_trade_analysis,
    "guardian_assessment": guardian_rules.guardian_assessment,
    "recovery_assessment": guardian_rules.recovery_assessment,
    "incident_report": guardian_rules.incident_report,
    "refusal_explanation": desk_rules.refusal_explanation,
    "reconciliation_explanation": desk_rules.reconciliation_explanation,
    "error_explanation": desk_rules.error_explanation,
    "day_narrative": desk_rules.day_narrative,
    "session_report": desk_rules.session_report,
}


class RuleLLM(BaseLLM):
    """Deterministic: the same messages give the same answer.

    It reads the data blocks and tool results that a model would read, asks for tools through the
    same native tool calls, and answers with the task's schema as JSON.
    """

    _policy: RulePolicyConfig = PrivateAttr()

    def __init__(self, policy: RulePolicyConfig | None = None) -> None:
        super().__init__(model="rules", provider="rules")
        self._policy = policy or RulePolicyConfig()

    def call(
        self,
        messages: Any,
        tools: Any = None,
        callbacks: Any = None,
        available_functions: Any = None,
        from_task: Any = None,
        from_agent: Any = None,
        response_model: Any = None,
    ) -> Any:
        """One step of the task's rule: tool calls, or the finished answer.

        Raises:
            CrewError: there is no rule for the task, or it wants a tool its agent does not have.
        """
        name = getattr(from_task, "name", None)
        rule = RULES.get(name or "")
        if rule is None:
            raise CrewError(f"the built-in rules know no task {name!r}")
        step = rule(TaskView.from_messages(messages), self._policy)
        if not isinstance(step, list):
            return step if response_model is not None else step.model_dump_json()
        offered = {tool["function"]["name"] for tool in tools or ()}
        for call in step:
            if call.name not in offered:
                raise CrewError(f"task {name} wants the tool {call.name}, which it does not have")
        return [
            {
                "id": f"{name}-{len(messages)}-{index}",
                "type": "function",
                "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
            }
            for index, call in enumerate(step)
        ]

    def supports_function_calling(self) -> bool:
        return True

    def supports_stop_words(self) -> bool:
        return False

    def get_context_window_size(self) -> int:
        return 1_000_000

    def get_input_tokens_count(
        self, messages: Any, tools: Any = None, response_model: Any = None
    ) -> int:
        return 1  # CrewAI asks before each answer; the rules have no window to overflow
