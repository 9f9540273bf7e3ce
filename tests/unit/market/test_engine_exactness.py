"""The engine against references that look at every trade again each time.

Streams are random and adversarial: equal times, late trades, plateaus, impossible values, gaps of
hours, jumps that the filter holds back, prices of a hundred-millionth and of billions, and readers
after every trade, at any moment or never.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from proofs import rounds

from trading.clock import VirtualClock
from trading.events import CrashDetected, EventBus, SpikeDetected
from trading.market.config import (
    BreadthConfig,
    CrashDetectionConfig,
    MarketConfig,
    SpikeDetectionConfig,
)
from trading.market.engine import MarketEngine
from trading.market.minute_bars import MinuteBars
from trading.market.spike_bounds import Bounds, SpikeBounds
from trading.market.spike_detector import SpikeDetector
from trading.market.symbol_state import SymbolState
from trading.market.tick_filter import TickFilter
from trading.market.windows import ONE_HOUR, READY_AFTER_MS, SPANS_MS, WINDOW_NAMES
from trading.model.market import Bar, Tick

START_MS = 1_700_000_040_000
EXAMPLES = rounds(100, 300)
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
FIRST_PRICES = dict(zip(SYMBOLS, (100.0, 3.7e9, 1.3e-8), strict=True))
CRASH = CrashDetectionConfig(breadth=BreadthConfig(fall_pct=2.0, share=0.6, min_pairs=2))
SPIKES = SpikeDetectionConfig(
    min_confidence=0.0,
    min_z_score=0.0,
    cooldown_s=60,
    min_notional_usd=0.0,
    price_min_volume_multiple=1.0,
    volume_multiple=3.0,
    volume_min_move_share=0.5,
)

# Every condition of a spike may be the one that is wanting.
CHOOSY = SPIKES.model_copy(
    update={
        "min_confidence": 0.55,
        "min_z_score": 3.0,
        "min_notional_usd": 1_500.0,
        "price_min_volume_multiple": 2.0,
    }
)

# symbol, pause before it in ms, lateness in ms, move in ‰ of the last price, quantity
EVENTS = st.lists(
    st.tuples(
        st.integers(0, len(SYMBOLS) - 1),
        st.one_of(
            st.integers(0, 2_000),
            st.sampled_from([0, 0, 0, 1, 60_000, 300_000, 3_600_000, 14_400_000, 90_000_000]),
        ),
        st.one_of(st.just(0), st.just(0), st.integers(0, 70_000)),
        st.one_of(
            st.integers(-30, 30).map(float),
            st.sampled_from([0.0, 0.0, -150.0, 180.0, math.nan, -1000.0, math.inf, -2000.0]),
        ),
        st.one_of(st.floats(0.0, 50.0), st.sampled_from([0.0, 1e6, math.nan, -1.0, math.inf])),
    ),
    min_size=1,
    max_size=60,
)
Event = tuple[int, int, int, float, float]


class Reference:
    """One pair by the definitions: a list of its accepted trades, and a filter of its own."""

    def __init__(self) -> None:
        self.filter = TickFilter(CRASH)
        self.trades: list[tuple[int, float, float]] = []

    def take(self, time_ms: int, price: float, quantity: float, now_ms: int) -> None:
        if not (0 < price < math.inf and 0 <= quantity < math.inf):
            self.filter.note_bad(now_ms)
            return
        accepted = [(time_ms, price, quantity)]
        if self.trades:
            last_ms, last, _ = self.trades[-1]
            accepted = self.filter.judge(last, last_ms, time_ms, price, quantity)
        for at_ms, *rest in accepted:
            latest_ms = self.trades[-1][0] if self.trades else at_ms
            self.trades.append((max(at_ms, latest_ms), *rest))

    def window(self, span_ms: int, now_ms: int) -> dict[str, float]:
        inside = [trade for trade in self.trades if trade[0] > now_ms - span_ms]
        prices = [price for _, price, _ in inside or self.trades[-1:]]
        high, last = max(prices), prices[-1]
        return {
            "high": high,
            "low": min(prices),
            "return_pct": (last / prices[0] - 1.0) * 100.0,
            "drawdown_pct": (high - last) / high * 100.0,
            "volume": math.fsum(quantity for _, _, quantity in inside),
        }

    def is_falling(self, now_ms: int) -> bool:
        return self.window(SPANS_MS[ONE_HOUR], now_ms)["drawdown_pct"] >= CRASH.breadth.fall_pct

    def is_tracked(self, now_ms: int) -> bool:
        last_ms = self.trades[-1][0]
        return (
            last_ms - self.trades[0][0] >= READY_AFTER_MS[ONE_HOUR]
            and now_ms - last_ms < SPANS_MS[ONE_HOUR]
            and not self.filter.is_insane(now_ms)
        )


def make_engine(
    spikes: SpikeDetectionConfig = SPIKES,
) -> tuple[MarketEngine, VirtualClock, list[str]]:
    clock, bus, seen = VirtualClock(START_MS), EventBus(), []
    bus.subscribe(SpikeDetected, lambda event: seen.append(f"{event.spike.id} {clock.now_ms()}"))
    bus.subscribe(CrashDetected, lambda event: seen.append(f"{event.rule} {clock.now_ms()}"))
    engine = MarketEngine(MarketConfig(symbols=SYMBOLS), spikes, CRASH, clock, bus)
    return engine, clock, seen


def ticks(events: list[Event], clock: VirtualClock) -> Iterator[Tick]:
    """The trades that the events describe, with the clock at the moment of each."""
    prices = dict(FIRST_PRICES)
    for which, pause_ms, late_ms, move, quantity in events:
        symbol = SYMBOLS[which]
        clock.advance_to(clock.now_ms() + pause_ms)
        price = prices[symbol] * (1.0 + move / 1000.0)
        if 0 < price < math.inf and abs(move) <= 30:  # far jumps are one-off: bad or refuted
            prices[symbol] = price
        yield Tick(symbol, price, quantity, clock.now_ms() - late_ms)


def check_windows(events: list[Event], reads: list[bool]) -> None:
    """Compare every figure of every window at the moments in ``reads``, and at the end."""
    engine, clock, _ = make_engine()
    references = {symbol: Reference() for symbol in SYMBOLS}
    for number, tick in enumerate(ticks(events, clock)):
        engine.on_tick(tick)
        references[tick.symbol].take(tick.time_ms, tick.price, tick.quantity, clock.now_ms())
        if number < len(reads) and reads[number]:
            _compare_windows(engine, references, clock.now_ms())
    _compare_windows(engine, references, clock.now_ms())


def _compare_windows(engine: MarketEngine, references: dict[str, Reference], now_ms: int) -> None:
    for symbol, reference in references.items():
        if not reference.trades:
            assert engine.last_price(symbol) is None
            continue
        assert engine.last_price(symbol) == reference.trades[-1][1]
        stats = engine.symbol_stats(symbol)
        for name, span_ms in zip(WINDOW_NAMES, SPANS_MS, strict=True):
            window, expected = stats.windows[name], reference.window(span_ms, now_ms)
            assert (window.high, window.low) == (expected["high"], expected["low"])
            assert window.return_pct == expected["return_pct"]
            assert window.drawdown_pct == expected["drawdown_pct"]
            assert window.volume == pytest.approx(expected["volume"], rel=1e-6, abs=1e-3)


@given(events=EVENTS, reads=st.lists(st.booleans(), max_size=60))
@settings(max_examples=EXAMPLES, deadline=None)
def test_every_window_of_every_pair_equals_a_look_at_all_trades(
    events: list[Event], reads: list[bool]
) -> None:
    check_windows(events, reads)


@given(events=EVENTS)
@settings(max_examples=EXAMPLES, deadline=None)
def test_the_windows_are_right_after_every_single_trade(events: list[Event]) -> None:
    check_windows(events, [True] * len(events))


@given(events=EVENTS, every=st.integers(1, 5))
@settings(max_examples=EXAMPLES, deadline=None)
def test_breadth_counts_what_a_look_at_all_trades_counts(events: list[Event], every: int) -> None:
    check_breadth(events, every)


def check_breadth(events: list[Event], every: int) -> None:
    engine, clock, _ = make_engine()
    references = {symbol: Reference() for symbol in SYMBOLS}
    # An hour known, so that pairs count: a trade each, and one forty minutes later.
    calm = [(which, pause, 0, 0.0, 1.0) for pause in (0, 2_400_000) for which in range(3)]
    for number, tick in enumerate(ticks([*calm, *events], clock)):
        engine.on_tick(tick)
        references[tick.symbol].take(tick.time_ms, tick.price, tick.quantity, clock.now_ms())
        if number % every == 0:
            now_ms = clock.now_ms()
            snapshot = engine.advance(now_ms)
            tracked = [one for one in references.values() if one.trades and one.is_tracked(now_ms)]
            assert snapshot.breadth_tracked == len(tracked)
            # Pairs that do not trade are looked at once a minute: until then a fall may stand on.
            traded = tick.symbol
            state = engine._states[traded]
            if references[traded].trades:
                assert state.is_falling == references[traded].is_falling(now_ms)


class NoBounds:
    """Has the detectors look at every trade, whatever it is."""

    def of_price(self, *_: object) -> Bounds:
        return Bounds(math.inf, 0.0, math.inf, of_minute=False)

    of_volume = of_price


def outputs(
    events: list[Event],
    *,
    always_look: bool,
    history: Callable[[str], Iterator[Bar]] | None = None,
    spikes: SpikeDetectionConfig = SPIKES,
) -> list[str]:
    """What the engine publishes, with its guards in force or never trusted."""
    engine, clock, seen = make_engine(spikes)
    if history:
        for symbol in SYMBOLS:
            engine.on_bar_history(symbol, history(symbol))
    if always_look:
        engine._examination._bounds = NoBounds()  # type: ignore[assignment]  # the reference
    for number, tick in enumerate(ticks(events, clock)):
        if always_look:
            for state in engine._states.values():
                state.distrust_guards()
        engine.on_tick(tick)
        if number % 3 == 0:
            snapshot = engine.advance(clock.now_ms())
            seen.append(f"{snapshot.breadth_falling} of {snapshot.breadth_tracked}")
    return seen


def uneven_bars(symbol: str) -> Iterator[Bar]:
    """Hours in which a minute's volume is mostly small and at times large, so that many times the
    usual volume may still be no deviation to speak of."""
    price = FIRST_PRICES[symbol]
    for number in range(240):
        start_ms = START_MS - (240 - number) * 60_000
        volume = 30.0 if number % 20 == 0 else 1.0
        yield Bar(symbol, start_ms, 60_000, price, price, price, price, volume)


def lively_bars(symbol: str) -> Iterator[Bar]:
    """Hours of moves of some thousandths a minute, on volumes of all sizes."""
    rng, price = random.Random(symbol), FIRST_PRICES[symbol]
    for number in range(240):
        start_ms, opened = START_MS - (240 - number) * 60_000, price
        price = FIRST_PRICES[symbol] * (1.0 + rng.gauss(0.0, 0.004))
        low, high = min(opened, price), max(opened, price)
        yield Bar(symbol, start_ms, 60_000, opened, high, low, price, rng.expovariate(0.2))


WALK = st.lists(
    st.tuples(
        st.integers(0, len(SYMBOLS) - 1),
        st.integers(0, 20_000),
        st.just(0),
        st.integers(-12, 12).map(float),
        st.sampled_from([0.5, 1.0, 1.0, 2.0, 40.0]),
    ),
    min_size=120,
    max_size=400,
)


@given(events=WALK, uneven=st.booleans())
@settings(max_examples=rounds(20, 60), deadline=None)
def test_guards_hide_no_spike_no_volume_and_no_crash(events: list[Event], uneven: bool) -> None:
    history = uneven_bars if uneven else None
    guarded = outputs(events, always_look=False, history=history)
    assert guarded == outputs(events, always_look=True, history=history)


def restless(seed: int) -> list[Event]:
    """A walk that now and then runs off one way, on little or much trading."""
    rng, events = random.Random(seed), []
    for _ in range(12):
        which, drift, size = rng.randrange(3), rng.uniform(-9.0, 9.0), rng.choice([0.1, 1.0, 9.0])
        for _ in range(rng.randint(5, 40)):
            pause_ms = rng.choice([50, 500, 3_000, 9_000])
            events.append((which, pause_ms, 0, drift + rng.uniform(-3, 3), rng.random() * size))
    return events


def check_restless(seeds: range) -> int:
    """How many spikes came of the walks, each of which must come with the guards in force too."""
    spikes = 0
    for seed in seeds:
        events = restless(seed)
        history = (None, uneven_bars, lively_bars)[seed % 3]
        honest = outputs(events, always_look=True, history=history, spikes=CHOOSY)
        assert outputs(events, always_look=False, history=history, spikes=CHOOSY) == honest
        spikes += sum(line.startswith("spk-") for line in honest)
    return spikes


def test_bounds_hide_no_spike_whatever_it_was_that_lacked() -> None:
    walks = rounds(24, 60)
    assert check_restless(range(walks)) > walks


def doubled(value: Any) -> Any:
    room, *rest = value
    return (room * 2.0 + 5.0, *rest)


@pytest.mark.parametrize(
    ("owner", "name", "broken"),
    [
        (SpikeBounds, "_missing", doubled),
        (SpikeBounds, "_unsure", lambda value: (value[0], math.inf)),
        (SymbolState, "trail", lambda value: (value[1], value[1])),
        (SpikeDetector, "heeds", lambda _: False),
        (MinuteBars, "rare_moves", lambda value: tuple((2 * a, 2 * b) for a, b in value)),
        (SpikeBounds, "of_price", lambda value: value._replace(of_minute=False)),
    ],
)
def test_bounds_that_leave_too_much_room_are_found_out(
    owner: type, name: str, broken: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = getattr(owner, name)
    monkeypatch.setattr(owner, name, lambda *asked: broken(honest(*asked)))
    with pytest.raises(AssertionError):
        check_restless(range(60))


# A rise of five minutes on little volume, and much of it on a smaller fall within one.
A_FALL_BEHIND_A_RISE: list[Event] = [
    (2, 30_000, 0, 0.0, 0.1),
    *((2, 5_000, 0, 15.0, 0.1) for _ in range(3)),
    (2, 255_000, 0, 12.0, 0.1),
    (2, 3_000, 0, 12.0, 0.1),
    *((2, 4_000, 0, -5.0, 10.0) for _ in range(5)),
]


@pytest.mark.parametrize(
    ("what_ends_it", "bound", "broken"),
    [
        ([(2, 500, 0, -3.0, 0.1)] * 3, "_overtakes", (0.0, math.inf)),
        ([(2, 8_000, 0, 0.0, 0.1)] * 2, "_leaves_ms", 10**18),
    ],
)
def test_a_move_that_stands_behind_a_larger_one_is_seen_when_it_is_the_largest(
    what_ends_it: list[Event], bound: str, broken: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    spikes = CHOOSY.model_copy(update={"min_z_score": 20.0, "min_notional_usd": 0.0})
    events = [*A_FALL_BEHIND_A_RISE, *what_ends_it]

    def seen(events: list[Event], *, always_look: bool = False) -> list[str]:
        return outputs(events, always_look=always_look, history=lively_bars, spikes=spikes)

    honest = seen(events, always_look=True)
    assert any("down-volume" in line for line in honest)
    assert not any("spk-" in line for line in seen(A_FALL_BEHIND_A_RISE))
    assert seen(events) == honest
    monkeypatch.setattr(SpikeBounds, bound, lambda *_: broken)
    assert seen(events) != honest


class NoVolumeLook(SymbolState):
    """Believes for ever that no volume can be unusual."""

    __slots__ = ()

    def distrust_guards(self, new_trades: int = 0) -> None:
        super().distrust_guards(new_trades)
        self.is_volume_due, self.weigh_from_ms = False, 10**18


class LosesStaged(SymbolState):
    """Forgets all but the last staged trade."""

    __slots__ = ()

    def settle(self) -> None:
        for column in (self.times, self.prices, self.quantities):
            del column[:-1]
        super().settle()


class FallsLate(SymbolState):
    """Thinks no price low enough to count as falling."""

    __slots__ = ()

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, 0.0 if name == "fall_line" else value)


CALM_THEN_BUSY: list[Event] = [
    *(
        (which, 20_000, 0, float(step % 2 * 2 - 1), 1.0)
        for step in range(150)
        for which in range(3)
    ),
    *((0, 1_000, 0, 2.0, 400.0) for _ in range(8)),
    *((2, 1_000, 0, -9.0, 1.0) for _ in range(20)),
]


A_MOVE_THEN_MUCH_VOLUME: list[Event] = [
    *((0, 500, 0, 1.0, 0.1) for _ in range(7)),
    *((0, 250, 0, 0.0, 0.5) for _ in range(80)),
]


def test_a_volume_that_grows_unusual_between_looks_is_seen_at_its_trade(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    honest = outputs(A_MOVE_THEN_MUCH_VOLUME, always_look=True, history=uneven_bars)
    assert any("volume" in line for line in honest)
    assert outputs(A_MOVE_THEN_MUCH_VOLUME, always_look=False, history=uneven_bars) == honest
    honest_bounds = SpikeBounds.of_volume

    def forgets_the_room(self: SpikeBounds, *at: Any) -> Bounds:
        return honest_bounds(self, *at)._replace(room=math.inf)

    monkeypatch.setattr(SpikeBounds, "of_volume", forgets_the_room)
    assert outputs(A_MOVE_THEN_MUCH_VOLUME, always_look=False, history=uneven_bars) != honest


@pytest.mark.parametrize("mutant", [NoVolumeLook, LosesStaged, FallsLate])
def test_an_engine_that_looks_too_seldom_is_found_out(
    mutant: type[SymbolState], monkeypatch: pytest.MonkeyPatch
) -> None:
    def check() -> None:
        check_windows(CALM_THEN_BUSY, [False] * 400 + [True])
        check_breadth(CALM_THEN_BUSY, 3)
        assert outputs(CALM_THEN_BUSY, always_look=False) == honest

    honest = outputs(CALM_THEN_BUSY, always_look=True)
    assert any("volume" in line for line in honest)
    check()
    monkeypatch.setattr("trading.market.engine.SymbolState", mutant)
    with pytest.raises(AssertionError):
        check()
