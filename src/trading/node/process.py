"""The core process: feed, guard and control API on the main loop, orders on a thread of its own.

It reads one line of settings from standard input, prints one when it is ready (before that, one for
each wait for the venue's limits: ``CoreWord``), and runs until
SIGTERM, SIGINT or the end of its standard input, whichever comes first. It then cancels open
entries, leaves protective stops where they are, and closes the store.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from trading.clock import Clock, ScaledClock, SystemClock
from trading.errors import AuthenticationError, ConfigurationError, ExchangeError, StoreError
from trading.events import EventBus
from trading.exchange.config import ExchangeConfig
from trading.exchange.credentials import CREDENTIAL_NAMES, ApiCredentials
from trading.exchange.factory import create_venue, recovery_log
from trading.exchange.protocols import ExchangeClient, Venue
from trading.exchange.start_patience import StartPatience
from trading.model.breaker import Actor
from trading.node.apprise_channel import open_notifier
from trading.node.assembly import Surroundings, assemble
from trading.node.config import CoreLaunch, NodeConfig
from trading.node.core import TradingCore
from trading.node.feeds import CoreFeed, book_duties, futures_duties
from trading.node.guard import HEARTBEAT
from trading.node.instance import AccountLock, InstanceInfo, InstanceLock, RuntimePaths, write_info
from trading.node.notifications import Notifications
from trading.node.order_thread import OrderLoop, OrderThread, cancel_all
from trading.node.pace import keep_the_feeds_pace
from trading.node.pulse import Pulse
from trading.node.servers import control_api
from trading.node.words import CoreWord, say
from trading.risk.shared_record import SharedRecordWriter

log = logging.getLogger(__name__)

BEAT_INTERVAL_S = 0.1
GUARD_INTERVAL_S = 0.25


async def run_core(launch: CoreLaunch, environment: Mapping[str, str]) -> None:
    """The core process from start to end.

    Raises:
        ConfigurationError: a second core, or missing keys.
        StoreError: no usable store.
        ExchangeError: the venue cannot be reached, refuses the key, or the key may withdraw.
    """
    config = launch.config
    paths = RuntimePaths(Path(config.api.runtime_directory))
    patience = StartPatience(_say_waiting)
    ended = _end_of_run(patience.end)
    async with AsyncExitStack() as stack:
        lock = InstanceLock(paths)
        lock.acquire()
        stack.callback(lock.release)
        if not config.storage.path.exists():
            raise StoreError(f"no store at {config.storage.path}; `crews.run init` makes one")
        account = config.exchange.venue + ("-paper" if config.exchange.dry_run else "")
        account_lock = AccountLock(config.storage.path.resolve(), account)
        account_lock.acquire()
        stack.callback(account_lock.release)
        clock = _clock(launch)
        recovery = recovery_log(config.exchange.retry, clock)
        venue = create_venue(
            config.exchange,
            _credentials(config.exchange, environment),
            clock,
            simulator=config.simulator,
            recovery=recovery,
            patience=patience,
        )
        stack.callback(patience.end)
        orders = OrderThread(asyncio.get_running_loop())
        stack.callback(orders.stop)
        await orders.call(venue.client.connect())
        stack.push_async_callback(_quietly, orders, venue.client.close())
        await orders.call(_check_account(venue.client, config.exchange))
        asked = (*config.market.symbols, *config.market.stablecoins)
        listed = await orders.call(venue.client.instruments(asked))
        config = _only_listed(config, set(listed))
        instruments = {symbol: listed[symbol] for symbol in config.market.symbols}
        notifier = open_notifier(config.notifications, environment)
        record = SharedRecordWriter(paths.breaker_record)
        stack.callback(record.close)
        bus = EventBus()
        core = assemble(
            config,
            Surroundings(
                clock=clock,
                # Real time that no step of the wall clock moves: a retry must not wait for it.
                wait_clock=ScaledClock(SystemClock().now_ms(), 1.0),
                bus=bus,
                client=venue.client,
                instruments=instruments,
                orders=orders,
                tick_gap_ms=launch.tick_gap_ms,
                inline_records=False,
                record=record,
                redis_password=environment.get("REDIS_PASSWORD"),
                recovery=recovery,
                notifier=notifier,
            ),
        )
        notifications = Notifications(core, bus, notifier)
        stack.push_async_callback(asyncio.to_thread, notifications.close)
        watching = asyncio.create_task(notifications.watch())
        stack.callback(watching.cancel)
        stack.callback(core.parts.breaker.close)
        stack.callback(core.parts.records.close)
        stack.callback(core.parts.audit.close)
        core.parts.audit.configuration(config, core.now_ms())
        stack.callback(lambda: core.parts.performance.roll_up(core.now_ms()))
        if core.parts.fleet is not None:
            stack.callback(core.parts.fleet.stop)
            await asyncio.to_thread(core.parts.fleet.connect)
        await _backfill(core, venue, orders, config)
        if launch.halt_reason:
            core.parts.breaker.trigger(launch.halt_reason, actor=Actor.SYSTEM, rule=HEARTBEAT)
        execution = core.parts.execution
        is_new_account = launch.fresh_account or config.exchange.dry_run
        if is_new_account:  # a paper account lives in this process
            await orders.call(execution.forget_account("the simulated account is new"))
        await orders.call(execution.start())
        if is_new_account or config.exchange.venue == "sim":
            market = launch.market_name or f"live data of {config.exchange.venue}"
            await orders.call(execution.record_simulation(market, resumed=not is_new_account))
        stack.push_async_callback(_quietly, orders, core.parts.execution.stop())
        await stack.enter_async_context(control_api(core, config.api, paths))
        stack.callback(core.parts.spikes.close)
        write_info(paths, _info(config, core, paths))
        keep_the_feeds_pace()
        patience.end()  # from now on duties come again by themselves, and must not stand still
        await stack.enter_async_context(_running(core, venue, orders, ended))
        ready = f"ready on venue {config.exchange.venue_label} {launch.market_name}"
        core.parts.board.say("core", ready.strip())
        say(CoreWord(ready=True, pid=os.getpid()))
        await ended.wait()
        log.info("ending: cancelling open entries")


@asynccontextmanager
async def _running(
    core: TradingCore, venue: Venue, orders: OrderThread, ended: asyncio.Event
) -> AsyncIterator[None]:
    """Everything that runs all the time. A duty that fails for good ends the core: its workers
    and the next start then read a halt, which is what nobody watching means."""
    execution = core.parts.execution
    order_pulse = Pulse("the order path")
    gap = asyncio.Event()
    is_ending = False

    def failed(error: BaseException) -> None:
        if is_ending:
            return
        log.critical("a duty of the core failed", exc_info=error)
        core.parts.guard.trip_blind(f"{type(error).__name__}: {error}")
        ended.set()

    orders.spawn(venue.user_stream.run(execution.on_report, execution.on_gap), failed)
    orders.spawn(_order_duties(core, order_pulse), failed)
    market = core.parts.config.market
    duties: tuple[Coroutine[Any, Any, None], ...] = (
        venue.feed.run((*market.symbols, *market.stablecoins), CoreFeed(core, gap.set)),
        _guard(core, order_pulse),
        _beat(core),
        _close_gaps(core, venue, orders, gap),
    )
    signals = (*book_duties(core), *futures_duties(core))
    tasks = [asyncio.create_task(duty) for duty in (*duties, *signals)]

    def on_end(task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        failed(error or RuntimeError("a duty ended that never ends"))

    for task in tasks:
        task.add_done_callback(on_end)
    try:
        yield
    finally:
        is_ending = True
        await cancel_all(tasks)


async def _guard(core: TradingCore, order_pulse: Pulse) -> None:
    guard = core.parts.guard
    while True:
        guard.trip_if_silent(order_pulse)
        guard.trip_if_silent(guard.pulse)  # the whole process was paused
        guard.advance(core.now_ms())
        guard.pulse.beat()
        core.parts.spikes.advance()
        core.parts.hindsight.advance(core.now_ms())
        core.parts.performance.advance(core.now_ms())
        core.parts.audit.advance(time.monotonic_ns() // 1_000_000)
        await asyncio.sleep(GUARD_INTERVAL_S)


async def _beat(core: TradingCore) -> None:
    """The heartbeat that workers read: proof that this very loop still turns. As often, a look
    at what other processes on the store have tripped."""
    while True:
        core.parts.breaker.beat(core.now_ms())
        core.parts.breaker.refresh()
        await asyncio.sleep(BEAT_INTERVAL_S)


async def _order_duties(core: TradingCore, pulse: Pulse) -> None:
    while True:
        core.parts.guard.trip_if_silent(core.parts.guard.pulse)
        pulse.beat()
        try:
            await core.parts.execution.advance(core.now_ms())
        except asyncio.CancelledError:
            raise
        except Exception:  # whatever it is, the other duties must go on, and it is seen
            log.exception("an order duty failed")
        await asyncio.sleep(BEAT_INTERVAL_S)


async def _backfill(
    core: TradingCore, venue: Venue, orders: OrderThread, config: NodeConfig
) -> None:
    """Fill the windows from the venue's bars, so that they mean something from the start on."""
    minutes = config.market.history_minutes
    if minutes == 0:
        return
    for symbol in config.market.symbols:
        bars = await orders.call(venue.client.bars(symbol, "1m", limit=minutes))
        core.parts.market.on_bar_history(symbol, bars)


