"""The operator's calls to a running core, beside those that everybody has."""

from __future__ import annotations

from trading.api.http_client import HttpTradingClient
from trading.api.schemas import (
    ControlResult,
    OperatorCommand,
    PauseAgentsCommand,
    ResumeAgentsCommand,
    ResumeCommand,
    WorkerFailure,
)
from trading.model.operations import Approval, CancelledOrders, LiquidationReport


class OperatorClient(HttpTradingClient):
    """Works on the operator's socket only."""

    def halt_entries(self, command: OperatorCommand) -> ControlResult:
        return self._post("/v1/emergency/entries/halt", ControlResult, command)

    def resume_entries(self, command: ResumeCommand) -> ControlResult:
        return self._post("/v1/emergency/entries/resume", ControlResult, command)

    def pause_agents(self, command: PauseAgentsCommand) -> ControlResult:
        return self._post("/v1/emergency/agents/pause", ControlResult, command)

    def resume_agents(self, command: ResumeAgentsCommand) -> ControlResult:
        return self._post("/v1/emergency/agents/resume", ControlResult, command)

    def cancel_orders(self, command: OperatorCommand) -> CancelledOrders:
        return self._post("/v1/emergency/orders/cancel", CancelledOrders, command)

    def liquidate(self, command: OperatorCommand) -> LiquidationReport:
        return self._post("/v1/emergency/liquidation", LiquidationReport, command)

    def liquidation(self) -> LiquidationReport | None:
        report: LiquidationReport | None = self._get(
            "/v1/emergency/liquidation",
            LiquidationReport | None,  # type: ignore[arg-type] # a form, not a class
        )
        return report

    def approvals(self, limit: int = 50) -> tuple[Approval, ...]:
        found: tuple[Approval, ...] = self._get("/v1/approvals", tuple[Approval, ...], limit=limit)
        return found

    def approve(self, approval_id: int, command: ResumeCommand) -> Approval:
        return self._post(f"/v1/approvals/{approval_id}/approve", Approval, command)

    def refuse(self, approval_id: int, command: OperatorCommand) -> Approval:
        return self._post(f"/v1/approvals/{approval_id}/refuse", Approval, command)

    def worker_given_up(self, failure: WorkerFailure) -> None:
        """The worker will not be started again: `status` says so until it beats."""
        self._send("POST", "/v1/workers/failure", body=failure)
