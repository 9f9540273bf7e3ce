"""Draws labelled pumps: every trade's price, the announcement, the onset and the alerts."""

from __future__ import annotations

from pathlib import Path

from crews.evaluation.folder import make_folder
from crews.evaluation.spike_data import Pump
from crews.evaluation.spike_outcome import PumpOutcome
from crews.evaluation.spikes import SpikeResults
from trading.errors import ConfigurationError

_BEFORE_S, _AFTER_S = -300.0, 900.0


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
    import matplotlib.pyplot as plt

    seconds = (pump.times - pump.announced_ms) / 1000
    shown = (seconds >= _BEFORE_S) & (seconds <= _AFTER_S)
    figure, axes = plt.subplots(figsize=(11, 6))
    axes.plot(seconds[shown], pump.prices[shown], linewidth=0.8, color="black")
    axes.axvline(0, color="grey", linestyle=":", label="announced")
    if outcome.onset_s is not None:
        axes.axvline(outcome.onset_s, color="tab:orange", label="onset")
    if outcome.alert and outcome.alert_s is not None:
        axes.axvline(outcome.alert_s, color="crimson", label=f"alert: {outcome.alert.evidence}")
    axes.set_title(f"{outcome.name} UTC")
    axes.set_xlabel("seconds from the announcement")
    axes.set_ylabel("price, USDT" if pump.rate is not None else "price")
    axes.set_xlim(_BEFORE_S, _AFTER_S)
    axes.legend(loc="upper right", fontsize="small")
    axes.grid(alpha=0.3)
    name = outcome.name.replace(" ", "T", 1).replace(":", "").replace(" ", "T")
    path = folder / f"pump-{name}.png"
    figure.savefig(path, dpi=100, bbox_inches="tight")
    plt.close(figure)
    return path
