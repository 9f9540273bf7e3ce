"""The rule behind the look back at a closed trade."""

from __future__ import annotations

from typing import Literal

from agents.config import RulePolicyConfig
from agents.outputs import PostTradeAnalysis
from agents.rules.view import Step, TaskView, explain

_NOTHING = 0.2  # % of the entry price: about what the fees are


def post_trade_analysis(view: TaskView, policy: RulePolicyConfig) -> Step:
    """A profit confirms the signal; a loss at the stop refutes it; in between it is unclear."""
    trade = view.data["trade"]
    profitable = trade["pnl"] > 0
    verdict: Literal["good_signal", "false_signal", "bad_exit", "unclear"] = "unclear"
    if profitable:
        verdict = "good_signal"
    elif "stop" in trade["exit_reason"].lower():
        verdict = "false_signal"
    elif trade["pnl_pct"] < -_NOTHING:
        verdict = "bad_exit"
    return PostTradeAnalysis(
        symbol=trade["symbol"],
        outcome="profitable" if profitable else "unprofitable",
        pnl_pct=trade["pnl_pct"],
        verdict=verdict,
        confidence=0.6,
        reasoning=explain(
            f"{trade['pnl_pct']:.2f} % after fees, closed by {trade['exit_reason']}",
            f"the spike was sure by {trade['spike']['confidence']:.2f}",
        ),
    )
