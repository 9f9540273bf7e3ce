"""What recordings say of models and prompts: each by itself, and on the spikes they share."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

from agents.models.recording import read_lines
from trading.errors import ConfigurationError

_MICRO = 1_000_000
_SPIKE_CREW = "spike_trading"  # a recording holds the guardian's and the reviews' answers, too


def evaluate_recordings(paths: list[Path]) -> dict[str, Any]:
    """Figures of each recording, and of every further one against the first.

    Raises:
        ConfigurationError: a file is no recording, or holds no spike's run.
    """
    found = [_Recording(path) for path in paths]
    return {
        "recordings": [recording.figures() for recording in found],
        "against_the_first": [_compare(found[0], other) for other in found[1:]],
    }


class _Recording:
    def __init__(self, path: Path) -> None:
        self.path = path
        # The pass without a breaker asks the same models; its runs are another story.
        lines = [line for line in read_lines(path) if not line.get("label")]
        try:
            self.runs = {line["spike"]["id"]: line for line in lines if line["kind"] == "run"}
            self.replies = [line for line in lines if line["kind"] == "reply"]
            self.by_crew = _by_crew(self.replies)
            self.outcomes = {
                line["spike_id"]: line["pnl_pct"] for line in lines if line["kind"] == "outcome"
            }
        except (KeyError, TypeError) as error:
            raise ConfigurationError(f"{path} is no recording: a line without {error}") from error
        if not self.runs:
            raise ConfigurationError(f"{path} holds no run of a spike crew")

    def figures(self) -> dict[str, Any]:
        runs = list(self.runs.values())
        statuses = Counter(run["status"] for run in runs)
        results = list(self.outcomes.values())
        spike_runs = len(runs)
        asked = [reply for reply in self.replies if reply["crew"] == _SPIKE_CREW]
        own = _usage(asked)
        return {
            "recording": str(self.path),
            "models": sorted({reply["model"] for reply in asked}),
            "prompt_versions": sorted({run["prompt_version"] for run in runs}),
            "runs": spike_runs,
            "traded": statuses["traded"],
            "awaiting_approval": statuses["awaiting_approval"],
            "skipped": statuses["skipped"],
            "aborted": statuses["aborted"],
            "failed": statuses["failed"],
            "runs_with_a_refused_claim": sum(bool(run["refused"]) for run in runs),
            "runs_that_abstained_over_a_claim": sum(bool(run["rejected"]) for run in runs),
            "model_calls": own["model_calls"],
            "median_call_ms": own["median_call_ms"],
            "tokens_per_run": round(sum(run["tokens"] for run in runs) / spike_runs, 1),
            "usd_per_run": round(
                sum(run["cost_micro_usd"] for run in runs) / spike_runs / _MICRO, 6
            ),
            "trades_closed": len(results),
            "mean_pnl_pct": round(sum(results) / len(results), 4) if results else None,
            "by_crew": self.by_crew,
        }


def _by_crew(replies: list[dict[str, Any]]) -> dict[str, Any]:
    """What each crew used, and each of its agents. Raises KeyError."""
    crews: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for reply in replies:
        agents = crews.setdefault(reply["crew"], {})
        agents.setdefault(reply["agent_name"], []).append(reply)
    return {
        crew: {
            **_usage([reply for own in agents.values() for reply in own]),
            "agents": {agent: _usage(own) for agent, own in sorted(agents.items())},
        }
        for crew, agents in sorted(crews.items())
    }


def _usage(replies: list[dict[str, Any]]) -> dict[str, Any]:
    durations = [reply["duration_ms"] for reply in replies]
    return {
        "model_calls": len(replies),
        "tokens": sum(reply["input_tokens"] + reply["output_tokens"] for reply in replies),
        "usd": round(sum(reply["cost_micro_usd"] for reply in replies) / _MICRO, 6),
        "median_call_ms": round(median(durations), 1) if durations else None,
    }


def _compare(first: _Recording, other: _Recording) -> dict[str, Any]:
    shared = sorted(set(first.runs) & set(other.runs))
    differing = []
    for spike_id in shared:
        one, two = first.runs[spike_id], other.runs[spike_id]
        if one["decisions"] != two["decisions"] or one["status"] != two["status"]:
            changed = {
                task: [one["decisions"].get(task), two["decisions"].get(task)]
                for task in sorted({*one["decisions"], *two["decisions"]})
                if one["decisions"].get(task) != two["decisions"].get(task)
            }
            differing.append(
                {
                    "spike": spike_id,
                    "status": [one["status"], two["status"]],
                    "decisions": changed,
                    "pnl_pct": [first.outcomes.get(spike_id), other.outcomes.get(spike_id)],
                }
            )
    tasks = {
        task
        for recording in (first, other)
        for run in recording.runs.values()
        for task, digest in run["prompt_hashes"].items()
        if any(r["prompt_hashes"].get(task) != digest for r in (*first.runs.values(),))
    }
    return {
        "recording": str(other.path),
        "shared_spikes": len(shared),
        "same_decisions": len(shared) - len(differing),
        "prompts_changed": sorted(tasks),
        "differing": differing,
    }
