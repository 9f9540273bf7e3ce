"""A local order book is the venue's, or it is not shown."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.exchange.binance import local_book
from trading.exchange.binance.local_book import BookSnapshot, DepthDiff, LocalBook

PRICES = st.sampled_from([100.0, 100.1, 100.2, 100.3, 99.9, 99.8])
CHANGE = st.tuples(st.sampled_from("ba"), PRICES, st.sampled_from([0.0, 1.0, 2.5, 3.0]))
# What happens next: the venue's book changes and is told; the telling is lost or repeated; an old
# event comes once more; a snapshot is asked for, now or as it was a few updates ago.
STEP = st.one_of(
    st.tuples(st.just("tell"), st.lists(CHANGE, min_size=1, max_size=4)),
    st.tuples(st.just("lose"), st.lists(CHANGE, min_size=1, max_size=3)),
    st.tuples(st.just("repeat"), st.integers(1, 5)),
    st.tuples(st.just("snapshot"), st.integers(0, 3)),
)


@dataclass
class Venue:
    """A book, every state it was in, and the events it told."""

    is_futures: bool
    update_id: int = 10
    told_to: int = 10
    sides: dict[str, dict[float, float]] = field(default_factory=lambda: {"b": {}, "a": {}})
    states: list[tuple[int, dict[str, dict[float, float]]]] = field(default_factory=list)
    told: list[DepthDiff] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._remember()

    def change(self, changes: list[tuple[str, float, float]]) -> DepthDiff:
        first, before = self.told_to + 1, self.told_to
        touched: dict[str, dict[float, float]] = {"b": {}, "a": {}}
        for side, price, quantity in changes:
            self.update_id += 1
            self.sides[side].pop(price, None)
            if quantity:
                self.sides[side][price] = quantity
            touched[side][price] = quantity
            self._remember()
        self.told_to = self.update_id
        diff = DepthDiff(
            s="BTCUSDT",
            E=self.update_id,
            U=first,
            u=self.update_id,
            b=tuple(touched["b"].items()),
            a=tuple(touched["a"].items()),
            pu=before if self.is_futures else None,
        )
        self.told.append(diff)
        return diff

    def snapshot(self, ago: int) -> BookSnapshot:
        number, sides = self.states[max(0, len(self.states) - 1 - ago)]
        return BookSnapshot(number, tuple(sides["b"].items()), tuple(sides["a"].items()))

    def at(self, update_id: int) -> dict[str, dict[float, float]]:
        return next(sides for number, sides in self.states if number == update_id)

    def _remember(self) -> None:
        sides = {side: dict(levels) for side, levels in self.sides.items()}
        self.states.append((self.update_id, sides))


def play(steps: list[tuple[str, object]], *, is_futures: bool) -> bool:
    """Whether the book, wherever it showed itself, was the venue's at that update."""
    venue, book = Venue(is_futures), LocalBook("BTCUSDT")
    for what, detail in steps:
        match what, detail:
            case "tell", list(changes):
                book.apply(venue.change(changes))
            case "lose", list(changes):
                venue.change(changes)
            case "repeat", int(ago) if len(venue.told) >= ago:
                book.apply(venue.told[-ago])
            case "snapshot", int(ago):
                book.load(venue.snapshot(ago), 0)
        top = book.top(100)
        if top is None:
            continue
        truth = venue.at(book.update_id)
        if (dict(top.bids), dict(top.asks)) != (truth["b"], truth["a"]):
            return False
    return True


@settings(max_examples=300, deadline=None)
@given(steps=st.lists(STEP, max_size=30), is_futures=st.booleans())
def test_a_book_that_shows_itself_is_the_venues(
    steps: list[tuple[str, object]], is_futures: bool
) -> None:
    assert play(steps, is_futures=is_futures)


CHANGES = [("b", 100.0, 1.0), ("a", 100.3, 2.5)]
LOST = [
    ("snapshot", 0),
    ("tell", CHANGES),
    ("lose", [("b", 100.0, 0.0)]),
    ("tell", [("a", 100.3, 1.0)]),
]
REPEATED = [
    ("snapshot", 0),
    ("tell", CHANGES),
    ("tell", [("b", 100.0, 3.0)]),
    ("repeat", 2),
]


@pytest.mark.parametrize("is_futures", [False, True])
def test_books_that_overlook_a_gap_or_take_an_event_twice_fail_that_check(
    is_futures: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert play(LOST, is_futures=is_futures)
    assert play(REPEATED, is_futures=is_futures)
    monkeypatch.setattr(LocalBook, "_follows", lambda *_: True)
    assert not play(LOST, is_futures=is_futures)

    def credulous(book: LocalBook, diff: DepthDiff) -> bool:
        book.update_id = max(book.update_id, diff.u)
        local_book._set(book._bids, diff.b)
        local_book._set(book._asks, diff.a)
        return True

    monkeypatch.setattr(LocalBook, "apply", credulous)
    assert not play(REPEATED, is_futures=is_futures)


def test_events_from_before_the_snapshot_wait_for_it_and_a_stale_snapshot_is_refused() -> None:
    venue, book = Venue(is_futures=False), LocalBook("BTCUSDT")
    stale = venue.snapshot(0)
    venue.change(CHANGES)  # told before we listened
    assert book.apply(venue.change([("b", 99.9, 2.5)]))
    assert book.top(5) is None
    assert not book.load(stale, 0)
    assert book.top(5) is None
    assert book.load(venue.snapshot(1), 0)
    top = book.top(1)
    assert top is not None
    assert (top.bids, top.asks) == (((100.0, 1.0),), ((100.3, 2.5),))
    assert book.update_id == venue.update_id


def test_a_gap_hides_the_book_until_a_snapshot_joins_the_stream_again() -> None:
    venue, book = Venue(is_futures=False), LocalBook("BTCUSDT")
    assert book.load(venue.snapshot(0), 0)
    venue.change(CHANGES)
    assert not book.apply(venue.change([("b", 99.9, 2.5)]))
    assert book.top(5) is None
    assert book.load(venue.snapshot(0), 0)
    assert book.update_id == venue.update_id
