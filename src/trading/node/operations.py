"""The operator's commands on a running core: done on the order loop, on record, and shown."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from trading.api.schemas import (
    ControlResult,
    OperatorCommand,
    PauseAgentsCommand,
    ResumeAgentsCommand,
    ResumeCommand,
)
from trading.clock import Clock
from trading.execution.service import ExecutionService
from trading.model.operations import (
    AGENT_PREFIX,
    ENTRIES,
    Approval,
    ApprovalStatus,
    CancelledOrders,
    LiquidationReport,
)
from trading.node.audit import CoreAudit
from trading.node.board import Board
from trading.node.order_thread import OrderLoop


class Operations:
    """Implements ``OperatorService``. On the main loop."""

    def __init__(
        self,
        *,
        execution: ExecutionService,
        orders: OrderLoop,
        audit: CoreAudit,
        board: Board,
        clock: Clock,
    ) -> None:
        self._orders = orders
        self._desk = execution.operations
        self._audit = audit
        self._board = board
        self._clock = clock

    async def halt_entries(self, command: OperatorCommand) -> ControlResult:
        self._note("entries halted", command.reason)
        return await self._each((ENTRIES,), command.reason, self._desk.stop)

    async def resume_entries(self, command: ResumeCommand) -> ControlResult:
        result = await self._each((ENTRIES,), command.reason, self._desk.lift)
        self._note("entries resumed", command.reason)
        return result

    async def pause_agents(self, command: PauseAgentsCommand) -> ControlResult:
        self._note("agents paused", command.reason, command.agents)
        return await self._each(_controls(command.agents), command.reason, self._desk.stop)

    async def resume_agents(self, command: ResumeAgentsCommand) -> ControlResult:
        names = _controls(command.agents)
        result = await self._each(names, command.reason, self._desk.lift)
        self._note("agents resumed", command.reason, command.agents)
        return result

    async def cancel_orders(self, command: OperatorCommand) -> CancelledOrders:
        self._note("open entries cancelled", command.reason)
        return await self._orders.call(self._desk.cancel_orders(command.reason))

    async def liquidate(self, command: OperatorCommand) -> LiquidationReport:
        self._note("liquidation", command.reason)
        return await self._orders.call(self._desk.liquidate(command.reason))

    async def liquidation(self) -> LiquidationReport | None:
        return await self._orders.call(self._desk.liquidation())

    async def approvals(self, limit: int) -> tuple[Approval, ...]:
        return await self._orders.call(self._desk.approvals(limit))

    async def approve(self, approval_id: int, command: ResumeCommand) -> Approval:
        approval = await self._orders.call(self._desk.approve(approval_id, command.reason))
        self._note(f"approval {approval_id} given", command.reason)
        return approval

    async def refuse(self, approval_id: int, command: OperatorCommand) -> Approval:
        approval = await self._orders.call(self._desk.refuse(approval_id, command.reason))
        self._note(f"approval {approval_id} refused", command.reason)
        assert approval.status is ApprovalStatus.REFUSED
        return approval

    async def _each(
        self,
        names: tuple[str, ...],
        reason: str,
        change: Callable[[str, str], Awaitable[bool]],
    ) -> ControlResult:
        async def all_of_them() -> bool:
            return any([await change(name, reason) for name in names])

        changed = await self._orders.call(all_of_them())
        return ControlResult(changed=changed, controls=self._desk.controls())

    def _note(self, what: str, reason: str, agents: tuple[str, ...] = ()) -> None:
        details = {"reason": reason, **({"agents": list(agents)} if agents else {})}
        self._audit.operator(what, details, self._clock.now_ms())
        who = f" ({', '.join(agents)})" if agents else ""
        self._board.say("operator", f"{what}{who}: {reason}", "warning")


def _controls(agents: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(AGENT_PREFIX + name for name in agents)
