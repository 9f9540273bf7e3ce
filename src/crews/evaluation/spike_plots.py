"""Draws labelled pumps: every trade's price, the announcement, the onset and the alerts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from crews.evaluation.folder import make_folder
from crews.evaluation.spike_data import Pump
from crews.evaluation.spike_outcome import PumpOutcome
from crews.evaluation.spikes import SpikeResults
from trading.errors import ConfigurationError
from trading.model.spike import SpikeDirection

_AFTER_S = 900.0
_MARGIN_S = 20.0  # around the close-up


def plot_spikes(results: SpikeResults, folder: Path) -> list[Path]:
    """A picture per labelled pump. Raises ConfigurationError where matplotlib is not installed."""
    try:
        import matplotlib
    except ImportError as error:
        raise ConfigurationError(
            "plots need matplotlib: pip install 'spikeguard[evaluation]'"
        ) from error
    matplotlib.use("Agg")
    make_folder(folder)
    pairs = zip(results.archive.pumps, results.pumps, strict=True)
    return [_draw(pump, outcome, folder) for pump, outcome in pairs]


def _draw(pump: Pump, outcome: PumpOutcome, folder: Path) -> Path:
    """The half hour before and the quarter after, and beside it the seconds of the rise."""
    import matplotlib.pyplot as plt

    figure, (whole, close) = plt.subplots(
        ncols=2, figsize=(15, 6), width_ratios=(3, 2), layout="constrained"
    )
    moments = [
        at for at in (0.0, outcome.onset_s, outcome.alert_s, outcome.peak_s) if at is not None
    ]
    first_s = float(pump.times[0] - pump.announced_ms) / 1000
    _panel(whole, pump, outcome, first_s, _AFTER_S)
    _panel(close, pump, outcome, min(moments) - _MARGIN_S, max(moments) + _MARGIN_S)
    whole.set_ylabel("price, USDT" if pump.rate is not None else f"price of {pump.pair}")
    whole.legend(loc="upper left", fontsize="small")
    close.set_title("the rise", fontsize="medium")
    figure.suptitle(_title(outcome))
    name = outcome.name.replace(" ", "T", 1).replace(":", "").replace(" ", "T")
    path = folder / f"pump-{name}.png"
    figure.savefig(path, dpi=100)
    plt.close(figure)
    return path


def _title(outcome: PumpOutcome) -> str:
    if not outcome.visible:
        return f"{outcome.name} UTC: the trades show no pump"
    found = "not seen"
    if outcome.alert and outcome.delay_s is not None:
        found = f"seen {abs(outcome.delay_s):.1f} s {_side(outcome.delay_s)} its onset"
        found += f", at {outcome.alert.evidence}"
    return f"{outcome.name} UTC: {outcome.peak_pct:+.0f} %, {found}"


def _side(delay_s: float) -> str:
    return "after" if delay_s >= 0 else "before"


def _panel(axes: Any, pump: Pump, outcome: PumpOutcome, start_s: float, end_s: float) -> None:
    seconds = (pump.times - pump.announced_ms) / 1000
    shown = (seconds >= start_s) & (seconds <= end_s)
    # A price holds until the next trade: slanted lines would show prices that nobody paid.
    axes.step(
        seconds[shown], pump.prices[shown], where="post", linewidth=0.8, color="black", zorder=1
    )
    axes.axvline(0, color="grey", linestyle=":", label="announced", zorder=0)
    if outcome.onset_s is not None:
        axes.axvline(outcome.onset_s, color="tab:orange", linestyle="--", label="onset", zorder=0)
    if outcome.alert and outcome.alert_s is not None:
        point = (outcome.alert_s, outcome.alert.price_to)
        axes.scatter(*point, s=70, color="crimson", label="alert", zorder=3)
    for number, spike in enumerate(outcome.early):
        at_s = (spike.detected_at_ms - pump.announced_ms) / 1000
        if start_s <= at_s <= end_s:
            axes.scatter(
                at_s,
                spike.price_to,
                s=70,
                marker="^" if spike.direction is SpikeDirection.UP else "v",
                color="tab:purple",
                label=None if number else "false alert",
                zorder=3,
            )
    axes.set_xlim(start_s, end_s)
    axes.set_xlabel("seconds from the announcement")
    axes.grid(alpha=0.3)
