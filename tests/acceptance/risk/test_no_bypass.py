"""Fuzzed proposals through the whole order path: no entry at the exchange breaks a limit.

Whatever is proposed, in whatever state account, market and breaker are: what arrives at the
exchange is judged by ``risk_checker``, which shares no code with the risk engine. The same walk
must find every rule of the engine that is taken out.
"""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from order_path import OrderPath
from proofs import FULL, Held, record, rounds
from risk_checker import Checker, Seen

from trading.errors import ExchangeConnectionError
from trading.execution import entry_sizing, foundation
from trading.execution.config import ExecutionConfig
from trading.execution.gate import Gate
from trading.execution.journal import Journal
from trading.model.breaker import Actor
from trading.model.decision import TradeProposal
from trading.model.market import Book, BookLevel
from trading.model.order import OrderType, Side
from trading.risk.decision_validation import validate_proposal
from trading.risk.entry_facts import MarketConditions
from trading.risk.entry_rules import ENTRY_RULES
from trading.risk.limits import RiskLimits
from trading.risk.proposal_rules import PROPOSAL_RULES
from trading.risk.risk_config import RiskConfig
from trading.storage.database import open_database

COINS = ("BTC", "ETH", "SOL", "XRP", "ADA", "DOT", "LTC", "LINK")
PRICES = {f"{coin}USDT": 100.0 for coin in COINS}
SECTORS = {"one": ("BTCUSDT", "ETHUSDT", "SOLUSDT"), "two": ("XRPUSDT", "ADAUSDT")}
BLOCKED, NOT_ALLOWED = "LTCUSDT", "LINKUSDT"
CONFIG = RiskConfig(
    risk_per_trade_pct=1.0,
    max_position_pct=20.0,
    symbol_limits_pct={"DOTUSDT": 5.0},
    sectors=SECTORS,
    max_sector_exposure_pct=35.0,
    max_correlated_exposure_pct=30.0,
    max_portfolio_exposure_pct=50.0,
    max_concurrent_positions=4,
    max_daily_loss_pct=3.0,
    max_weekly_loss_pct=5.0,
    max_drawdown_pct=7.0,
    max_losing_streak=3,
    max_orders_per_minute=6,
    max_orders_per_hour=15,
    max_symbol_entries_per_hour=3,
    max_proposals_per_minute=10_000,
    cash_reserve_pct=60.0,
    allowed_symbols=tuple(symbol for symbol in PRICES if symbol not in (BLOCKED, NOT_ALLOWED)),
    blocked_symbols=(BLOCKED,),
)
LIMITS: dict[str, Any] = CONFIG.model_dump() | {
    "blocked": {BLOCKED},
    "allowed": set(CONFIG.allowed_symbols),
}


