"""`evaluate spikes` on data made for the purpose, and the arithmetic of its figures."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from crews.cli.app import app
from crews.evaluation.pump_score import Rise, auc, fit, judge_likelihood
from crews.evaluation.spike_data import NaturalMove, Pump, coins_of
from crews.evaluation.spike_figures import share_interval, spikes_report
from crews.evaluation.spike_outcome import judge_natural, judge_pump
from crews.evaluation.spike_player import play
from crews.evaluation.spike_trials import SpikeArchive
from crews.evaluation.spike_tuning import Candidate, Counts, best_of, tune
from crews.evaluation.spikes import evaluate_spikes
from trading.errors import MarketDataError
from trading.market.config import SpikeDetectionConfig
from trading.market.pump_likelihood import PumpFeatures
from trading.model.spike import Spike, SpikeDirection, SpikeType

DAY_MS, MINUTE_MS = 86_400_000, 60_000
START_MS = 1_580_515_200_000  # 2020-02-01
ANNOUNCED_MS = START_MS + 2 * DAY_MS + 3_600_000
BTC = 10_000.0


def spike(at_ms: int, up: bool = True, symbol: str = "ABCUSDT", **more: Any) -> Spike:
    values: dict[str, Any] = {
        "id": f"s{at_ms}",
        "symbol": symbol,
        "type": SpikeType.PRICE,
        "direction": SpikeDirection.UP if up else SpikeDirection.DOWN,
        "detected_at_ms": at_ms,
        "magnitude_pct": 5.0 if up else -5.0,
        "timeframe_minutes": 1,
        "volume_multiple": 5.0,
        "z_score": 5.0,
        "price_from": 1.0,
        "price_to": 1.05,
        "confidence": 0.9,
        "detection_latency_ms": 0.0,
    }
    return Spike.model_validate({**values, **more})


def pump_of(prices: list[tuple[int, float]]) -> Pump:
    """From pairs of seconds after the announcement and price."""
    return Pump(
        "ABC/BTC",
        "ABCUSDT",
        ANNOUNCED_MS,
        np.array([ANNOUNCED_MS + 1000 * s for s, _ in prices], np.int64),
        np.array([price for _, price in prices]),
        np.ones(len(prices)),
        (),
        BTC,
    )


def a_pump() -> Pump:
    """Quiet at 1.0, then from 10 s on to 1.5 at 40 s, and back."""
    quiet = [(second, 1.0) for second in range(-1700, 10, 20)]
    return pump_of([*quiet, (10, 1.04), (20, 1.2), (40, 1.5), (60, 1.1), (600, 1.0)])


def test_a_pumps_onset_peak_and_delay_are_measured_from_its_trades() -> None:
    outcome = judge_pump(a_pump(), [spike(ANNOUNCED_MS + 15_000, price_to=1.25)])
    assert outcome.visible
    assert (outcome.onset_s, outcome.peak_s, outcome.alert_s) == (10, 40, 15)
    assert outcome.delay_s == 5
    assert outcome.peak_pct == pytest.approx(50)
    assert outcome.rise_gone == pytest.approx(0.5)
    assert outcome.before_peak
    assert outcome.false_alerts == 0


def test_an_alert_after_the_peak_is_no_alert_before_it() -> None:
    outcome = judge_pump(a_pump(), [spike(ANNOUNCED_MS + 50_000)])
    assert outcome.alert is not None
    assert not outcome.before_peak


def test_alerts_before_the_pump_are_false_and_detect_nothing() -> None:
    early = [spike(ANNOUNCED_MS - 900_000), spike(ANNOUNCED_MS - 700_000, up=False)]
    outcome = judge_pump(a_pump(), early)
    assert outcome.alert is None
    assert outcome.false_alerts == 2


def test_a_fall_or_another_pairs_rise_detects_no_pump() -> None:
    spikes = [
        spike(ANNOUNCED_MS + 15_000, up=False),
        spike(ANNOUNCED_MS + 15_000, symbol="XYZUSDT"),
    ]
    assert judge_pump(a_pump(), spikes).alert is None


def test_a_pump_that_the_trades_do_not_show_is_not_visible() -> None:
    flat = pump_of([(second, 1.0) for second in range(-1700, 1700, 20)])
    assert not judge_pump(flat, []).visible


def test_a_natural_move_may_have_been_reported_within_the_cool_down_before() -> None:
    move = NaturalMove("ABCUSDT", START_MS, 4.0)
    labelled = frozenset({("ABCUSDT", START_MS // MINUTE_MS)})
    for at_ms, seen in ((-301_000, False), (-299_000, True), (30_000, True), (61_000, False)):
        outcome = judge_natural(move, [spike(START_MS + at_ms)], labelled, 300_000)
        assert (outcome.alert is not None) is seen


def test_a_spike_of_the_labels_size_far_from_every_label_is_unlabelled() -> None:
    move = NaturalMove("ABCUSDT", START_MS, 4.0)
    labelled = frozenset({("ABCUSDT", START_MS // MINUTE_MS)})
    spikes = [spike(START_MS + 30_000), spike(START_MS + 600_000), spike(START_MS - 600_000)]
    small = spike(START_MS + 900_000, magnitude_pct=2.9)
    found = judge_natural(move, [*spikes, small], labelled, 300_000).unlabelled
    assert found == {spikes[1].id, spikes[2].id}


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=30))
def test_auc_is_the_share_of_pairs_in_the_right_order(rows: list[tuple[int, bool]]) -> None:
    scores = np.array([float(score) for score, _ in rows])
    positive = np.array([label for _, label in rows])
    pairs = list(
        itertools.product(
            [score for score, label in rows if label],
            [score for score, label in rows if not label],
        )
    )
    found = auc(scores, positive)
    if not pairs:
        assert found is None
    else:
        wins = sum(1.0 if high > low else 0.5 if high == low else 0.0 for high, low in pairs)
        assert found == pytest.approx(wins / len(pairs))


def test_a_fit_finds_the_feature_that_tells_and_drops_one_of_the_wrong_sign() -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(400, 6))
    positive = rows[:, 3] + 0.3 * rng.normal(size=400) > 0
    rows[:, 0] += positive  # thick pairs as pumps: against the feature's meaning
    weights, _ = fit(rows, positive)
    assert weights[0] == 0.0
    assert weights[3] == max(weights) > 1.0


def test_the_likelihood_is_judged_out_of_fold_and_by_source() -> None:
    thin = PumpFeatures(2.0, 0.0, 0.6, 4.0, 0.5, 1.0)
    thick = PumpFeatures(5.0, 0.0, 0.1, 1.0, 0.5, 0.2)
    rises = [Rise(thin, True, "pump", at) for at in range(20)]
    rises += [Rise(thick, False, "quiet (bars)", at, by_trade=False) for at in range(20)]
    found = judge_likelihood(rises)
    assert found is not None
    assert found["auc_out_of_fold"] == 1.0
    assert found["other_rises"] == {"quiet (bars)": 20}
    assert judge_likelihood(rises[:20]) is None


def test_what_bars_cannot_show_does_not_help_the_score() -> None:
    pump = PumpFeatures(3.0, 0.0, 0.9, 2.0, 0.5, 1.0)
    rises = [Rise(pump, True, "pump", at) for at in range(10)]
    rises += [
        Rise(replace(pump, rush_share=0.0), False, "quiet (bars)", at, by_trade=False)
        for at in range(10)
    ]
    found = judge_likelihood(rises)
    assert found is not None
    assert found["auc_out_of_fold"] == 0.5


GOOD = Counts(pumps=10, pumps_seen=10, pumps_alerted=10, moves=10, moves_seen=10, pair_days=10.0)


def test_counts_add_up_and_every_false_alert_costs() -> None:
    noisy = replace(GOOD, false_alerts=10, quiet_alerts=10)
    assert (GOOD + GOOD).pumps == 20
    assert GOOD.score == 1.0
    assert noisy.false_share == 0.5
    assert noisy.score == pytest.approx(1.0 - 0.5 - 0.1)


def test_alerts_on_natural_moves_do_not_thin_out_the_false_share() -> None:
    many_moves = replace(GOOD, false_alerts=10, moves=1000, moves_seen=1000)
    assert many_moves.false_share == 0.5


@pytest.mark.parametrize(
    ("changes", "meets"),
    [
        ({}, True),
        ({"false_alerts": 1}, True),  # 1 of 11
        ({"pumps_alerted": 9, "false_alerts": 1}, False),  # a tenth is not below a tenth
        ({"pumps_seen": 8}, False),  # though the mean of both recalls is 0.9
        ({"moves_seen": 8}, False),
        ({"moves": 0, "moves_seen": 0}, True),
        ({"pumps": 0, "moves": 0}, False),
    ],
)
def test_a_candidate_meets_the_target_on_each_set(changes: dict[str, int], meets: bool) -> None:
    assert replace(GOOD, **changes).meets_target is meets


def test_a_candidate_that_meets_the_target_goes_before_one_of_a_higher_score() -> None:
    modest = replace(GOOD, pumps_seen=9, quiet_alerts=30)
    noisy = replace(GOOD, pumps_alerted=9, false_alerts=1)
    assert modest.score < noisy.score
    assert modest.rank > noisy.rank


def test_few_alerts_leave_their_false_share_wide_open() -> None:
    assert share_interval(0, 0) is None
    assert share_interval(3, 29) == pytest.approx((0.036, 0.264), abs=0.001)
    low, high = share_interval(300, 2900) or (0.0, 1.0)
    assert high - low < 0.03
    assert share_interval(0, 5) == pytest.approx((0.0, 0.434), abs=0.001)


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """Three days of BTC and ETH, one pump and one natural move of BTC."""
    rng = np.random.default_rng(5)
    minutes = np.arange(3 * 1440)
    for symbol, price in (("BTCUSDT", BTC), ("ETHUSDT", 200.0)):
        closes = price * np.exp(np.cumsum(rng.normal(0, 3e-4, len(minutes))))
        if symbol == "BTCUSDT":
            closes[2000:] *= 1.04
        opens = np.concatenate([[price], closes[:-1]])
        write(
            tmp_path / f"binance_spot_{symbol}_1m_2020.parquet",
            ts=START_MS + minutes * MINUTE_MS,
            open=opens,
            high=np.maximum(opens, closes),
            low=np.minimum(opens, closes),
            close=closes,
            volume=np.where(minutes == 2000, 500.0, rng.uniform(20, 30, len(minutes))),
        )
    write(
        tmp_path / "natural_spikes_x.parquet",
        ts=[START_MS + 2000 * MINUTE_MS, START_MS],
        symbol=["BTC/USDT", "XRP/USDT"],
        return_pct=[4.0, 4.0],
    )
    seconds = [*range(-1800, 0, 30), *np.arange(0, 20, 0.25), *range(60, 3600, 60)]
    rates = [
        1.0 + 0.001 * (at % 2) if s < 0 or s >= 60 else 1.0 + s / 50 for at, s in enumerate(seconds)
    ]
    write(
        tmp_path / "pump_trades_raw_x.parquet",
        symbol=["ABC/BTC"] * len(seconds),
        event_ts=[ANNOUNCED_MS] * len(seconds),
        ts=[ANNOUNCED_MS + int(1000 * s) for s in seconds],
        price=[1e-5 * rate for rate in rates],
        amount=[2e5 if 0 <= s < 60 else 50.0 for s in seconds],
    )
    history = np.arange(2 * 1440 + 30)
    flat = np.where(history % 2, 1.001e-5, 1e-5)
    write(
        tmp_path / "pump_bars_1m_x.parquet",
        symbol=["ABC/BTC"] * len(history),
        event_ts=[ANNOUNCED_MS] * len(history),
        ts=START_MS + history * MINUTE_MS,
        open=flat,
        high=flat,
        low=flat,
        close=flat,
        volume=[100.0] * len(history),
    )
    return tmp_path


def write(path: Path, **columns: Any) -> None:
    pq.write_table(pa.table(columns), path)


def evaluated(folder: Path, *more: str) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["evaluate", "spikes", "--data", str(folder), "--json", *more])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)  # type: ignore[no-any-return]


def test_the_command_finds_what_a_folder_holds_and_names_what_it_lacks(recorded: Path) -> None:
    found = evaluated(recorded)
    assert found["absent"] == ["quiet times", "raw trades of a crash"]
    pumps, natural = found["pumps"], found["natural_moves"]
    assert (pumps["labelled"], pumps["visible"], pumps["detected"]) == (1, 1, 1)
    assert pumps["detected_before_peak"] == 1
    (event,) = pumps["events"]
    assert 0 <= event["alert_s"] < 20
    assert event["pump_likelihood"] > 0.5
    assert (natural["labelled"], natural["with_enough_past"], natural["detected"]) == (2, 1, 1)
    assert found["quiet"]["alerts_per_pair_day"] is None
    assert found["limits"]


def test_the_command_writes_plots_and_its_section_of_a_page(recorded: Path, tmp_path: Path) -> None:
    page, plots = tmp_path / "page.md", tmp_path / "plots"
    evaluated(recorded, "--plots", str(plots), "--report", str(page))
    assert [path.name for path in plots.iterdir()] == ["pump-ABCBTCT2020-02-03T0100.png"]
    text = page.read_text()
    assert "### Labelled pumps" in text
    for kind in SpikeType:  # each with the feed that it needs
        assert f"| {kind.value} |" in text


def test_a_folder_without_pumps_is_judged_by_its_natural_moves(recorded: Path) -> None:
    for name in ("pump_trades_raw_x", "pump_bars_1m_x"):
        (recorded / f"{name}.parquet").unlink()
    found = evaluated(recorded)
    assert found["absent"][0] == "labelled pump trades"
    assert found["pumps"]["recall"] is None
    assert found["pump_likelihood"] is None
    assert found["natural_moves"]["labelled"] == 2


def test_a_folder_with_nothing_to_judge_by_is_refused(recorded: Path) -> None:
    for path in recorded.glob("*.parquet"):
        if path.name.startswith(("pump_", "natural_spikes_")):
            path.unlink()
    result = CliRunner().invoke(app, ["evaluate", "spikes", "--data", str(recorded)])
    assert result.exit_code == 1
    assert "holds no labelled pumps" in str(result.exception)


def test_without_btc_and_eth_a_pump_is_judged_in_its_own_unit(recorded: Path) -> None:
    for path in recorded.glob("binance_spot_*"):
        path.unlink()
    found = evaluated(recorded, "--report", str(recorded / "page.md"))
    assert found["pumps"]["detected"] == 1
    assert found["natural_moves"]["with_enough_past"] == 0
    assert found["pumps"]["unpriced"] == 1
    assert found["pumps"]["precision"] is None
    assert "Of 1 pumps the folder lacks the price" in (recorded / "page.md").read_text()


def test_alerts_that_no_limit_on_notional_held_back_are_in_no_precision(recorded: Path) -> None:
    archive = SpikeArchive(recorded)
    results = evaluate_spikes(archive, SpikeDetectionConfig())
    (outcome,) = results.pumps
    early = (spike(ANNOUNCED_MS - 900_000),)
    for is_priced, alerts in ((True, 1), (False, 0)):
        judged = replace(outcome, early=early, is_priced=is_priced)
        pumps = spikes_report(replace(results, pumps=(judged,)))["pumps"]
        assert (len(pumps["early_alerts"]), pumps["false_alerts_before"]) == (alerts, alerts)
        assert pumps["precision"] == (0.5 if is_priced else None)
        assert pumps["unpriced_false_alerts"] == 1 - alerts


@pytest.mark.parametrize(
    ("pair", "coins"),
    [
        ("NAS/BTC", ("NAS", "BTC")),
        ("NASBTC", ("NAS", "BTC")),
        ("SOLUSDT", ("SOL", "USDT")),
        ("ABC/USDT", ("ABC", "USDT")),
        ("ABC", ("ABC", "USDT")),
    ],
)
def test_a_pairs_coins_are_told_from_its_name(pair: str, coins: tuple[str, str]) -> None:
    assert coins_of(pair) == coins


def test_looks_at_the_market_beside_the_trades_change_no_spike(recorded: Path) -> None:
    archive, config = SpikeArchive(recorded), SpikeDetectionConfig()
    (pump,) = archive.pumps
    start_ms = int(pump.times[0]) // MINUTE_MS * MINUTE_MS
    plays = [
        play(pump.ticks(), {pump.symbol: pump.bars}, config, start_ms, trades_only=only)
        for only in (False, True)
    ]
    assert [s.id for s in plays[0]] == [s.id for s in plays[1]] != []


@pytest.mark.parametrize(
    "name",
    ["pump_trades_raw_z", "pump_bars_1m_z", "natural_spikes_z", "binance_spot_BTCUSDT_1m_2019"],
)
def test_a_file_that_is_no_table_is_named(recorded: Path, name: str) -> None:
    (recorded / f"{name}.parquet").write_text("not a table")
    with pytest.raises(MarketDataError, match=name):
        SpikeArchive(recorded)


def test_rows_that_cannot_be_are_left_out_and_counted_by_file(recorded: Path) -> None:
    broken: dict[str, dict[str, Any]] = {
        "natural_spikes_x": {"return_pct": float("nan")},
        "pump_trades_raw_x": {"price": -1.0},
        "pump_bars_1m_x": {"high": 0.0},
    }
    before = SpikeArchive(recorded)
    for name, change in broken.items():
        path = recorded / f"{name}.parquet"
        table = pq.read_table(path)
        first = table.slice(0, 1).to_pylist()[0]
        rows = [{**first, **change}, dict.fromkeys(first)]
        pq.write_table(pa.concat_tables([pa.Table.from_pylist(rows, table.schema), table]), path)
    found = evaluated(recorded, "--report", str(recorded / "page.md"))
    assert found["rows_left_out"] == {f"{name}.parquet": 2 for name in broken}
    assert "2 rows of pump_bars_1m_x.parquet cannot be" in (recorded / "page.md").read_text()
    after = SpikeArchive(recorded)
    assert after.natural == before.natural
    assert after.pumps[0].bars == before.pumps[0].bars
    assert after.pumps[0].prices.tolist() == before.pumps[0].prices.tolist()


def test_a_quiet_files_bad_bar_is_left_out_once(recorded: Path) -> None:
    minutes = np.arange(2 * 1440)
    prices = {name: np.ones(len(minutes)) for name in ("open", "high", "low", "close", "volume")}
    prices["low"][7] = -1.0
    write(
        recorded / "binance_spot_alts_1m_quiet_2020-02.parquet",
        symbol=["ABCUSDT"] * len(minutes),
        ts=START_MS + minutes * MINUTE_MS,
        **prices,
    )
    archive = SpikeArchive(recorded)
    assert archive.archive.left_out == {"binance_spot_alts_1m_quiet_2020-02.parquet": 1}
    assert [span.name for span in archive.quiet] == ["file binance_spot_alts_1m_quiet_2020-02"]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ({"ts": [None, None], "return_pct": [1.0, 2.0]}, "no row that can be used"),
        ({"ts": [1, 2], "return_pct": ["much", "more"]}, "something else than numbers"),
    ],
)
def test_a_file_without_a_usable_row_is_named(
    recorded: Path, rows: dict[str, list[Any]], said: str
) -> None:
    write(recorded / "natural_spikes_z.parquet", symbol=["A", "B"], **rows)
    with pytest.raises(MarketDataError, match=f"natural_spikes_z.parquet.* {said}"):
        SpikeArchive(recorded)


def test_a_file_that_is_not_what_its_name_says_is_refused(recorded: Path) -> None:
    write(recorded / "pump_trades_raw_y.parquet", symbol=["ABC/BTC"])
    with pytest.raises(MarketDataError, match=r"pump_trades_raw_y.parquet has no column event_ts"):
        SpikeArchive(recorded)


def test_the_search_judges_every_fold_by_what_came_before_it(recorded: Path) -> None:
    said: list[str] = []
    found = tune(SpikeArchive(recorded), SpikeDetectionConfig(), 2, said.append)
    assert len(said) == found["trials"] == 2
    assert [fold["trained_on_blocks"] for fold in found["folds"]] == [[0], [0, 1], [0, 1, 2]]
    searched = {"thresholds_factor", *SpikeDetectionConfig.model_fields}
    assert set(found["best"]["settings"]) <= searched
    assert found["configured"]["settings"]["thresholds_factor"] == 1.0
    assert all({"in_fold", "out_of_fold", "configured"} <= set(fold) for fold in found["folds"])


class _Played:
    """A candidate of which two blocks are known, and which quiet days were asked for."""

    def __init__(self, labelled: Sequence[Counts], quiet_alerts: Sequence[int]) -> None:
        self._labelled = labelled
        self._quiet = [Counts(quiet_alerts=alerts, pair_days=1.0) for alerts in quiet_alerts]
        self.played = False

    def labelled(self, count: int) -> Counts:
        return sum(self._labelled[:count], Counts())

    def total(self, count: int) -> Counts:
        self.played = True
        return sum(self._quiet[:count], self.labelled(count))


_BLOCKS_FOUND = st.builds(
    lambda seen, false, moves: Counts(7, seen, seen, 4, moves, false),
    st.integers(0, 7),
    st.integers(0, 3),
    st.integers(0, 4),
)


@given(
    st.lists(
        st.tuples(
            st.tuples(_BLOCKS_FOUND, _BLOCKS_FOUND),
            st.tuples(st.integers(0, 9), st.integers(0, 9)),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_the_best_is_the_best_although_most_quiet_days_are_not_played(
    found: list[tuple[tuple[Counts, Counts], tuple[int, int]]],
) -> None:
    for count in (1, 2):
        trials = [_Played(*one) for one in found]
        best = best_of(trials, count)
        assert best.total(count).rank == max(trial.total(count).rank for trial in trials)


def test_quiet_days_of_a_candidate_that_cannot_be_the_best_are_not_played() -> None:
    good, bad = _Played([GOOD], [3]), _Played([replace(GOOD, pumps_seen=1)], [0])
    assert best_of([bad, good], 1) is good
    assert not bad.played


def test_a_candidates_factor_multiplies_the_thresholds_of_every_pair() -> None:
    config = SpikeDetectionConfig()
    settings = {
        name: getattr(config, name)
        for name in Candidate.__dataclass_fields__
        if name != "thresholds_factor"
    }
    doubled = Candidate(2.0, **settings).applied(config)
    for symbol in ("BTCUSDT", "XYZUSDT"):
        before, after = config.thresholds_of(symbol), doubled.thresholds_of(symbol)
        assert after.five_minutes_pct == 2.0 * before.five_minutes_pct
    assert Candidate(1.0, **settings).applied(config) == config


def test_a_search_without_a_labelled_event_is_refused(recorded: Path) -> None:
    for name in ("pump_trades_raw_x", "natural_spikes_x"):
        (recorded / f"{name}.parquet").unlink()
    with pytest.raises(MarketDataError, match="no labelled pump"):
        tune(SpikeArchive(recorded), SpikeDetectionConfig(), 2)


@pytest.mark.parametrize("trials", [0, 1])
def test_a_search_among_one_candidate_is_refused(recorded: Path, trials: int) -> None:
    with pytest.raises(ValueError, match="trials must be at least 2"):
        tune(SpikeArchive(recorded), SpikeDetectionConfig(), trials)
