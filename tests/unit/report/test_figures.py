"""A report's figures are those of empyrical, and say nothing where there is nothing to say."""

from __future__ import annotations

from itertools import accumulate

import empyrical
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crews.report import figures
from trading.clock import DAY_MS, HOUR_MS

START_MS = 1_760_054_400_000  # midnight UTC
RETURNS = st.lists(
    st.floats(-0.2, 0.2).map(lambda value: round(value, 6)), min_size=40, max_size=120
).filter(lambda returns: len(set(returns)) > 5)


def curve(returns: list[float], step_ms: int = DAY_MS) -> tuple[list[int], list[float]]:
    values = list(accumulate(returns, lambda level, change: level * (1 + change), initial=1000.0))
    return [START_MS + place * step_ms for place in range(len(values))], values


@given(RETURNS)
@settings(max_examples=80, deadline=None)
def test_every_figure_of_a_curve_is_empyricals(returns: list[float]) -> None:
    found = figures.curve_figures(*curve(returns))
    series = np.array(returns)
    assert found is not None
    assert (found.step, found.return_count) == ("daily", len(returns))
    expected = {
        "total_return": empyrical.cum_returns_final(series),
        "max_drawdown": empyrical.max_drawdown(series),
        "annual_volatility": empyrical.annual_volatility(series, annualization=365),
        "sharpe": empyrical.sharpe_ratio(series, annualization=365),
        "sortino": empyrical.sortino_ratio(series, annualization=365),
    }
    for name, value in expected.items():
        own = getattr(found, name)
        if own is None:  # no losing step
            assert not np.isfinite(value), name
        else:
            assert own == pytest.approx(value, rel=1e-6, abs=1e-9), name


@given(st.lists(st.floats(-0.05, 0.05), min_size=365, max_size=800))
@settings(max_examples=30, deadline=None)
def test_a_year_and_more_is_annualised_as_empyrical_does(returns: list[float]) -> None:
    found = figures.curve_figures(*curve(returns))
    series = np.array(returns)
    assert found is not None
    assert found.annual_return == pytest.approx(
        empyrical.annual_return(series, annualization=365), rel=1e-6, abs=1e-9
    )
    if found.calmar is not None:
        assert found.calmar == pytest.approx(
            empyrical.calmar_ratio(series, annualization=365), rel=1e-6, abs=1e-9
        )


def test_less_than_a_year_is_not_annualised() -> None:
    found = figures.curve_figures(*curve([0.01] * 363))
    assert found is not None
    assert (found.annual_return, found.calmar) == (None, None)


@pytest.mark.parametrize(
    ("mutant", "name"),
    [
        (lambda r: np.mean(r) / np.std(r) * 365**0.5, "sharpe"),  # of the population
        (lambda r: np.mean(r) / np.std(r[r < 0], ddof=1) * 365**0.5, "sortino"),  # of losses alone
        (lambda r: min(np.cumprod(1 + r)) - 1, "max_drawdown"),  # from the start, not the peak
        (lambda r: np.sum(r), "total_return"),  # without compounding
    ],
)
def test_a_wrong_formula_would_be_noticed(mutant: object, name: str) -> None:
    returns = [0.02, -0.01, 0.03, -0.04, 0.01] * 10
    found = figures.curve_figures(*curve(returns))
    assert found is not None
    assert getattr(found, name) != pytest.approx(mutant(np.array(returns)), rel=1e-6)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("step_ms", "count", "name"),
    [(DAY_MS, 40, "daily"), (HOUR_MS, 40, "hourly"), (HOUR_MS, 30, "hourly")],
)
def test_returns_last_as_long_as_the_period_gives_enough_of_them(
    step_ms: int, count: int, name: str
) -> None:
    times, values = curve([0.01, -0.01] * (count // 2), step_ms)
    found = figures.curve_figures(times, values)
    assert found is not None
    assert (found.step, found.return_count) == (name, count)


def test_too_few_returns_give_no_ratio() -> None:
    found = figures.curve_figures(*curve([0.01, -0.02] * 14, HOUR_MS))
    assert found is not None
    assert found.max_drawdown < 0
    assert (found.sharpe, found.sortino, found.annual_volatility) == (None, None, None)


def test_a_curve_that_does_not_move_has_no_ratio() -> None:
    found = figures.curve_figures(*curve([0.0] * 50))
    assert found is not None
    assert (found.total_return, found.max_drawdown, found.drawdown_from_ms) == (0, 0, None)
    assert (found.sharpe, found.sortino) == (None, None)


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 0.0], [-1.0, 2.0]])
def test_nothing_is_said_of_a_curve_that_cannot_be_judged(values: list[float]) -> None:
    times = [START_MS + place for place in range(len(values))]
    assert figures.curve_figures(times, values) is None


def test_a_silent_day_changes_nothing_and_the_next_known_value_counts() -> None:
    times = [START_MS, START_MS + DAY_MS, START_MS + 3 * DAY_MS + HOUR_MS]
    samples = figures.sampled(times, [100.0, 110.0, 121.0], DAY_MS)
    assert samples == [100.0, 110.0, 110.0, 110.0, 121.0]


def test_a_value_at_the_boundary_ends_its_step() -> None:
    times = [START_MS, START_MS + DAY_MS, START_MS + DAY_MS + 1, START_MS + 2 * DAY_MS]
    assert figures.sampled(times, [1.0, 2.0, 3.0, 4.0], DAY_MS) == [1.0, 2.0, 4.0]


def test_round_trips_are_summed_up() -> None:
    found = figures.trade_figures([10.0, -5.0, -1.0, 0.0, 20.0, -3.0])
    assert (found.count, found.winning) == (6, 2)
    assert found.win_rate == pytest.approx(2 / 6)
    assert found.profit == pytest.approx(21)
    assert found.profit_factor == pytest.approx(30 / 9)
    assert (found.average_win, found.average_loss) == (15.0, -3.0)
    assert (found.best, found.worst, found.longest_losing_streak) == (20.0, -5.0, 2)


def test_without_a_loss_there_is_no_profit_factor() -> None:
    assert figures.trade_figures([1.0, 2.0]).profit_factor is None
    nothing = figures.trade_figures([])
    assert (nothing.count, nothing.profit, nothing.win_rate) == (0, 0, None)
