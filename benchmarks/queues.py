"""Fills of resting orders on a recorded tape: this exchange's beside hftbacktest's queue models.

The tape: raw spot trades of Binance's worst quarter of an hour (2025-10-10, from 21:10 on), from
the folder that SPIKEGUARD_MARKET_DATA names. Both sides get the same orders, the smallest possible
ones, at the best price and behind it, for 20 s each, and the same queues ahead of them: there is no
recording of the depth, so every price level holds the same value, and nobody ahead ever cancels,
which is what hftbacktest's models differ about. It runs in an environment of its own.

    python benchmarks/queues.py [PAIRS]
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from _environment import QUEUES, environment, run

from trading.clock import VirtualClock
from trading.model.market import Instrument, Tick
from trading.model.order import OrderStatus, OrderType, Side, TimeInForce
from trading.simulator.config import BookShapeConfig, OrderFilterConfig, SimulatorConfig
from trading.simulator.exchange import SimulatedExchange
from trading.simulator.instruments import split_symbol
from trading.simulator.orders import ExchangeRejection, NewOrder

TRADES_FILE = "ticks_2025-10-10_trades_raw_2110_2125.parquet"
LEVEL_NOTIONAL = Decimal(2_000)
ORDER_EVERY_MS = 1_000
LIFE_MS = 20_000
DEEPEST_TICKS = 3
PAIRS = 8
RICH = {"USDT": Decimal(10**12)}


@dataclass(frozen=True)
class Recording:
    """One pair's trades, oldest first, and the steps of its prices and quantities."""

    instrument: Instrument
    time_ms: np.ndarray[Any, Any]
    price: np.ndarray[Any, Any]
    quantity: np.ndarray[Any, Any]
    by_seller: np.ndarray[Any, Any]


@dataclass(frozen=True)
class Order:
    """A resting order, and how long it took to be filled here; None: it was not."""

    time_ms: int
    side: Side
    price: Decimal
    filled_after_ms: int | None