async def _close_gaps(
    core: TradingCore, venue: Venue, orders: OrderThread, gap: asyncio.Event
) -> None:
    """Fetch the minutes that a lost stream left out, or the windows would not know their highs."""
    while True:
        await gap.wait()
        gap.clear()
        try:
            await _backfill(core, venue, orders, core.parts.config)
        except ExchangeError as error:
            core.parts.board.say(
                "feed", f"bars of the gap could not be fetched: {error}", "warning"
            )


async def _check_account(client: ExchangeClient, exchange: ExchangeConfig) -> None:
    """What the key may do, `connect` has checked; this is what the account may do."""
    account = await client.account()
    if not account.can_trade:
        raise AuthenticationError(f"the account on venue {exchange.venue} may not trade")


def _only_listed(config: NodeConfig, listed: set[str]) -> NodeConfig:
    """Pairs that the venue does not list are left out, with a warning; BTC and ETH must be."""
    missing = [symbol for symbol in config.market.symbols if symbol not in listed]
    stablecoins = tuple(symbol for symbol in config.market.stablecoins if symbol in listed)
    for leader in (config.market.btc_symbol, config.market.eth_symbol):
        if leader in missing:
            raise ConfigurationError(
                f"market.symbols: venue {config.exchange.venue} does not list {leader}, which the "
                "crash rules watch"
            )
    if missing:
        log.warning("not listed on venue %s: %s", config.exchange.venue, ", ".join(missing))
    symbols = tuple(symbol for symbol in config.market.symbols if symbol in listed)
    return config.model_copy(
        update={
            "market": config.market.model_copy(
                update={"symbols": symbols, "stablecoins": stablecoins}
            )
        }
    )