class Walk(OrderPath):
    """A trader, a market and a proposer, all of them out of their minds."""

    def __init__(self, directory: Path, seed: str) -> None:
        directory.mkdir()
        super().__init__(
            directory,
            risk=CONFIG,
            prices=PRICES,
            execution=ExecutionConfig(reconcile_interval_ms=3_600_000),
        )
        self.dice = random.Random(seed)
        self.conditions = self._conditions_now
        self.client.order_book = self._book
        self.market: dict[str, Any] = {}
        self.book: Book | None = None
        self.spikes: dict[str, tuple[str, int, Decimal, Decimal]] = {}
        self.checker = Checker(
            LIMITS, {symbol: name for name, members in SECTORS.items() for symbol in members}
        )
        self.entries = 0
        self.refusals: Counter[str | None] = Counter()
        self.violations: Counter[str] = Counter()
        self._records: sqlite3.Connection | None = None

    def database(self) -> sqlite3.Connection:
        """Spikes need not survive a loss of power."""
        if self._records is None:
            self._records = open_database(self.storage, durable=False, check=False)
        return self._records

    async def _conditions_now(self, symbol: str, others: Any) -> MarketConditions:
        return MarketConditions(symbol, **self.market)

    async def _book(self, symbol: str, depth: int) -> Book:
        if self.book is None:
            raise ExchangeConnectionError("no book")
        return self.book

    async def one_order(self, number: int) -> None:
        """Something happens, then something is proposed."""
        await self._happen()
        proposal = self._proposal(number)
        seen = self._seen()
        sent = len(self.client.submitted)
        result = await self.service.propose(proposal)
        self.refusals[result.rule] += 1
        for request in self.client.submitted[sent:]:
            if request.purpose.increases_risk:
                self.entries += 1
                self.violations.update(self.checker.violations(proposal, request, seen))
        approved, out = self.service._parts.limits.approvals.totals
        self.violations["more sent than approved"] += out > approved
        self._observe()

    async def _happen(self) -> None:
        dice = self.dice
        symbol = dice.choice(list(PRICES))
        if dice.random() < 0.5:
            change = dice.choice([dice.uniform(-0.01, 0.01), dice.uniform(-0.06, 0.05)])
            price = min(max(self.prices[symbol] * (1 + change), 50), 200)
            await self.tick(symbol, round(price, 2), after_ms=dice.choice([100, 3_000, 30_000]))
        if dice.random() < 0.15:
            await self.service.close_position(symbol, "fuzz")
        if dice.random() < 0.02:
            self.breaker.trigger("fuzz", actor=Actor.RULE, rule="fuzz")
        if self.breaker.snapshot.status == "SAFE" and dice.random() < 0.03:
            self.breaker.set_warning("fuzz", actor=Actor.RULE)
        if self.breaker.snapshot.status != "SAFE" and dice.random() < 0.3:
            self.breaker.clear(
                actor=Actor.OPERATOR, reason="fuzz", epoch=self.breaker.snapshot.epoch, force=True
            )
            self.checker.forgive(self._seen().equity)
        if dice.random() < 0.04:
            await self.advance(dice.choice([600_000, 4_000_000, 90_000_000]))
        await self.advance(dice.choice([10, 500, 20_000]))
        self.fresh = dice.random() > 0.04
        self.market = {
            "volatility_pct": dice.choice([0.1, 0.5, 1.9, 2.5, None, 0.3, 0.2]),
            "quote_volume_1h": dice.choice([1e9, 1e9, 1e6, 20_000.0, 5_000.0, None, 1e8]),
            "correlations": {s: dice.choice([0.1, 0.5, 0.79, 0.85, None]) for s in PRICES},
        }
        self._observe()

    def _proposal(self, number: int) -> TradeProposal:
        dice = self.dice
        symbol = dice.choice(list(PRICES if dice.random() < 0.15 else CONFIG.allowed_symbols))
        spiked = symbol if dice.random() > 0.03 else dice.choice(list(PRICES))
        proposal = self.proposal(spiked, str(number))
        self._remember(spiked, proposal.spike_id)
        last = Decimal(str(self.prices[symbol]))
        self._make_book(symbol, last)
        limit = None
        if dice.random() < 0.4:
            limit = (
                last * Decimal(str(1 + dice.choice([0.003, -0.003, 0.001, 0.03, -0.03])))
            ).quantize(Decimal("0.01"))
        now_ms = self.clock.now_ms()
        wild = dice.random() < 0.35
        changes: dict[str, Any] = {
            "symbol": symbol,
            "notional": Decimal(round(10 ** dice.uniform(1, 4.2), 2)),
            "limit_price": limit,
            "stop_loss_pct": dice.choice([0.5, 1.0, 2.0, 5.0, 9.9]),
            "entry_type": dice.choice([OrderType.LIMIT, OrderType.MARKET, OrderType.LIMIT_MAKER]),
        }
        if wild:
            changes |= dice.choice(
                [
                    {"side": Side.SELL},
                    {"entry_type": OrderType.STOP_LOSS},
                    {"stop_loss_pct": dice.choice([0.1, 0.29, 10.1, 60.0, float("nan")])},
                    {"take_profit_pct": dice.choice([0.1, 0.29, float("inf")])},
                    {"confidence": dice.choice([0.1, 0.59, float("nan")])},
                    {"epoch": proposal.epoch + dice.choice([-1, 1])},
                    {"deadline_ms": now_ms + dice.choice([0, -1, 300_001, 10_000_000])},
                    {
                        "notional": dice.choice(
                            [Decimal(0), Decimal(-5), Decimal("NaN"), Decimal(10**9)]
                        )
                    },
                    {"spike_id": "nobody knows it"},
                    {
                        "limit_price": last
                        * dice.choice([Decimal("1.021"), Decimal("0.97"), Decimal("Infinity")])
                    },
                ]
            )
        return proposal.model_copy(update=changes)

    def _remember(self, symbol: str, spike_id: str) -> None:
        """Let the spike be old or resolved now and then."""
        age_ms = self.dice.choice([0, 0, 0, 0, 119_000, 121_000])
        rise = Decimal(str(self.dice.choice([1.02, 1.04, 1.04, 1.1])))
        row = (
            self.database()
            .execute(
                "SELECT timestamp_ms, price_from, price_to FROM spike_events WHERE id = ?",
                (spike_id,),
            )
            .fetchone()
        )
        at_ms, end = row[0] - age_ms, Decimal(row[2]) * self.dice.choice([1, 1, 1, rise])
        start = end / rise
        with self.database() as connection:
            connection.execute(
                "UPDATE spike_events SET timestamp_ms = ?, price_from = ?, price_to = ?"
                " WHERE id = ?",
                (at_ms, str(start), str(end), spike_id),
            )
        self.spikes[spike_id] = (symbol, at_ms, start, end)

    def _make_book(self, symbol: str, last: Decimal) -> None:
        half = Decimal(str(self.dice.choice([0.0002, 0.001, 0.0049, 0.0051, 0.02])))
        depth = Decimal(str(self.dice.choice([0.5, 5, 100, 10_000])))
        self.book = None
        if self.dice.random() < 0.96:
            self.book = Book(
                symbol=symbol,
                time_ms=self.clock.now_ms(),
                bids=(BookLevel(price=last * (1 - half), quantity=depth),),
                asks=(
                    BookLevel(price=last * (1 + half), quantity=depth),
                    BookLevel(price=last * (1 + 3 * half), quantity=depth),
                ),
            )

    def _observe(self) -> None:
        self.checker.observe(self.clock.now_ms(), self._seen().equity)

    def _seen(self) -> Seen:
        prices = {symbol: Decimal(str(price)) for symbol, price in self.prices.items()}
        buying: dict[str, Decimal] = {}
        for order in self.exchange.open_orders("replay"):
            if order.side is Side.BUY:
                worth = (order.quantity - order.filled_quantity) * order.limit_price
                buying[order.symbol] = buying.get(order.symbol, Decimal(0)) + worth
        snapshot = self.breaker.snapshot
        database = self.database()
        trades = database.execute(
            "SELECT pnl, closed_at_ms FROM trades ORDER BY closed_at_ms DESC, id DESC LIMIT 50"
        )
        cleared = database.execute(
            "SELECT triggered_at_ms FROM circuit_breaker_events WHERE kind = 'clear'"
            " ORDER BY id DESC"
        ).fetchone()
        return Seen(
            now_ms=self.clock.now_ms(),
            cash=self.held("USDT"),
            prices=prices,
            held={symbol: self.held(symbol.removesuffix("USDT")) for symbol in PRICES},
            buying=buying,
            epoch=snapshot.epoch,
            multiplier=snapshot.size_multiplier,
            fresh=self.fresh,
            trading=dict.fromkeys(PRICES, True),
            spikes=dict(self.spikes),
            volatility_pct=self.market.get("volatility_pct"),
            volume=self.market.get("quote_volume_1h"),
            correlations=self.market.get("correlations", {}),
            book=self.book,
            closed=Counter(row[0] for row in database.execute("SELECT symbol FROM trades")),
            trades=[(Decimal(row[0]), row[1]) for row in trades.fetchall()],
            recovered_at_ms=cleared[0] if cleared else None,
        )