def recordings(folder: Path, pairs: int) -> Iterator[Recording]:
    """The most traded pairs of the recording."""
    table = pq.read_table(folder / TRADES_FILE, filters=[("exchange", "=", "binance")])
    symbols = Counter(table["symbol"].to_pylist())
    usdt = [symbol for symbol, _ in symbols.most_common() if symbol.endswith("USDT")]
    for symbol in usdt[:pairs]:
        rows = table.filter(pc.equal(table["symbol"], symbol)).sort_by("ts_us")
        price, quantity = (rows[name].to_numpy() for name in ("price", "amount"))
        base, quote = split_symbol(symbol)
        step = _step(quantity)
        instrument = Instrument(
            symbol=symbol,
            base_asset=base,
            quote_asset=quote,
            tick_size=_step(price),
            step_size=step,
            min_quantity=step,
            max_quantity=Decimal(10**9),
            min_notional=Decimal(0),
        )
        by_seller = np.array([side == "sell" for side in rows["side"].to_pylist()])
        yield Recording(instrument, rows["ts_us"].to_numpy() // 1000, price, quantity, by_seller)


def _step(values: np.ndarray[Any, Any]) -> Decimal:
    """The decimal place to which all of ``values`` are given."""
    exponents = (Decimal(repr(float(value))).normalize().as_tuple().exponent for value in values)
    return Decimal(1).scaleb(min(0, *(int(exponent) for exponent in exponents)))


def fills_here(recording: Recording) -> list[Order]:
    """Place an order on either side every second, and play the tape."""
    clock = VirtualClock(int(recording.time_ms[0]) - 1)
    instrument = recording.instrument
    shape = BookShapeConfig(
        levels=20,
        spread_bps=Decimal(0),
        level_spacing_bps=Decimal(0),
        level_notional=LEVEL_NOTIONAL,
        depth_decay=Decimal(1),
    )
    filters = OrderFilterConfig(max_open_orders=10_000, max_notional=Decimal(10**12))
    config = SimulatorConfig(book=shape, filters=filters, initial_balances=RICH)
    exchange = SimulatedExchange(config, (instrument,), clock)
    exchange.open_account("trader", RICH | {instrument.base_asset: Decimal(10**12)})
    placed = []
    next_ms, number = int(recording.time_ms[0]) + ORDER_EVERY_MS, 0
    last_ms = int(recording.time_ms[-1]) - LIFE_MS
    trades = zip(recording.time_ms, recording.price, recording.quantity, strict=True)
    for time_ms, price, quantity in trades:
        while next_ms < time_ms and next_ms < last_ms:
            clock.advance_to(next_ms)
            _cancel_old(exchange, placed, next_ms)
            away = number // 2 % (DEEPEST_TICKS + 1)
            side = Side.BUY if number % 2 else Side.SELL
            placed.append(_place(exchange, instrument, side, away))
            number += 1
            next_ms += ORDER_EVERY_MS
        clock.advance_to(int(time_ms))
        _cancel_old(exchange, placed, int(time_ms))
        exchange.on_tick(Tick(instrument.symbol, float(price), float(quantity), int(time_ms)))
    return [
        Order(
            order.created_ms,
            order.side,
            order.limit_price,
            order.updated_ms - order.created_ms if order.status is OrderStatus.FILLED else None,
        )
        for order in placed
        if order is not None and order.limit_price is not None
    ]


def _place(exchange: SimulatedExchange, instrument: Instrument, side: Side, away: int) -> Any:
    """An order of the smallest quantity at the best price of its side, or so many ticks behind."""
    (best, _), *_ = exchange.levels(instrument.symbol, 1)[side]
    sign = -1 if side is Side.BUY else 1
    order = NewOrder(
        symbol=instrument.symbol,
        side=side,
        type=OrderType.LIMIT,
        quantity=instrument.step_size,
        limit_price=best + sign * away * instrument.tick_size,
        time_in_force=TimeInForce.GTC,
    )
    try:
        return exchange.submit("trader", order)
    except ExchangeRejection:
        return None


def _cancel_old(exchange: SimulatedExchange, placed: list[Any], now_ms: int) -> None:
    for order in placed[-2 * LIFE_MS // ORDER_EVERY_MS :]:
        if order and not order.status.is_final and order.created_ms + LIFE_MS <= now_ms:
            exchange.cancel("trader", order.symbol, order_id=order.order_id)


def fills_there(
    python: Path, recording: Recording, orders: list[Order]
) -> dict[str, list[int | None]] | None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tape.npz"
        np.savez(
            path,
            time_ms=recording.time_ms,
            price=recording.price,
            quantity=recording.quantity,
            by_seller=recording.by_seller,
            tick=float(recording.instrument.tick_size),
            step=float(recording.instrument.step_size),
            level_notional=float(LEVEL_NOTIONAL),
            order_ms=np.array([order.time_ms for order in orders]),
            order_buys=np.array([order.side is Side.BUY for order in orders]),
            order_price=np.array([float(order.price) for order in orders]),
            order_quantity=float(recording.instrument.step_size),
            life_ms=LIFE_MS,
        )
        found = run(python, "_hftbacktest_fills.py", path)
    if found is None:
        return None
    return {name: [t if t >= 0 else None for t in times] for name, times in found.items()}


def report(here: list[int | None], there: dict[str, list[int | None]]) -> None:
    filled = sum(each is not None for each in here)
    print(f"  {len(here):,} orders; filled within {LIFE_MS / 1000:.0f} s")
    print(f"  {'here':<26} {filled / len(here):>6.1%}")
    for name, times in there.items():
        pairs = list(zip(here, times, strict=True))
        both = [(a, b) for a, b in pairs if a is not None and b is not None]
        only_here = sum(a is not None and b is None for a, b in pairs)
        only_there = sum(a is None and b is not None for a, b in pairs)
        same = 1 - (only_here + only_there) / len(pairs)
        apart = sorted(a - b for a, b in both)
        later = sum(each > 0 for each in apart) / len(apart)
        sooner = sum(each < 0 for each in apart) / len(apart)
        print(
            f"  hftbacktest {name:<14} {sum(t is not None for t in times) / len(here):>6.1%}"
            f"   same outcome {same:.1%} (only here {only_here}, only there {only_there});"
            f" of both filled: here sooner {sooner:.0%}, later {later:.0%},"
            f" median difference {median(apart):.0f} ms"
        )


def main(pairs: int) -> None:
    folder = os.environ.get("SPIKEGUARD_MARKET_DATA")
    if not folder or not (Path(folder) / TRADES_FILE).exists():
        print(f"  not run: SPIKEGUARD_MARKET_DATA names no folder with {TRADES_FILE}")
        return
    python = environment(QUEUES)
    if python is None:
        return
    here: list[int | None] = []
    there: defaultdict[str, list[int | None]] = defaultdict(list)
    for recording in recordings(Path(folder), pairs):
        orders = fills_here(recording)
        theirs = fills_there(python, recording, orders)
        if theirs is None:
            continue
        here += [order.filled_after_ms for order in orders]
        for name, times in theirs.items():
            there[name] += times
        print(f"  {recording.instrument.symbol}: {len(recording.price):,} trades", flush=True)
    if here:
        report(here, there)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else PAIRS)
