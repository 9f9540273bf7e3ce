"""Judges entries by limits, from the exchange's books and sums of its own.

It shares no code with the risk engine: what the engine gets wrong, this does not get wrong with it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from trading.model.decision import TradeProposal
from trading.model.market import Book
from trading.model.order import OrderRequest

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
MINUTE_MS = 60_000
ZERO = Decimal(0)
# In coins: the least notional is 5, judged at a stop up to 10 % below an entry at 50 or more.
DUST = Decimal(5) / 45
# Dust that our books value at nothing, and rounding of percentages.
SLACK = Decimal("1.0005")


@dataclass
class Seen:
    """Everything that is true of the world in the moment before a proposal."""

    now_ms: int
    cash: Decimal
    prices: Mapping[str, Decimal]
    held: Mapping[str, Decimal]  # by symbol, in the base asset
    buying: Mapping[str, Decimal]  # open buy orders by symbol, at their limits
    epoch: int
    multiplier: float
    fresh: bool
    trading: Mapping[str, bool]
    spikes: Mapping[str, tuple[str, int, Decimal, Decimal]]
    volatility_pct: float | None
    volume: float | None
    correlations: Mapping[str, float | None]
    book: Book | None
    closed: Mapping[str, int]  # trades, by symbol
    trades: list[tuple[Decimal, int]]  # profit and time, newest first
    recovered_at_ms: int | None

    @property
    def values(self) -> dict[str, Decimal]:
        """What is held and bid for, in the quote asset, by symbol.

        What no order could sell is no position; every trade may have left some.
        """
        worth = {
            s: q * self.prices[s] for s, q in self.held.items() if q > DUST * (1 + self.closed[s])
        }
        for symbol, notional in self.buying.items():
            worth[symbol] = worth.get(symbol, ZERO) + notional
        return worth

    @property
    def equity(self) -> Decimal:
        return self.cash + sum((q * self.prices[s] for s, q in self.held.items()), ZERO)


@dataclass
class Checker:
    """Keeps what counts over time, and says what an entry violates."""

    config: Any
    sectors: Mapping[str, str]
    sent: deque[tuple[int, str]] = field(default_factory=deque)
    day: tuple[int, Decimal] | None = None
    week: tuple[int, Decimal] | None = None
    peak: Decimal = ZERO
    drawn_down: bool = False

    def observe(self, now_ms: int, equity: Decimal) -> None:
        """The clock has moved: days, weeks and peaks begin."""
        day, week = now_ms // DAY_MS, (now_ms // DAY_MS + 3) // 7
        if self.day is None or self.day[0] != day:
            self.day = (day, equity)
        if self.week is None or self.week[0] != week:
            self.week = (week, equity)
        self.peak = max(self.peak, equity)
        floor = self.peak * (1 - Decimal(str(self.config["max_drawdown_pct"])) / 100)
        self.drawn_down = self.drawn_down or equity <= floor

    def forgive(self, equity: Decimal) -> None:
        """An operator goes on after the drawdown limit has tripped."""
        if self.drawn_down:
            self.peak, self.drawn_down = equity, False

    def violations(self, proposal: TradeProposal, entry: OrderRequest, seen: Seen) -> list[str]:
        """What was wrong with sending ``entry``; empty when nothing was."""
        wrong = [*self._of_proposal(proposal, entry, seen), *self._of_size(proposal, entry, seen)]
        wrong += [
            *self._of_losses(seen),
            *self._of_market(entry, seen),
            *self._of_pace(entry, seen),
        ]
        self.sent.append((seen.now_ms, entry.symbol))
        return wrong

    def _of_proposal(self, proposal: TradeProposal, entry: OrderRequest, seen: Seen) -> list[str]:
        c, wrong = self.config, []
        last = seen.prices[entry.symbol]
        spike = seen.spikes.get(proposal.spike_id)
        wrong += ["symbol"] * (entry.symbol != proposal.symbol or not seen.trading[entry.symbol])
        wrong += ["blocked"] * (entry.symbol in c["blocked"] or entry.symbol not in c["allowed"])
        wrong += ["side"] * (entry.side != "BUY" or proposal.side != "BUY")
        wrong += ["type"] * (proposal.entry_type not in ("MARKET", "LIMIT", "LIMIT_MAKER"))
        wrong += ["confidence"] * (not proposal.confidence >= c["min_confidence"])
        stop = proposal.stop_loss_pct
        wrong += ["stop"] * (not c["min_stop_loss_pct"] <= stop <= c["max_stop_loss_pct"])
        wrong += ["take profit"] * (not proposal.take_profit_pct >= c["min_take_profit_pct"])
        wrong += ["epoch"] * (proposal.epoch != seen.epoch)
        left_ms = proposal.deadline_ms - seen.now_ms
        wrong += ["deadline"] * (not 0 < left_ms <= c["max_decision_horizon_ms"])
        wrong += ["stale data"] * (not seen.fresh)
        limit = entry.limit_price
        assert limit is not None
        collar = Decimal(str(c["price_collar_pct"])) / 100
        if not last * (1 - collar) / SLACK <= limit <= last * (1 + collar):
            wrong.append("price collar")
        if spike is None:
            return [*wrong, "spike unknown"]
        symbol, at_ms, start, end = spike
        wrong += ["spike symbol"] * (symbol != entry.symbol)
        wrong += ["spike age"] * (seen.now_ms - at_ms > c["max_spike_age_ms"])
        rise = max(end - start, end / 100)
        wrong += ["spike resolved"] * ((end - last) / rise >= Decimal(str(c["max_resolved_share"])))
        return wrong

    def _of_size(self, proposal: TradeProposal, entry: OrderRequest, seen: Seen) -> list[str]:
        c, wrong = self.config, []
        equity, values = seen.equity * SLACK, seen.values
        assert entry.limit_price is not None
        cost = entry.quantity * entry.limit_price
        scale = Decimal(str(seen.multiplier))
        recovered = seen.recovered_at_ms
        if recovered is not None and seen.now_ms - recovered < 60 * MINUTE_MS:
            scale = min(scale, Decimal("0.5"))

        def part(name: str) -> Decimal:
            return equity * Decimal(str(c[name])) / 100

        wrong += ["halted"] * (scale <= 0)
        wrong += ["notional"] * (not 0 < cost <= proposal.notional * scale)
        wrong += ["risk"] * (
            cost * Decimal(str(proposal.stop_loss_pct)) / 100 > part("risk_per_trade_pct") * scale
        )
        wrong += ["position"] * (cost > part("max_position_pct") * scale)
        own = c["symbol_limits_pct"].get(entry.symbol)
        wrong += ["symbol limit"] * (own is not None and cost > equity * Decimal(str(own)) / 100)
        wrong += ["one per symbol"] * (entry.symbol in values)
        wrong += ["concurrent"] * (len(values) >= c["max_concurrent_positions"])
        total = sum(values.values(), ZERO)
        wrong += ["portfolio"] * (total + cost > part("max_portfolio_exposure_pct"))
        sector = self.sectors.get(entry.symbol)
        same = sum((v for s, v in values.items() if self.sectors.get(s) == sector), ZERO)
        wrong += ["sector"] * (same + cost > part("max_sector_exposure_pct"))
        alike = ZERO
        for symbol, value in values.items():
            correlation = seen.correlations.get(symbol)
            if correlation is None or correlation >= c["correlation_threshold"]:
                alike += value
        wrong += ["correlated"] * (alike > 0 and alike + cost > part("max_correlated_exposure_pct"))
        promised = sum(seen.buying.values(), ZERO)
        reserve = seen.equity / SLACK * Decimal(str(c["cash_reserve_pct"])) / 100
        wrong += ["cash"] * (promised + cost > seen.cash - reserve)
        return wrong

    def _of_losses(self, seen: Seen) -> list[str]:
        c, wrong, equity = self.config, [], seen.equity * SLACK
        opened = {
            "max_daily_loss_pct": self.day[1] if self.day else equity,
            "max_weekly_loss_pct": self.week[1] if self.week else equity,
            "max_drawdown_pct": self.peak,
        }
        for name, before in opened.items():
            floor = before * (1 - Decimal(str(c[name])) / 100)
            wrong += [name] * (equity <= floor)
        streak = 0
        for profit, _ in seen.trades:
            if profit >= 0:
                break
            streak += 1
        if streak >= c["max_losing_streak"]:
            pause_ms = c["losing_streak_pause_minutes"] * MINUTE_MS
            wrong += ["losing streak"] * (seen.now_ms - seen.trades[0][1] < pause_ms)
        return wrong

    def _of_market(self, entry: OrderRequest, seen: Seen) -> list[str]:
        c, wrong = self.config, []
        assert entry.limit_price is not None
        cost = entry.quantity * entry.limit_price
        volatility, volume, book = seen.volatility_pct, seen.volume, seen.book
        wrong += ["volatility"] * (volatility is None or volatility > c["max_volatility_pct"])
        share = Decimal(str(c["max_share_of_volume_pct"])) / 100
        wrong += ["volume"] * (volume is None or cost > Decimal(str(volume)) * share)
        if book is None or not book.asks or not book.bids:
            return [*wrong, "no book"]
        bid, ask = book.bids[0].price, book.asks[0].price
        spread = (ask - bid) * 200 / (ask + bid)
        wrong += ["spread"] * (spread > Decimal(str(c["max_spread_pct"])))
        takes = entry.type != "LIMIT_MAKER" and entry.limit_price >= ask
        if takes:
            left, paid = entry.quantity, ZERO
            for level in book.asks:
                paid += min(left, level.quantity) * level.price
                left -= min(left, level.quantity)
            last = seen.prices[entry.symbol]
            above = (paid / entry.quantity / last - 1) * 100 if left <= 0 else Decimal("Infinity")
            wrong += ["slippage"] * (above > Decimal(str(c["max_slippage_pct"])) * SLACK)
        return wrong

    def _of_pace(self, entry: OrderRequest, seen: Seen) -> list[str]:
        c = self.config
        minute = sum(at > seen.now_ms - MINUTE_MS for at, _ in self.sent)
        hour = [symbol for at, symbol in self.sent if at > seen.now_ms - HOUR_MS]
        wrong = ["per minute"] * (minute >= c["max_orders_per_minute"])
        wrong += ["per hour"] * (len(hour) >= c["max_orders_per_hour"])
        repeats = hour.count(entry.symbol)
        return wrong + ["per symbol"] * (repeats >= c["max_symbol_entries_per_hour"])
