"""``TradingClient`` over the control API's Unix socket."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from pydantic import BaseModel, TypeAdapter

from trading.api.errors_on_the_wire import from_wire
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
from trading.errors import ControlApiError, CoreNotRunningError, CoreTimeoutError
from trading.model.breaker import BreakerSnapshot
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
from trading.risk.shared_record import SharedRecordReader

T = TypeVar("T")


class HttpTradingClient:
    """Typed calls to a running core. Safe to use from several threads.

    With ``record_path`` the breaker is read from the core's shared-memory record (stale reads as
    TRIGGERED); without it, over the socket.
    """

    def __init__(
        self,
        socket_path: Path,
        record_path: Path | None = None,
        *,
        timeout_s: float = 10.0,
        stale_after_ms: int = 1_000,
    ) -> None:
        self._socket_path = socket_path
        self._timeout_s = timeout_s
        self._record = (
            SharedRecordReader(record_path, stale_after_ms=stale_after_ms) if record_path else None
        )
        self._http = httpx.Client(
            # Idle connections are given up before the server's own 5 s: one that it is just closing
            # would fail a request that may not be repeated.
            transport=httpx.HTTPTransport(
                uds=str(socket_path),
                limits=httpx.Limits(keepalive_expiry=2.0),
                verify=False,  # no TLS here; to read the root certificates would cost 20 ms
            ),
            base_url="http://core",
            timeout=timeout_s,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()
        if self._record:
            self._record.close()

    def breaker_snapshot(self) -> BreakerSnapshot:
        if self._record is None:
            return self.breaker().snapshot
        return self._record.read()

    def now_ms(self) -> int:
        recorded = self._record.now_ms() if self._record is not None else None
        return self.status().time_ms if recorded is None else recorded

    def status(self) -> CoreStatus:
        return self._get("/v1/status", CoreStatus)

    def controls(self) -> Controls:
        return self._get("/v1/controls", Controls)

    def breaker(self) -> BreakerView:
        return self._get("/v1/breaker", BreakerView)

    def trip(self, command: TripCommand) -> CommandResult:
        return self._post("/v1/breaker/trip", CommandResult, command)

    def warn(self, command: WarnCommand) -> CommandResult:
        return self._post("/v1/breaker/warn", CommandResult, command)

    def recover(self, command: RecoverCommand) -> CommandResult:
        return self._post("/v1/breaker/recover", CommandResult, command)

    def clear(self, command: ClearCommand) -> CommandResult:
        return self._post("/v1/breaker/clear", CommandResult, command)

    def breaker_statistics(self) -> BreakerStatistics:
        return self._get("/v1/breaker/statistics", BreakerStatistics)

    def recovery_conditions(self) -> RecoveryConditions:
        return self._get("/v1/breaker/recovery-conditions", RecoveryConditions)

    def market(self) -> MarketSnapshot:
        return self._get("/v1/market", MarketSnapshot)

    def symbol_stats(self, symbol: str) -> SymbolStats:
        return self._get(f"/v1/market/{symbol}", SymbolStats)

    def bars(self, symbol: str, limit: int) -> tuple[Bar, ...]:
        return self._get(f"/v1/market/{symbol}/bars", tuple[Bar, ...], limit=limit)

    def history(self, symbols: tuple[str, ...], limit: int) -> dict[str, tuple[Bar, ...]]:
        return self._get("/v1/history", dict[str, tuple[Bar, ...]], symbols=symbols, limit=limit)

    def futures(self, symbol: str) -> FuturesView:
        return self._get(f"/v1/market/{symbol}/futures", FuturesView)

    def liquidations(self) -> LiquidationsView:
        return self._get("/v1/liquidations", LiquidationsView)

    def pump(self, symbol: str) -> PumpView:
        return self._get(f"/v1/market/{symbol}/pump", PumpView)

    def past_spikes(self, pattern: SpikePattern) -> PastSpikes:
        return self._post("/v1/spikes/similar", PastSpikes, pattern)

    def news(self, symbol: str, kind: NewsKind, hours: float, limit: int) -> NewsView:
        return self._get(
            f"/v1/market/{symbol}/news", NewsView, kind=kind.value, hours=hours, limit=limit
        )

    def transfers(self, asset: str, hours: float) -> TransfersView:
        return self._get(f"/v1/transfers/{asset}", TransfersView, hours=hours)

    def record_news(self, batch: NewsBatch) -> int:
        return self._post("/v1/news", dict[str, int], batch)["new"]

    def order_book(self, symbol: str, depth: int) -> Book:
        return self._get(f"/v1/market/{symbol}/book", Book, depth=depth)

    def portfolio(self) -> Portfolio:
        return self._get("/v1/portfolio", Portfolio)

    def preview_trade(self, proposal: TradeProposal) -> RiskPreview:
        return self._post("/v1/trades/preview", RiskPreview, proposal)

    def propose_trade(self, proposal: TradeProposal) -> ProposalResult:
        return self._post("/v1/trades", ProposalResult, proposal)

    def cancel_order(self, client_order_id: str, reason: str) -> OrderReport:
        path = f"/v1/orders/{client_order_id}/cancel"
        return self._post(path, OrderReport, {"reason": reason})

    def close_position(self, symbol: str, reason: str) -> ProposalResult:
        return self._post(f"/v1/positions/{symbol}/close", ProposalResult, {"reason": reason})

    def claim_spike(self, worker: str, timeout_s: float) -> SpikeClaim | None:
        answer = self._send(
            "POST",
            "/v1/spikes/claim",
            params={"worker": worker, "timeout_s": timeout_s},
            timeout_s=timeout_s + self._timeout_s,
        )
        claim: SpikeClaim | None = _decode(SpikeClaim | None, answer)
        return claim

    def finish_spike_run(self, report: SpikeRunReport) -> None:
        self._send("POST", "/v1/spikes/finish", body=report)

    def record_decision(self, decision: AgentDecision) -> int:
        answer = self._post("/v1/decisions", dict[str, int], decision)
        return answer["id"]

    def record_tool_execution(self, execution: ToolExecution) -> None:
        self._send("POST", "/v1/tool-executions", body=execution)

    def trade_to_review(self) -> TradeToReview | None:
        trade: TradeToReview | None = _decode(
            TradeToReview | None, self._send("GET", "/v1/trades/review")
        )
        return trade

    def finish_review(self, review: TradeReview) -> None:
        self._send("POST", "/v1/trades/review", body=review)

    def desk_subject(self, query: DeskQuery) -> DeskSubject | None:
        subject: DeskSubject | None = _decode(
            DeskSubject | None, self._send("POST", "/v1/desk/next", body=query)
        )
        return subject

    def record_desk_note(self, note: DeskNote) -> int:
        return self._post("/v1/desk/notes", dict[str, int], note)["id"]

    def model_usage(self) -> ModelUsage:
        return self._get("/v1/models/usage", ModelUsage)

    def record_model_call(self, call: ModelCall) -> ModelUsage:
        return self._post("/v1/models/calls", ModelUsage, call)

    def record_activity(self, entry: ActivityEntry) -> None:
        self._send("POST", "/v1/activity", body=entry)

    def worker_heartbeat(self, worker: str, detail: str) -> None:
        self._send("POST", "/v1/workers/heartbeat", body={"worker": worker, "detail": detail})

    def _get(self, path: str, kind: type[T], /, **params: float | str | tuple[str, ...]) -> T:
        answer: T = _decode(kind, self._send("GET", path, params=params))
        return answer

    def _post(self, path: str, kind: type[T], body: BaseModel | dict[str, Any]) -> T:
        answer: T = _decode(kind, self._send("POST", path, body=body))
        return answer

    def _send(
        self,
        method: str,
        path: str,
        *,
        body: BaseModel | dict[str, Any] | None = None,
        params: dict[str, Any] | None = None,
        timeout_s: float | None = None,
    ) -> bytes:
        content = body.model_dump_json().encode() if isinstance(body, BaseModel) else None
        try:
            response = self._http.request(
                method,
                path,
                params=params,
                content=content,
                json=body if isinstance(body, dict) else None,
                headers={"content-type": "application/json"} if content else None,
                timeout=timeout_s or self._timeout_s,
            )
        except httpx.TimeoutException as error:
            raise CoreTimeoutError(
                f"the core did not answer {path} within {timeout_s or self._timeout_s:g} s"
            ) from error
        except httpx.TransportError as error:
            raise CoreNotRunningError(
                f"no core answers at {self._socket_path} ({error}); "
                + (
                    "be the user whom the core runs as"
                    if "Permission denied" in str(error)
                    else "start one with `python -m crews.run live`"
                )
            ) from error
        if response.is_success:
            return response.content
        raise from_wire(response.status_code, _body_of(response))


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _decode(kind: Any, content: bytes) -> Any:
    """``content`` as a ``kind``. Raises ControlApiError when it is none."""
    try:
        return _adapter(kind).validate_json(content)
    except ValueError as error:
        raise ControlApiError(f"the core's answer is not understood: {error}") from error


def _body_of(response: httpx.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {"message": response.text[:200]}
    if isinstance(body, dict) and "detail" in body:  # FastAPI's own validation errors
        return {"error": "ControlApiError", "message": f"request refused: {body['detail']}"}
    return body if isinstance(body, dict) else {"message": str(body)}
