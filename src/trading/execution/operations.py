"""What an operator may ask of the order path while it runs. On the order loop.

Nothing here needs a model, a screen or another machine; everything is on record in the audit log
and may be asked twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from trading.errors import MarketDataError, StoreError
from trading.events import LiquidationEnded
from trading.execution.assembly import Parts
from trading.execution.foundation import Surroundings
from trading.execution.trust import NOT_COMPARED
from trading.model.breaker import Actor
from trading.model.decision import ProposalResult, TradeProposal
from trading.model.operations import (
    ENTRIES,
    LIQUIDATION,
    Approval,
    CancelledOrders,
    Controls,
    LiquidationReport,
)

CANCEL_ATTEMPTS = 5
Submit = Callable[[TradeProposal, Approval], Awaitable[ProposalResult]]


class OrderOperations:
    """``parts`` raises MarketDataError while the order path is not running."""

    def __init__(self, around: Surroundings, parts: Callable[[], Parts], submit: Submit) -> None:
        self._around = around
        self._parts = parts
        self._submit = submit

    async def approve(self, approval_id: int, reason: str) -> Approval:
        """A person consents to an entry: it passes every check again, and is sent.

        Raises as ``ComplianceDesk.consent`` does; what the checks say is in the ``result``.
        """
        parts = self._parts()
        compliance = parts.compliance
        approval, proposal = compliance.consent(approval_id, reason, parts.sizer.multiplier())
        if approval.result is not None:
            return approval
        result = await self._submit(proposal, approval)
        return compliance.note_result(approval_id, result)

    async def refuse(self, approval_id: int, reason: str) -> Approval:
        """A person refuses an entry. Raises as ``ComplianceDesk.refuse`` does."""
        return self._parts().compliance.refuse(approval_id, reason)

    def waiting_approvals(self) -> tuple[Approval, ...]:
        """Entries that wait for a person, oldest first; none before the start. From any thread."""
        try:
            return self._parts().compliance.waiting
        except MarketDataError:
            return ()

    async def approvals(self, limit: int) -> tuple[Approval, ...]:
        """Newest first."""
        return self._parts().compliance.latest(limit)

    async def stop(self, name: str, reason: str) -> bool:
        """Put a control in force, durably; False when it was already.

        After entries are halted none leaves this process; those that are on their way reach the
        wire first, within the trip's bound. Raises StoreError: in force here, and not stored.
        """
        parts = self._parts()
        try:
            return parts.controls.set(
                name, reason, self._around.clock.now_ms(), actor=Actor.OPERATOR.value
            )
        except StoreError as error:
            raise StoreError(
                f"{name}: in force in the running core, and lost when that ends, because it could "
                f"not be stored: {error}"
            ) from error
        finally:
            if name == ENTRIES:
                parts.gate.close_and_wait(self._around.execution.wire_barrier_timeout_ms)

    def controls(self) -> Controls:
        """What operators have stopped; nothing is known of it before the start. From any thread."""
        try:
            return self._parts().controls.now
        except MarketDataError:
            return Controls()

    def books_objection(self) -> str:
        """Why our books do not count as the venue's, for people; empty when they do."""
        try:
            return self._parts().trust.objection
        except MarketDataError:
            return NOT_COMPARED

    async def cancel_orders(self, reason: str) -> CancelledOrders:
        """Cancel every open entry; protective orders stay. Asked again until nothing is open, or
        the attempts are used up."""
        liquidator = self._parts().liquidator
        done = CancelledOrders()
        for _ in range(CANCEL_ATTEMPTS):
            outcome = await liquidator.cancel_entries(reason)
            done = CancelledOrders(
                cancelled=done.cancelled + outcome.cancelled,
                filled=done.filled + outcome.filled,
                open=outcome.open,
            )
            if not done.open:
                break
            await asyncio.sleep(self._around.execution.sweep_retry_ms / 1000)
        return done

    async def liquidate(self, reason: str) -> LiquidationReport:
        """Halt entries, cancel those that are open and begin to sell every position.

        One that is under way is told instead. A core that dies meanwhile goes on with it.

        Raises StoreError: nothing is sold, because no order leaves before it is written down.
        """
        parts = self._parts()
        running = parts.liquidator.report
        if running is not None and parts.liquidator.is_running:
            return running
        try:
            await self.stop(ENTRIES, reason)
            await self.stop(LIQUIDATION, reason)
        except StoreError as error:
            raise StoreError(
                "nothing is sold, and stops stay: no order leaves before it is written down; "
                f"{error}"
            ) from error
        return self._begin_liquidation(reason)

    def resume_liquidation(self) -> None:
        """Go on with one that the last core did not end."""
        unfinished = self._parts().controls.now.get(LIQUIDATION)
        if unfinished is not None:
            self._begin_liquidation(unfinished.reason)

    async def liquidation(self) -> LiquidationReport | None:
        """The current or latest one of this core."""
        return self._parts().liquidator.report

    def _begin_liquidation(self, reason: str) -> LiquidationReport:
        parts = self._parts()
        report = parts.liquidator.begin(reason)
        parts.jobs.start("liquidate", self._liquidate, again=False)
        return report

    async def _liquidate(self) -> None:
        parts = self._parts()
        report = await parts.liquidator.run()
        cost = f"{report.slippage_cost:.2f}"
        self._around.bus.publish(LiquidationEnded(report))
        parts.controls.lift(
            LIQUIDATION,
            f"{report.status}, slippage {cost} {self._around.quote_asset}",
            self._around.clock.now_ms(),
            actor=Actor.SYSTEM.value,
        )

    async def lift(self, name: str, reason: str) -> bool:
        """Take a control out of force; False when it was not in force. Raises StoreError."""
        return self._parts().controls.lift(
            name, reason, self._around.clock.now_ms(), actor=Actor.OPERATOR.value
        )