async def walk(directory: Path, seed: str, orders: int) -> Walk:
    """``orders`` proposals, in lives of a few hundred each."""
    path = Walk(directory, seed)
    async with path:
        for number in range(orders):
            await path.one_order(number)
    path.database().close()
    return path


async def test_no_fuzzed_order_breaks_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted, life = rounds(200, 20_000), rounds(100, 1_000)
    entries, refusals, violations = 0, Counter[str | None](), Counter[str]()
    for turn in range(wanted // life):
        path = await walk(tmp_path / str(turn), f"bypass {turn}", life)
        entries += path.entries
        refusals += path.refusals
        violations += path.violations
    assert not +violations
    assert entries >= wanted / 30, refusals
    if not FULL:
        return  # the mutants below are enough
    take_out("max_slippage_pct", monkeypatch)
    broken = await walk(tmp_path / "mutant", "bypass 0", 400)
    assert +broken.violations
    record(
        Held(
            section="Limits",
            guarantee="no fuzzed proposal, whatever the state of account, market and breaker, "
            "becomes an entry beyond a limit",
            trials=wanted,
            unit=f"proposals, {entries:,} of them sent",
            violations=violations.total(),
            mutant="the rule max_slippage_pct taken out",
            caught=f"{broken.violations.total()} entries beyond it in 400 proposals",
        )
    )


# Those whose absence lets something through that the checker can see at the exchange. A blocked
# pair is not allowed here either, and neither an entry of another type nor one without a spike can
# even be written down.
SEEN_RULES = [
    "symbol_not_allowed",
    "side",
    "min_confidence",
    "min_stop_loss_pct",
    "max_stop_loss_pct",
    "min_take_profit_pct",
    "epoch",
    "deadline",
    "deadline_too_far",
    "data_stale",
    "price_collar",
    "spike_symbol",
    "spike_stale",
    "max_resolved_share",
    "max_losing_streak",
    "one_position_per_symbol",
    "max_concurrent_positions",
    "max_sector_exposure_pct",
    "max_portfolio_exposure_pct",
    "cash",
    "max_volatility_pct",
    "max_share_of_volume_pct",
    "max_spread_pct",
    "max_slippage_pct",
    "max_orders_per_minute",
    "max_orders_per_hour",
    "max_symbol_entries_per_hour",
]
QUICK = ("max_stop_loss_pct", "max_spread_pct", "max_slippage_pct")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.long]) for name in SEEN_RULES],
)
async def test_the_same_walk_finds_a_rule_that_is_taken_out(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutants."""
    take_out(name, monkeypatch)
    for turn in range(20):
        path = await walk(tmp_path / str(turn), f"bypass {turn}", 400)
        if +path.violations:
            return
    pytest.fail(f"nobody noticed that {name} is gone")


def take_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gate, which asks some of the rules again, is left out with its rule."""
    entry_rules = tuple(rule for rule in ENTRY_RULES if rule.name != name)
    proposal_rules = tuple(rule for rule in PROPOSAL_RULES if rule.name != name)
    assert len(entry_rules) + len(proposal_rules) == len(ENTRY_RULES) + len(PROPOSAL_RULES) - 1
    monkeypatch.setattr(foundation, "RiskLimits", partial(RiskLimits, rules=entry_rules))
    monkeypatch.setattr(
        entry_sizing, "validate_proposal", partial(validate_proposal, rules=proposal_rules)
    )
    if name in ("epoch", "deadline", "data_stale"):
        monkeypatch.setattr(Gate, "_check_decision", lambda *_: None)
        monkeypatch.setattr(Journal, "_check_breaker_row", lambda *_: None)
