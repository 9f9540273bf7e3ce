"""The control API: HTTP routes over a ``CoreService``.

``Role.WORKER`` is what crew workers connect to. Whatever actor a worker's command names, there it
counts as a model's, so that no prompt can turn a model into an operator.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated

from fastapi import FastAPI, Path, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from trading.api.body_limit import BodyLimit
from trading.api.config import ApiConfig
from trading.api.errors_on_the_wire import to_wire
from trading.api.operator_routes import add_operator_routes
from trading.api.schemas import (
    ActivityEntry,
    BreakerStatistics,
    BreakerView,
    ClearCommand,
    CommandResult,
    CoreStatus,
    Portfolio,
    RecoverCommand,
    RecoveryConditions,
    SpikeClaim,
    TripCommand,
    WarnCommand,
)
from trading.api.service import CoreService
from trading.errors import SpikeguardError
from trading.model.base import SymbolName
from trading.model.breaker import Actor
from trading.model.decision import (
    AgentDecision,
    ProposalResult,
    RiskPreview,
    SpikeRunReport,
    ToolExecution,
    TradeProposal,
)
from trading.model.derivatives import FuturesView, LiquidationsView
from trading.model.desk import DeskNote, DeskQuery, DeskSubject
from trading.model.history import PastSpikes, SpikePattern
from trading.model.market import Bar, Book
from trading.model.metrics import MarketSnapshot, PumpView, SymbolStats
from trading.model.model_call import ModelCall, ModelUsage
from trading.model.news import NewsBatch, NewsKind, NewsView, TransfersView
from trading.model.operations import Controls
from trading.model.order import OrderReport
from trading.model.review import TradeReview, TradeToReview

ActorOf = Callable[[Actor], Actor]


class Role(StrEnum):
    OPERATOR = "operator"
    WORKER = "worker"


class Reason(BaseModel):
    reason: str


class RecordId(BaseModel):
    id: int


class NewArticles(BaseModel):
    new: int


class Heartbeat(BaseModel):
    worker: str
    detail: str = ""


def create_app(service: CoreService, role: Role, config: ApiConfig) -> FastAPI:
    """The application for one role. It holds no state of its own."""
    app = FastAPI(title="spikeguard control API", version="1", docs_url=None, redoc_url=None)
    app.add_middleware(BodyLimit)

    @app.exception_handler(SpikeguardError)
    async def refuse(_: Request, error: SpikeguardError) -> JSONResponse:
        status, body = to_wire(error)
        return JSONResponse(body, status_code=status)

    def actor_of(claimed: Actor) -> Actor:
        return Actor.LLM if role is Role.WORKER else claimed

    def shown() -> None:
        if role is Role.OPERATOR:
            service.halt_shown()

    _add_breaker_routes(app, service, actor_of, shown)
    _add_market_routes(app, service)
    _add_trading_routes(app, service)
    _add_worker_routes(app, service, config)
    if role is Role.OPERATOR:
        add_operator_routes(app, service)

    @app.get("/v1/controls")
    async def controls() -> Controls:
        return await service.controls()

    @app.get("/v1/status")
    async def status() -> CoreStatus:
        shown()
        return await service.status()

    return app


def _add_breaker_routes(
    app: FastAPI, service: CoreService, actor_of: ActorOf, shown: Callable[[], None]
) -> None:
    @app.get("/v1/breaker")
    async def breaker() -> BreakerView:
        shown()
        return await service.breaker()

    @app.get("/v1/breaker/statistics")
    async def statistics() -> BreakerStatistics:
        return await service.breaker_statistics()

    @app.get("/v1/breaker/recovery-conditions")
    async def recovery_conditions() -> RecoveryConditions:
        return await service.recovery_conditions()

    @app.post("/v1/breaker/trip")
    async def trip(command: TripCommand) -> CommandResult:
        return await service.trip(command.model_copy(update={"actor": actor_of(command.actor)}))

    @app.post("/v1/breaker/warn")
    async def warn(command: WarnCommand) -> CommandResult:
        return await service.warn(command.model_copy(update={"actor": actor_of(command.actor)}))

    @app.post("/v1/breaker/recover")
    async def recover(command: RecoverCommand) -> CommandResult:
        return await service.recover(command.model_copy(update={"actor": actor_of(command.actor)}))

    @app.post("/v1/breaker/clear")
    async def clear(command: ClearCommand) -> CommandResult:
        return await service.clear(command.model_copy(update={"actor": actor_of(command.actor)}))


def _add_market_routes(app: FastAPI, service: CoreService) -> None:
    @app.get("/v1/market")
    async def market() -> MarketSnapshot:
        return await service.market()

    @app.get("/v1/market/{symbol}")
    async def symbol_stats(symbol: SymbolName) -> SymbolStats:
        return await service.symbol_stats(symbol)

    @app.get("/v1/market/{symbol}/bars")
    async def bars(
        symbol: SymbolName, limit: Annotated[int, Query(ge=1, le=1000)] = 60
    ) -> tuple[Bar, ...]:
        return await service.bars(symbol, limit)

    @app.get("/v1/history")
    async def history(
        symbols: Annotated[tuple[SymbolName, ...], Query(min_length=1, max_length=50)],
        limit: Annotated[int, Query(ge=1, le=1000)] = 60,
    ) -> dict[str, tuple[Bar, ...]]:
        return await service.history(symbols, limit)

    @app.get("/v1/market/{symbol}/futures")
    async def futures(symbol: SymbolName) -> FuturesView:
        return await service.futures(symbol)

    @app.get("/v1/liquidations")
    async def liquidations() -> LiquidationsView:
        return await service.liquidations()

    @app.get("/v1/market/{symbol}/pump")
    async def pump(symbol: SymbolName) -> PumpView:
        return await service.pump(symbol)

    @app.post("/v1/spikes/similar")
    async def past_spikes(pattern: SpikePattern) -> PastSpikes:
        return await service.past_spikes(pattern)

    @app.get("/v1/market/{symbol}/news")
    async def news(
        symbol: SymbolName,
        kind: NewsKind = NewsKind.NEWS,
        hours: Annotated[float, Query(gt=0, le=48)] = 6,
        limit: Annotated[int, Query(ge=1, le=100)] = 10,
    ) -> NewsView:
        return await service.news(symbol, kind, hours, limit)

    @app.get("/v1/transfers/{asset}")
    async def transfers(
        asset: Annotated[str, Path(pattern=r"^[A-Z0-9]{1,15}$")],
        hours: Annotated[float, Query(gt=0, le=48)] = 6,
    ) -> TransfersView:
        return await service.transfers(asset, hours)

    @app.get("/v1/market/{symbol}/book")
    async def book(symbol: SymbolName, depth: Annotated[int, Query(ge=1, le=100)] = 20) -> Book:
        return await service.order_book(symbol, depth)


def _add_trading_routes(app: FastAPI, service: CoreService) -> None:
    @app.get("/v1/portfolio")
    async def portfolio() -> Portfolio:
        return await service.portfolio()

    @app.post("/v1/trades/preview")
    async def preview_trade(proposal: TradeProposal) -> RiskPreview:
        return await service.preview_trade(proposal)

    @app.post("/v1/trades")
    async def propose_trade(proposal: TradeProposal) -> ProposalResult:
        return await service.propose_trade(proposal)

    @app.post("/v1/orders/{client_order_id}/cancel")
    async def cancel_order(client_order_id: str, body: Reason) -> OrderReport:
        return await service.cancel_order(client_order_id, body.reason)

    @app.post("/v1/positions/{symbol}/close")
    async def close_position(symbol: SymbolName, body: Reason) -> ProposalResult:
        return await service.close_position(symbol, body.reason)


def _add_worker_routes(app: FastAPI, service: CoreService, config: ApiConfig) -> None:
    @app.post("/v1/spikes/claim")
    async def claim_spike(
        worker: str, timeout_s: Annotated[float, Query(ge=0)] = 0.0
    ) -> SpikeClaim | None:
        return await service.claim_spike(worker, min(timeout_s, config.long_poll_max_s))

    @app.post("/v1/spikes/finish", status_code=204)
    async def finish_spike_run(report: SpikeRunReport) -> None:
        await service.finish_spike_run(report)

    @app.post("/v1/decisions")
    async def record_decision(decision: AgentDecision) -> RecordId:
        return RecordId(id=await service.record_decision(decision))

    @app.post("/v1/news")
    async def record_news(batch: NewsBatch) -> NewArticles:
        return NewArticles(new=await service.record_news(batch))

    @app.post("/v1/tool-executions", status_code=204)
    async def record_tool_execution(execution: ToolExecution) -> None:
        await service.record_tool_execution(execution)

    @app.get("/v1/trades/review")
    async def trade_to_review() -> TradeToReview | None:
        return await service.trade_to_review()

    @app.post("/v1/trades/review", status_code=204)
    async def finish_review(review: TradeReview) -> None:
        await service.finish_review(review)

    @app.post("/v1/desk/next")
    async def desk_subject(query: DeskQuery) -> DeskSubject | None:
        return await service.desk_subject(query)

    @app.post("/v1/desk/notes")
    async def record_desk_note(note: DeskNote) -> RecordId:
        return RecordId(id=await service.record_desk_note(note))

    @app.get("/v1/models/usage")
    async def model_usage() -> ModelUsage:
        return await service.model_usage()

    @app.post("/v1/models/calls")
    async def record_model_call(call: ModelCall) -> ModelUsage:
        return await service.record_model_call(call)

    @app.post("/v1/activity", status_code=204)
    async def record_activity(entry: ActivityEntry) -> None:
        await service.record_activity(entry)

    @app.post("/v1/workers/heartbeat", status_code=204)
    async def worker_heartbeat(body: Heartbeat) -> None:
        await service.worker_heartbeat(body.worker, body.detail)
