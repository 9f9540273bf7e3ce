"""Which numbers in an answer's words count as claims, and which of them are founded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.claims import Collections, Given, _matches, numbers_in, unfounded

GIVEN = Given.of(
    [
        {
            "symbol": "SOLUSDT",
            "return_pct": 4.2345,
            "drawdown": -12.4,
            "share": 0.2871,
            "notional": "1234.49",
            "note": "fell 1.7 % from BTCUSDT's high",
            "ready": True,
        },
        [12, 500_000],
    ]
)


@pytest.mark.parametrize(
    "text",
    [
        "it returned 4.2 % (4.23, 4.234)",
        "rounded, or cut: 4.2345 is 4",
        "fell by 12.4 %, that is -12.4",
        "at 29 % or 28.7 % or 28 % of its limit, 0.29",
        "a notional of 1,234.5 USDT, 1234",
        "about 500k, 0.5M, 500,000",
        "1.7 % is what the note says of BTCUSDT",
        "over 5 min, 15-minute, 1h, 30 s and 4 hours, since 2025-10-10 21:15",
        "100 % sure, 0 or 1, 2 of them",
        "the btc_drawdown_1h rule, order sg-33ab9, MA21",
    ],
)
def test_what_the_data_bears_out_is_no_problem(text: str) -> None:
    assert unfounded([text], GIVEN) == []


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("it returned 5.2 %", "5.2"),
        ("it returned 4.24 %", "4.24"),
        ("volume is 37 times the usual", "37"),
        ("up 7e9", "7e9"),
        ("DOGEUSDT moves the same way", "DOGEUSDT"),
        ("a notional of 1,235.5", "1,235.5"),
        ("٤٢ and 999", "999"),
    ],
)
def test_what_no_data_has_is_named(text: str, named: str) -> None:
    (problem,) = [p for p in unfounded([text], GIVEN) if named in p]
    assert problem.endswith("is in no data and no tool's answer")


def test_endless_claims_give_a_short_list() -> None:
    assert len(unfounded([" ".join(f"{n}.77" for n in range(10_000))], GIVEN)) == 5


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    numbers_in(text)
    unfounded([text], GIVEN)


@given(
    st.floats(min_value=-1e9, max_value=1e9, allow_nan=False), st.integers(min_value=0, max_value=6)
)
def test_a_given_number_may_be_named_rounded_to_any_digits(value: float, digits: int) -> None:
    assert unfounded([f"it is {value:.{digits}f} now"], Given.of([value])) == []


@given(
    st.lists(st.floats(0, 1e6), max_size=30),
    st.floats(0, 1e6),
    st.integers(0, 4),
    st.sampled_from([1.0, 0.01]),
)
def test_a_claim_is_held_against_every_number_whichever_lie_near_it(
    numbers: list[float], chosen: float, digits: int, scale: float
) -> None:
    given_numbers = Given.of([*numbers, chosen * scale])
    for claim in numbers_in(f"it is {chosen:.{digits}f} now"):
        wanted = any(
            _matches(claim, number * factor)
            for number in given_numbers.numbers
            for factor in (1.0, 100.0)
        )
        assert given_numbers.has(claim) == (wanted or claim.value in (0.0, 1.0, 2.0, 100.0))


def test_what_is_collected_once_is_what_is_collected_each_time() -> None:
    sources = [{"price": 104.2, "pair": "SOLUSDT"}, "the 5.5 of ETHUSDT", [1.25, {"a": "7.5"}]]
    collections = Collections()
    for _ in range(2):
        assert Given.of_all(collections.of(source) for source in sources) == Given.of(sources)
