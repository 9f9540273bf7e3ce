"""Guards and bounds hide nothing that a look at every trade would see."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import pytest
from guarded_engine import bars_that_end_in_a_rise, lively_bars, outputs, uneven_bars
from hypothesis import given, settings
from hypothesis import strategies as st
from market_reference import CHOOSY, SPIKES, SYMBOLS, Event, make_engine, ticks
from proofs import rounds

from trading.market import guards
from trading.market.breadth import BreadthWatch
from trading.market.examination import Examination
from trading.market.minute_bars import MinuteBars
from trading.market.spike_bounds import UNBOUNDED, Bounds, SpikeBounds
from trading.market.spike_detector import SpikeDetector
from trading.market.symbol_state import SymbolState

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


def test_a_spike_that_the_history_ends_in_is_seen_at_the_first_trade(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    events: list[Event] = [(2, 100, 0, 0.0, 1.0)]

    def seen(*, always_look: bool = False) -> list[str]:
        history = bars_that_end_in_a_rise
        return outputs(events, always_look=always_look, history=history)

    honest = seen(always_look=True)
    assert any(line.startswith("spk-") for line in honest)
    assert seen() == honest

    def prepare_blindly(self: Examination, state: SymbolState, _: int) -> None:
        time_ms, price = state.last_trade_ms, state.last_price
        self._guard(state, time_ms, price, (UNBOUNDED, UNBOUNDED))

    monkeypatch.setattr(Examination, "prepare", prepare_blindly)
    assert seen() != honest


@pytest.mark.parametrize("watched", [True, False])
def test_a_pair_near_its_high_is_not_asked_at_every_pass_whether_it_falls(
    watched: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    honest = BreadthWatch.is_falling

    def is_falling(self: BreadthWatch, state: SymbolState, price: float, now_ms: int) -> bool:
        asked.append(state.symbol)
        return honest(self, state, price, now_ms)

    def run() -> int:
        asked.clear()
        engine, clock, _ = make_engine(SPIKES.model_copy(update={"enabled": watched}))
        for symbol in SYMBOLS:
            engine.on_bar_history(symbol, lively_bars(symbol))
        calm: list[Event] = [(n % 3, 400, 0, float(n % 2 * 2 - 1), 1.0) for n in range(600)]
        for tick in ticks(calm, clock):
            engine.on_tick(tick)
            engine.advance(clock.now_ms())
        return len(asked)

    monkeypatch.setattr(BreadthWatch, "is_falling", is_falling)
    assert run() < 60
    if not watched:
        monkeypatch.setattr(guards, "ABOVE", 100.0)
        assert run() > 150
