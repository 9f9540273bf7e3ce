"""Random walks over the whole order path: what must hold at every step, whatever happens."""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path

import pytest
from order_path import PRICES, OrderPath, trader

from trading.execution.books import Books
from trading.execution.ledger import Share
from trading.execution.protector import Protector
from trading.model.breaker import Actor
from trading.model.order import Side
from trading.risk.reservations import ReservationBook
from trading.storage.order_repository import OrderRecord

SEEDS = range(12)
STEPS = 60
CENT = Decimal("0.01")


async def step(path: OrderPath, dice: random.Random, number: int) -> None:
    """One thing that can happen to a trader."""
    symbol = dice.choice(list(PRICES))
    what = dice.random()
    if what < 0.45:
        factor = 1 + dice.uniform(-0.012, 0.012)
        await path.tick(symbol, round(path.prices[symbol] * factor, 2), dice.choice([0.01, 500.0]))
    elif what < 0.65:
        last = Decimal(str(path.prices[symbol]))
        limit = dice.choice([None, (last * Decimal("0.997")).quantize(CENT)])
        distance = dice.choice([0.5, 1.0, 3.0])
        proposal = path.proposal(
            symbol, str(number), limit_price=limit, stop_loss_pct=distance, take_profit_pct=distance
        )
        await path.service.propose(proposal)
    elif what < 0.70:
        path.client.lose_answers = 1
    elif what < 0.75:
        # A venue that denies an order for longer than the grace, again and again, is a lost cause.
        path.client.hide_queries = 0 if path.service.unknown_orders else 2
    elif what < 0.79:
        path.client.fail_cancels = 1
    elif what < 0.82:
        path.client.lose_orders = 1
    elif what < 0.85:
        path.quiet_stream = not path.quiet_stream
        path.service.on_gap("stream")
    elif what < 0.88:
        await path.service.close_position(symbol, "walk")
    elif what < 0.91:
        path.breaker.trigger("walk", actor=Actor.LLM)
    elif what < 0.96:
        if path.breaker.snapshot.status != "SAFE":
            path.breaker.clear(
                actor=Actor.OPERATOR, reason="walk", epoch=path.breaker.snapshot.epoch, force=True
            )
    elif what < 0.98:
        await path.crash_and_restart()
    await path.advance(dice.choice([10, 500, 3_000]))


def check(path: OrderPath) -> None:
    """Against the exchange's own books."""
    for symbol in PRICES:
        orders = path.exchange.open_orders("replay", symbol)
        selling = sum(
            (o.quantity - o.filled_quantity for o in orders if o.side is Side.SELL), Decimal(0)
        )
        assert selling <= path.held(symbol.removesuffix("USDT"))
        assert sum(o.side is Side.SELL for o in orders) <= 1
    worth = sum(
        (o.quantity - o.filled_quantity) * o.limit_price
        for o in path.exchange.open_orders("replay")
        if o.side is Side.BUY
    )
    assert path.service._parts.books.reservations.total >= worth
    ids = [request.client_order_id for request in path.client.submitted]
    assert len(ids) == len(set(ids))


async def walk(directory: Path, seed: int) -> None:
    dice = random.Random(seed)
    risk = trader(max_orders_per_minute=1_000, max_daily_loss_pct=100)
    async with OrderPath(directory, risk=risk) as path:
        for number in range(STEPS):
            await step(path, dice, number)
            check(path)
        # The venue recovers; within half a minute everything is known, protected and in order.
        path.quiet_stream = False
        path.client.lose_answers = path.client.lose_orders = 0
        path.client.hide_queries = path.client.fail_cancels = 0
        path.service.on_gap("end")
        for _ in range(30):
            await path.advance(1_000)
        check(path)
        assert path.service.unknown_orders == 0
        assert path.service.reconciled, path.breaker.snapshot.reason
        portfolio = await path.service.portfolio()
        assert abs(portfolio.balances[0].total - path.held("USDT")) < CENT
        for position in portfolio.positions:
            assert position.quantity <= path.held(position.symbol.removesuffix("USDT"))
            (stop,) = path.open_stops(position.symbol)
            step_size = path.exchange.instruments[position.symbol].step_size
            assert position.quantity - step_size < stop.quantity <= position.quantity
            assert stop.trigger_price == position.stop_price
        closed = {row["entry_client_order_id"] for row in path.rows("SELECT * FROM trades")}
        assert len(closed) == len(path.rows("SELECT * FROM trades"))


def release_early(book: ReservationBook, order_id: str, _: Decimal) -> None:
    book.release(order_id)


def without_fees(books: Books, record: OrderRecord, _: object) -> Share:
    return Share(record.request.side, record.filled_quantity, record.filled_notional)


@pytest.mark.parametrize("seed", SEEDS)
async def test_books_stops_and_reservations_hold_on_every_walk(tmp_path: Path, seed: int) -> None:
    await walk(tmp_path, seed)


@pytest.mark.parametrize(
    "mutant",
    [
        pytest.param((Protector, "_fits", lambda *_: True), id="a stop that never moves"),
        pytest.param((ReservationBook, "shrink", release_early), id="early release"),
        pytest.param((Books, "_share", without_fees), id="fees forgotten"),
    ],
)
async def test_broken_books_are_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mutant: tuple[type, str, object]
) -> None:
    monkeypatch.setattr(*mutant)
    caught = 0
    for seed in SEEDS:
        directory = tmp_path / str(seed)
        directory.mkdir()
        try:
            await walk(directory, seed)
        except AssertionError:
            caught += 1
    assert caught > 0
