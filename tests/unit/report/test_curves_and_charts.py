"""What is drawn is what was measured: no extreme, silence or new account is smoothed away."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from crews.report.chart import Line, Mark, line_chart, thinned
from crews.report.content import Zone
from crews.report.curves import curves_of, unbroken
from crews.report.page import _axis_amount
from trading.clock import HOUR_MS, MINUTE_MS
from trading.storage.equity_point_repository import EquityMeasure

START_MS = 1_760_054_400_000


def point(
    minute: int, equity: float, twin: float | None = None, price: float = 100
) -> EquityMeasure:
    return EquityMeasure(START_MS + minute * MINUTE_MS, equity, twin, price)


def test_a_new_account_earns_nothing_by_being_new() -> None:
    points = [point(0, 100), point(1, 90), point(5, 1000), point(6, 1100)]
    curves = curves_of(points, [START_MS + 3 * MINUTE_MS])
    levels = [round(level, 9) for _, level in curves.growth]
    assert levels == [1.0, 0.9, 0.9, 0.99]
    assert curves.accounts == 2


def test_without_a_new_account_growth_follows_equity() -> None:
    curves = curves_of([point(0, 100, price=50), point(1, 110, price=40)], [])
    assert [round(level, 9) for _, level in curves.growth] == [1.0, 1.1]
    assert [round(level, 9) for _, level in curves.holding] == [1.0, 0.8]


def test_a_run_without_a_breaker_is_judged_only_where_all_of_it_is_known() -> None:
    whole = curves_of([point(0, 100, 100), point(1, 90, 80)], [])
    assert len(whole.without_breaker_growth) == 2
    halt_only = curves_of([point(0, 100), point(1, 90, 80)], [])
    assert (len(halt_only.without_breaker), len(halt_only.without_breaker_growth)) == (1, 0)


def test_a_silence_is_not_drawn_over() -> None:
    curve = [(START_MS, 1.0), (START_MS + MINUTE_MS, 2.0), (START_MS + HOUR_MS, 3.0)]
    assert [len(part) for part in unbroken(curve)] == [2, 1]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=400), st.floats(0.01, 2))
def test_thinning_keeps_first_last_and_every_extreme(values: list[float], width: float) -> None:
    points = [(place * width, value) for place, value in enumerate(values)]
    kept = thinned(points)
    assert kept == sorted(set(kept) & set(points))
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    for column in {int(x) for x, _ in points}:
        inside = [value for x, value in points if int(x) == column]
        shown = [value for x, value in kept if int(x) == column]
        assert (min(shown), max(shown)) == (min(inside), max(inside))
        assert len(shown) <= 4


def test_texts_in_a_chart_are_escaped() -> None:
    drawn = line_chart(
        [Line([(START_MS, 1.0), (START_MS + MINUTE_MS, 2.0)], "equity")],
        [Zone("TRIGGERED", START_MS, START_MS + MINUTE_MS)],
        [Mark(START_MS, "won", "</title><script>alert(1)</script>")],
        start_ms=START_MS,
        end_ms=START_MS + MINUTE_MS,
        label='"><script>alert(2)</script>',
        unit=lambda value: f"<{value}>",
    )
    assert "<script" not in drawn
    assert drawn.count("&lt;script&gt;") == 2


def test_zones_and_curves_stay_inside_the_picture() -> None:
    drawn = line_chart(
        [Line([(START_MS + i * MINUTE_MS, float(i % 7)) for i in range(5000)], "equity")],
        [Zone("WARNING", START_MS - HOUR_MS, START_MS + 9000 * MINUTE_MS)],
        [],
        start_ms=START_MS,
        end_ms=START_MS + 5000 * MINUTE_MS,
        label="",
        unit=str,
    )
    numbers = re.findall(r"(\d+\.\d),(\d+\.\d)", drawn)
    assert len(numbers) > 800
    assert all(76 <= float(x) <= 936 and 10 <= float(y) <= 274 for x, y in numbers)
    assert 'x="76.0"' in drawn
    assert 'width="860.0"' in drawn


def test_a_label_at_the_right_edge_is_not_cut_off() -> None:
    drawn = line_chart(
        [Line([(START_MS, 1.0), (START_MS + HOUR_MS, 2.0)], "equity")],
        [],
        [],
        start_ms=START_MS,
        end_ms=START_MS + HOUR_MS,
        label="",
        unit=str,
    )
    labels = re.findall(r'class="axis x" x="([\d.]+)" y="\d+">([^<]+)<', drawn)
    last, text = labels[-1]
    assert re.fullmatch(r"\d\d:\d\d", text)
    assert float(last) + len(text) * 8 / 2 <= 960


def test_an_axis_says_its_values_in_full() -> None:
    written = [_axis_amount(value) for value in (9_997.5, 10_000.0, 0.25, 87.5, 0.0)]
    assert written == ["9,997.5", "10,000", "0.25", "87.5", "0"]
