"""A ``TradingClient`` without a core: a calm market, one rising alt, and a list of every call."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from memory_records import MemoryRecords

from trading.api.schemas import (
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
from trading.errors import IllegalTransitionError, MarketDataError
from trading.model.breaker import BreakerSnapshot, BreakerStatus
from trading.model.decision import (
    ProposalOutcome,
    ProposalResult,
    RiskPreview,
    SpikeRunReport,
    TradeProposal,
)
from trading.model.derivatives import FuturesView, LiquidationsView
from trading.model.history import PastSpike, PastSpikes, SpikePattern
from trading.model.market import Bar, Book, BookLevel
from trading.model.metrics import MarketSnapshot, Metric, PumpView, SymbolStats, WindowStats
from trading.model.news import NOT_CONFIGURED, NewsBatch, NewsKind, NewsView, TransfersView
from trading.model.operations import Controls
from trading.model.order import OrderReport, OrderStatus, OrderType, Position, Side
from trading.model.spike import Spike, SpikeDirection, SpikeType

START_MS = 1_700_000_000_000
SYMBOL = "SOLUSDT"


def make_snapshot(status: str = "SAFE", epoch: int = 0, **fields: Any) -> BreakerSnapshot:
    multiplier = {"SAFE": 1.0, "WARNING": 0.5, "TRIGGERED": 0.0, "RECOVERING": 0.25}[status]
    return BreakerSnapshot(
        status=BreakerStatus(status),
        epoch=epoch,
        changed_at_ms=START_MS,
        **{"size_multiplier": multiplier, **fields},
    )


def make_spike(**fields: Any) -> Spike:
    values: dict[str, Any] = {
        "id": f"spk-{SYMBOL}-{START_MS}-up-price",
        "symbol": SYMBOL,
        "type": SpikeType.PRICE,
        "direction": SpikeDirection.UP,
        "detected_at_ms": START_MS,
        "magnitude_pct": 4.2,
        "timeframe_minutes": 5,
        "volume_multiple": 6.0,
        "z_score": 5.0,
        "price_from": 100.0,
        "price_to": 104.2,
        "confidence": 0.85,
        "detection_latency_ms": 0.4,
    }
    return Spike(**{**values, **fields})


def make_claim(spike: Spike | None = None, *, epoch: int = 0, run_ms: int = 45_000) -> SpikeClaim:
    spike = spike or make_spike()
    return SpikeClaim(
        spike=spike, deadline_ms=START_MS + run_ms, epoch=epoch, now_ms=spike.detected_at_ms
    )


class MemoryTradingClient(MemoryRecords):
    """The attributes are what the core would know."""

    def __init__(self) -> None:
        super().__init__()
        self.snapshot = make_snapshot()
        self.time_ms = START_MS
        self.market_share = 0.1
        self.healthy = True
        self.returns = {SYMBOL: 4.2, "BTCUSDT": 0.1}
        self.recovery_met = False
        self.proposal_outcome = ProposalOutcome.ACCEPTED
        self.refuse_preview = False
        self.last_price: float | None = None  # None: as the returns have it
        self.ask_depth = Decimal(1000)
        self.pump_likelihood: float | None = 0.1
        self.pump_features: dict[str, float] = {}
        self.past: tuple[PastSpike, ...] = ()
        self.news_views: dict[NewsKind, NewsView] = {}
        self.batches: list[NewsBatch] = []
        self.positions: tuple[Position, ...] = ()
        self.proposals: list[TradeProposal] = []
        self.reports: list[SpikeRunReport] = []
        self.claims: list[SpikeClaim] = []
        self.stopped = Controls()

    def breaker_snapshot(self) -> BreakerSnapshot:
        self._note("breaker_snapshot")
        return self.snapshot

    def now_ms(self) -> int:
        return self.time_ms

    def controls(self) -> Controls:
        return self.stopped

    def status(self) -> CoreStatus:
        raise NotImplementedError

    def breaker(self) -> BreakerView:
        self._note("breaker")
        return BreakerView(snapshot=self.snapshot)

    def trip(self, command: TripCommand) -> CommandResult:
        self._note("trip", command)
        self.snapshot = make_snapshot(
            "TRIGGERED", self.snapshot.epoch + 1, reason=command.reason, actor=command.actor
        )
        return CommandResult(applied=True, message="tripped", snapshot=self.snapshot)

    def warn(self, command: WarnCommand) -> CommandResult:
        self._note("warn", command)
        self.snapshot = make_snapshot("WARNING", self.snapshot.epoch)
        return CommandResult(applied=True, message="warned", snapshot=self.snapshot)

    def recover(self, command: RecoverCommand) -> CommandResult:
        self._note("recover", command)
        raise IllegalTransitionError("a model never eases")

    def clear(self, command: ClearCommand) -> CommandResult:
        self._note("clear", command)
        raise IllegalTransitionError("a model never eases")

    def breaker_statistics(self) -> BreakerStatistics:
        self._note("breaker_statistics")
        return BreakerStatistics(
            trips=1,
            false_trips=0,
            trips_24h=1,
            total_downtime_seconds=900.0,
            total_capital_saved=Decimal("12.5"),
            last_trip_at_ms=START_MS,
            last_trip_reason="test",
        )

    def recovery_conditions(self) -> RecoveryConditions:
        self._note("recovery_conditions")
        return RecoveryConditions(
            met=self.recovery_met,
            conditions={"no_further_fall": self.recovery_met},
            explanations={"no_further_fall": "fell 1.0 % in 30 min, 5 allowed"},
            cooldown_remaining_s=0.0 if self.recovery_met else 300.0,
        )

    def market(self) -> MarketSnapshot:
        self._note("market")
        share = self.market_share
        return MarketSnapshot(
            time_ms=self.time_ms,
            metrics=(
                Metric(name="btc_drawdown_1h", value=15.0 * share, hard_limit=15.0, soft_limit=9.0),
                Metric(
                    name="eth_drawdown_1h",
                    value=1.0 * share,
                    hard_limit=15.0,
                    soft_limit=9.0,
                    ready=False,
                ),
            ),
            prices={SYMBOL: 104.2, "BTCUSDT": 40_000.0},
            breadth_falling=0,
            breadth_tracked=12,
            feed_age_ms=50,
            healthy=self.healthy,
            problem="" if self.healthy else "stale",
        )

    def symbol_stats(self, symbol: str) -> SymbolStats:
        self._note("symbol_stats", symbol)
        if symbol not in self.returns:
            raise MarketDataError(f"no data of {symbol}")
        move = self.returns[symbol]
        windows = {
            name: WindowStats(
                window=name,
                ready=True,
                high=100 + max(move, 0),
                low=100 + min(move, 0),
                last=100 + move,
                return_pct=move,
                drawdown_pct=0.0 if move > 0 else -move,
                volatility_pct=0.2,
                z_score=4.0,
                volume=1000.0,
                volume_multiple=6.0,
            )
            for name in ("1m", "5m", "15m", "1h", "4h")
        }
        return SymbolStats(
            symbol=symbol,
            time_ms=self.time_ms,
            last_price=self.last_price or 100 + move,
            windows=windows,
        )

    def bars(self, symbol: str, limit: int) -> tuple[Bar, ...]:
        self._note("bars", symbol)
        return self._bars(symbol, limit)

    def _bars(self, symbol: str, limit: int) -> tuple[Bar, ...]:
        start = self.time_ms - limit * 60_000
        phase = 1 if symbol == "BTCUSDT" else 2
        bars = []
        for index in range(limit):
            open_, close = 100 + (index * phase) % 5 / 10, 100 + ((index + 1) * phase) % 5 / 10
            bars.append(
                Bar(
                    symbol,
                    start + index * 60_000,
                    60_000,
                    open_,
                    max(open_, close),
                    min(open_, close),
                    close,
                    10.0,
                )
            )
        return tuple(bars)

    def history(self, symbols: tuple[str, ...], limit: int) -> dict[str, tuple[Bar, ...]]:
        self._note("history", symbols)
        return {symbol: self._bars(symbol, limit) for symbol in symbols}

    def futures(self, symbol: str) -> FuturesView:
        self._note("futures", symbol)
        return FuturesView(symbol=symbol, time_ms=self.time_ms, problem="no futures stream")

    def liquidations(self) -> LiquidationsView:
        self._note("liquidations")
        return LiquidationsView(time_ms=self.time_ms, total_1h_usd=2.5e6, limit_1h_usd=5e8)

    def pump(self, symbol: str) -> PumpView:
        self._note("pump", symbol)
        return PumpView(
            symbol=symbol,
            time_ms=self.time_ms,
            rise_15m_pct=4.2,
            likelihood=self.pump_likelihood,
            features=self.pump_features,
        )

    def past_spikes(self, pattern: SpikePattern) -> PastSpikes:
        self._note("past_spikes", pattern)
        return PastSpikes(compared=len(self.past), spikes=self.past[: pattern.limit])

    def news(self, symbol: str, kind: NewsKind, hours: float, limit: int) -> NewsView:
        self._note("news", (symbol, kind))
        view = self.news_views.get(kind)
        empty = NewsView(symbol=symbol, kind=kind, time_ms=self.time_ms, problem=NOT_CONFIGURED)
        return empty if view is None else view.model_copy(update={"symbol": symbol})

    def transfers(self, asset: str, hours: float) -> TransfersView:
        self._note("transfers", asset)
        return TransfersView(asset=asset, time_ms=self.time_ms, hours=hours, problem=NOT_CONFIGURED)

    def record_news(self, batch: NewsBatch) -> int:
        self._note("record_news", batch)
        self.batches.append(batch)
        return len(batch.articles)

    def order_book(self, symbol: str, depth: int) -> Book:
        self._note("order_book", symbol)
        return Book(
            symbol=symbol,
            time_ms=self.time_ms,
            bids=(BookLevel(price=Decimal("104.19"), quantity=self.ask_depth),),
            asks=(BookLevel(price=Decimal("104.21"), quantity=self.ask_depth),),
        )

    def portfolio(self) -> Portfolio:
        self._note("portfolio")
        return Portfolio(
            quote_asset="USDT",
            equity=Decimal(10_000),
            free=Decimal(10_000),
            balances=(),
            positions=self.positions,
            open_orders=(),
            reserved_exposure=Decimal(0),
            exposure=Decimal(0),
            realized_pnl=Decimal(0),
            unrealized_pnl=Decimal(0),
            prices={SYMBOL: Decimal("104.2")},
        )

    def preview_trade(self, proposal: TradeProposal) -> RiskPreview:
        self._note("preview_trade", proposal)
        multiplier = self.snapshot.size_multiplier
        by_risk = Decimal(10_000) / Decimal(str(proposal.stop_loss_pct))
        notional = min(by_risk, Decimal(2000), proposal.notional) * Decimal(str(multiplier))
        return RiskPreview(
            approved=not self.refuse_preview,
            rule="max_portfolio_exposure_pct" if self.refuse_preview else None,
            reason="too much" if self.refuse_preview else "",
            notional=Decimal(0) if self.refuse_preview else notional,
            quantity=notional / 104,
            size_multiplier=multiplier,
            risk_amount=notional * Decimal(str(proposal.stop_loss_pct)) / 100,
            equity=Decimal(10_000),
            exposure=Decimal(0),
            max_exposure=Decimal(6000),
        )

    def propose_trade(self, proposal: TradeProposal) -> ProposalResult:
        self._note("propose_trade", proposal)
        with self._lock:
            self.proposals.append(proposal)
        refused = self.proposal_outcome is ProposalOutcome.REFUSED
        return ProposalResult(
            outcome=self.proposal_outcome,
            client_order_id=None if refused else f"sg-{len(self.proposals)}",
            rule="min_notional" if refused else None,
            reason="too small" if refused else "",
            notional_approved=proposal.notional,
        )

    def cancel_order(self, client_order_id: str, reason: str) -> OrderReport:
        self._note("cancel_order", client_order_id)
        return OrderReport(
            client_order_id=client_order_id,
            venue_order_id="1",
            symbol=SYMBOL,
            side=Side.BUY,
            type=OrderType.LIMIT,
            status=OrderStatus.CANCELED,
            quantity=Decimal(1),
            time_ms=self.time_ms,
        )

    def close_position(self, symbol: str, reason: str) -> ProposalResult:
        self._note("close_position", symbol)
        return ProposalResult(outcome=ProposalOutcome.ACCEPTED, client_order_id="sg-x")

    def claim_spike(self, worker: str, timeout_s: float) -> SpikeClaim | None:
        self._note("claim_spike", worker)
        with self._lock:
            return self.claims.pop(0) if self.claims else None

    def finish_spike_run(self, report: SpikeRunReport) -> None:
        self._note("finish_spike_run", report)
        self.reports.append(report)
