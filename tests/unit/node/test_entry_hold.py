"""While it is judged whether the market has crashed no entry passes, whatever comes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from trading.clock import VirtualClock
from trading.events import CrashDetected, EventBus
from trading.market.config import CrashDetectionConfig, MarketConfig, SpikeDetectionConfig
from trading.market.engine import MarketEngine
from trading.market.examination import Examination
from trading.model.market import Tick
from trading.risk.breaker_config import CircuitBreakerConfig
from trading.risk.breaker_store import create_store
from trading.risk.circuit_breaker import CircuitBreaker
from trading.storage.config import StorageConfig

START_MS = 1_760_000_000_000
CALM, BEYOND_THE_LIMIT = 60_000.0, 53_000.0  # BTC's limit is 10 % within 5 min


class Market:
    """A breaker, an engine in front of it, and what entries met while a trade was looked at."""

    def __init__(
        self,
        breaker: CircuitBreaker,
        clock: VirtualClock,
        monkeypatch: pytest.MonkeyPatch,
        hold: AbstractContextManager[object] | None,
    ) -> None:
        self.breaker = breaker
        self._clock = clock
        self.blocked_meanwhile: list[bool] = []
        bus = EventBus()
        self.engine = MarketEngine(
            MarketConfig(symbols=("BTCUSDT", "ETHUSDT")),
            SpikeDetectionConfig(enabled=False),
            CrashDetectionConfig(max_tick_jump_pct=50),
            clock,
            bus,
            hold=hold,
        )
        bus.subscribe(CrashDetected, lambda event: breaker.trigger(event.reason, rule=event.rule))
        examine = Examination.examine

        def look(examination: Examination, *trade: object) -> None:
            self.blocked_meanwhile.append(breaker.entries_blocked)
            examine(examination, *trade)  # type: ignore[arg-type]

        monkeypatch.setattr(Examination, "examine", look)

    def trade(self, price: float, after_ms: int = 100) -> bool:
        """Whether the trade was looked at with entries blocked."""
        self.blocked_meanwhile.clear()
        self._clock.advance_to(self._clock.now_ms() + after_ms)
        self.engine.on_tick(Tick("BTCUSDT", price, 1.0, self._clock.now_ms()))
        return any(self.blocked_meanwhile)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(START_MS)


@pytest.fixture
def open_breaker(tmp_path: Path, clock: VirtualClock) -> Iterator[Callable[..., CircuitBreaker]]:
    opened = []
    storage = StorageConfig(path=tmp_path / "store.sqlite3")
    create_store(storage, clock)

    def open_one(*, enabled: bool = True) -> CircuitBreaker:
        config = CircuitBreakerConfig(enabled=enabled)
        opened.append(CircuitBreaker.open(config, clock, storage))
        return opened[-1]

    yield open_one
    for breaker in opened:
        breaker.close()


@pytest.fixture
def open_market(
    open_breaker: Callable[..., CircuitBreaker],
    clock: VirtualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Market]:
    def open_one(*, holds: bool = True) -> Market:
        breaker = open_breaker()
        return Market(breaker, clock, monkeypatch, breaker.entry_hold if holds else None)

    return open_one


def test_entries_are_held_while_a_price_beyond_a_limit_is_looked_at_and_freed_after_a_wick(
    open_market: Callable[..., Market],
) -> None:
    market = open_market()
    assert not market.trade(CALM)
    assert market.trade(BEYOND_THE_LIMIT), "it may be a crash"
    assert not market.breaker.entries_blocked, "it has not held, and nobody confirms it"
    assert not market.trade(CALM, after_ms=1_000)

    assert market.trade(BEYOND_THE_LIMIT, after_ms=1_000)
    assert market.trade(BEYOND_THE_LIMIT, after_ms=5_000)
    assert market.breaker.snapshot.epoch == 1, "it has held"
    assert market.breaker.entries_blocked


def test_an_engine_that_holds_nothing_lets_entries_pass_in_this_test(
    open_market: Callable[..., Market],
) -> None:
    market = open_market(holds=False)
    market.trade(CALM)
    assert not market.trade(BEYOND_THE_LIMIT)


def test_a_look_that_fails_does_not_hold_entries_for_ever(
    open_market: Callable[..., Market], monkeypatch: pytest.MonkeyPatch
) -> None:
    market = open_market()
    market.trade(CALM)

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Examination, "examine", fail)
    with pytest.raises(ZeroDivisionError):
        market.trade(BEYOND_THE_LIMIT)
    assert not market.breaker.entries_blocked, "what follows from a failing core is its watchers'"


def test_a_breaker_that_is_switched_off_holds_nothing(
    open_breaker: Callable[..., CircuitBreaker],
) -> None:
    breaker = open_breaker(enabled=False)
    with breaker.entry_hold:
        assert not breaker.entries_blocked


def test_a_trip_within_a_hold_outlasts_it(open_breaker: Callable[..., CircuitBreaker]) -> None:
    breaker = open_breaker()
    with breaker.entry_hold, breaker.entry_hold:
        assert breaker.entries_blocked
        breaker.trigger("fall")
    assert breaker.entries_blocked
