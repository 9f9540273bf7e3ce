"""What the two sockets of the control API make of the same request."""

from __future__ import annotations

from typing import Any, cast

import httpx
import pytest

from trading.api.app import Role, create_app
from trading.api.config import ApiConfig
from trading.api.schemas import BreakerView, CommandResult, TripCommand
from trading.api.service import CoreService
from trading.model.breaker import Actor, BreakerSnapshot, BreakerStatus

SNAPSHOT = BreakerSnapshot(
    status=BreakerStatus.TRIGGERED, epoch=1, changed_at_ms=0, size_multiplier=0.0
)


class Service:
    """Remembers who tripped, and how often the halt was shown to an operator."""

    def __init__(self) -> None:
        self.shown = 0
        self.actors: list[Actor] = []

    def halt_shown(self) -> None:
        self.shown += 1

    async def breaker(self) -> BreakerView:
        return BreakerView(snapshot=SNAPSHOT)

    async def trip(self, command: TripCommand) -> CommandResult:
        self.actors.append(command.actor)
        return CommandResult(applied=True, message="", snapshot=SNAPSHOT)


async def ask(service: Service, role: Role, method: str, path: str, body: Any = None) -> None:
    app = create_app(cast(CoreService, service), role, ApiConfig())
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://core"
    ) as client:
        (await client.request(method, path, json=body)).raise_for_status()


@pytest.mark.parametrize(("role", "shown"), [(Role.OPERATOR, 1), (Role.WORKER, 0)])
async def test_only_the_operators_socket_shows_a_halt_to_a_person(role: Role, shown: int) -> None:
    service = Service()
    await ask(service, role, "GET", "/v1/breaker")
    assert service.shown == shown


@pytest.mark.parametrize(
    ("role", "actor"), [(Role.OPERATOR, Actor.OPERATOR), (Role.WORKER, Actor.LLM)]
)
async def test_whoever_a_worker_claims_to_be_counts_as_a_model(role: Role, actor: Actor) -> None:
    service = Service()
    await ask(service, role, "POST", "/v1/breaker/trip", {"reason": "x", "actor": "operator"})
    assert service.actors == [actor]