def _credentials(exchange: ExchangeConfig, environment: Mapping[str, str]) -> ApiCredentials | None:
    if exchange.dry_run:
        return None
    names = CREDENTIAL_NAMES[exchange.venue]
    values = [environment.get(name, "") for name in names]
    if not all(values):
        raise ConfigurationError(f"environment: {' and '.join(names)} are not set")
    return ApiCredentials.model_validate({"key": values[0], "secret": values[1]})


def _clock(launch: CoreLaunch) -> Clock:
    if launch.clock is None:
        return SystemClock()
    return ScaledClock(launch.clock.start_ms, launch.clock.speed, launch.clock.anchor_monotonic_ns)


def _info(config: NodeConfig, core: TradingCore, paths: RuntimePaths) -> InstanceInfo:
    return InstanceInfo(
        pid=os.getpid(),
        venue=config.exchange.venue,
        account=core.parts.client.venue,
        dry_run=config.exchange.dry_run,
        store=str(config.storage.path),
        operator_socket=str(paths.operator_socket),
        worker_socket=str(paths.worker_socket),
        breaker_record=str(paths.breaker_record),
        started_at_ms=core.now_ms(),
    )


def _say_waiting(why: str, wait_s: float) -> None:
    say(CoreWord(pid=os.getpid(), waiting=why, for_s=wait_s))


def _end_of_run(on_end: Callable[[], None]) -> asyncio.Event:
    """Set by SIGTERM, SIGINT, or the end of standard input: the parent is gone; with ``on_end``."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def end() -> None:
        ended.set()
        on_end()

    for sig in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sig, end)

    def on_input() -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            loop.remove_reader(sys.stdin.fileno())
            end()

    loop.add_reader(sys.stdin.fileno(), on_input)
    return ended


async def _quietly(orders: OrderLoop, coroutine: Coroutine[Any, Any, object]) -> None:
    """One step of the way down: a failure is logged and the next step still runs."""
    with contextlib.suppress(asyncio.CancelledError):
        try:
            await orders.call(coroutine)
        except Exception:  # whatever it is, the rest of the end must still happen
            log.exception("a step of the shutdown failed")
