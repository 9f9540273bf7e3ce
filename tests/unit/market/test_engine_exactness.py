"""The engine's windows and breadth against references that look at all trades each time."""

from __future__ import annotations

from typing import Any

import pytest
from guarded_engine import outputs
from hypothesis import given, settings
from hypothesis import strategies as st
from market_reference import EVENTS, Event, check_breadth, check_windows
from proofs import rounds

from trading.market.columns import TRADE_BYTES
from trading.market.symbol_state import SymbolState

EXAMPLES = rounds(100, 300)


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
        del self.staged[:-TRADE_BYTES]
        super().settle()


class FallsLate(SymbolState):
    """Thinks no price low enough to count as falling."""

    __slots__ = ()

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, 0.0 if name == "fall_line" else value)


class ForgetsUnseen(SymbolState):
    """Thinks that the pass over all pairs has seen whatever is settled."""

    __slots__ = ()

    def settle(self) -> None:
        super().settle()
        self.seen = 0


CALM_THEN_BUSY: list[Event] = [
    *(
        (which, 20_000, 0, float(step % 2 * 2 - 1), 1.0)
        for step in range(150)
        for which in range(3)
    ),
    *((0, 1_000, 0, 2.0, 400.0) for _ in range(8)),
    *((2, 1_000, 0, -9.0, 1.0) for _ in range(20)),
]


@pytest.mark.parametrize("mutant", [NoVolumeLook, LosesStaged, FallsLate, ForgetsUnseen])
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
