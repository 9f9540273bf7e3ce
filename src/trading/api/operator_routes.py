"""Routes that only the operator's socket has: a worker's cannot even ask."""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI, Query

from trading.api.schemas import (
    ControlResult,
    OperatorCommand,
    PauseAgentsCommand,
    ResumeAgentsCommand,
    ResumeCommand,
    WorkerFailure,
)
from trading.api.service import CoreService
from trading.model.operations import Approval, CancelledOrders, LiquidationReport


def add_operator_routes(app: FastAPI, service: CoreService) -> None:
    _add_emergency_routes(app, service)
    _add_approval_routes(app, service)

    @app.post("/v1/workers/failure", status_code=204)
    async def worker_given_up(failure: WorkerFailure) -> None:
        await service.worker_given_up(failure)


def _add_emergency_routes(app: FastAPI, service: CoreService) -> None:
    @app.post("/v1/emergency/entries/halt")
    async def halt_entries(command: OperatorCommand) -> ControlResult:
        return await service.operations.halt_entries(command)

    @app.post("/v1/emergency/entries/resume")
    async def resume_entries(command: ResumeCommand) -> ControlResult:
        return await service.operations.resume_entries(command)

    @app.post("/v1/emergency/agents/pause")
    async def pause_agents(command: PauseAgentsCommand) -> ControlResult:
        return await service.operations.pause_agents(command)

    @app.post("/v1/emergency/agents/resume")
    async def resume_agents(command: ResumeAgentsCommand) -> ControlResult:
        return await service.operations.resume_agents(command)

    @app.post("/v1/emergency/orders/cancel")
    async def cancel_orders(command: OperatorCommand) -> CancelledOrders:
        return await service.operations.cancel_orders(command)

    @app.post("/v1/emergency/liquidation")
    async def liquidate(command: OperatorCommand) -> LiquidationReport:
        return await service.operations.liquidate(command)

    @app.get("/v1/emergency/liquidation")
    async def liquidation() -> LiquidationReport | None:
        return await service.operations.liquidation()


def _add_approval_routes(app: FastAPI, service: CoreService) -> None:
    @app.get("/v1/approvals")
    async def approvals(limit: Annotated[int, Query(ge=1, le=1_000)] = 50) -> tuple[Approval, ...]:
        return await service.operations.approvals(limit)

    @app.post("/v1/approvals/{approval_id}/approve")
    async def approve(approval_id: int, command: ResumeCommand) -> Approval:
        return await service.operations.approve(approval_id, command)

    @app.post("/v1/approvals/{approval_id}/refuse")
    async def refuse(approval_id: int, command: OperatorCommand) -> Approval:
        return await service.operations.refuse(approval_id, command)
