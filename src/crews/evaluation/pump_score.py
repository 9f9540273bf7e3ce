"""How well the pump likelihood tells labelled pumps from other rises.

A ridge logistic regression over the features of ``trading.market.pump_likelihood``, fitted by
Newton's method (Hastie, Tibshirani, Friedman, The Elements of Statistical Learning, 4.4.1). Out of
fold: events are cut into blocks by time, each block is scored by weights fitted on the others. AUC
is the share of pairs of a pump and another rise in which the pump scores higher (Mann–Whitney).
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from crews.evaluation.spike_report import LikelihoodReport
from trading.market.pump_likelihood import (
    BIAS,
    FREE_TO_FIT,
    WEIGHTS,
    PumpFeatures,
    clipped,
    pump_likelihood,
)
from trading.model.spike import Spike

Floats = npt.NDArray[np.float64]
FOLDS = 4
_RIDGE = 1.0  # on standardised features: few events, correlated features
_NEWTON_STEPS = 50


@dataclass(frozen=True, slots=True)
class Rise:
    """A reported rise with its recorded features. ``source`` says where it is from."""

    features: PumpFeatures
    is_pump: bool
    source: str
    time_ms: int
    by_trade: bool = True  # else from minute bars, which have no runs of trades


def rise_of(spike: Spike, *, is_pump: bool, source: str, by_trade: bool = True) -> Rise | None:
    """None for a spike without recorded features: a fall, or a pair without a past."""
    if not spike.pump_features:
        return None
    features = PumpFeatures(**spike.pump_features)
    return Rise(features, is_pump, source, spike.detected_at_ms, by_trade)


def auc(scores: Floats, positive: npt.NDArray[np.bool_]) -> float | None:
    """Mann–Whitney, ties count half; None without both classes."""
    high, low = scores[positive], scores[~positive]
    if not len(high) or not len(low):
        return None
    ranked = np.sort(low)
    below = np.searchsorted(ranked, high, side="left")
    not_above = np.searchsorted(ranked, high, side="right")
    return float((below + not_above).sum() / (2.0 * len(high) * len(low)))


def fit(rows: Floats, positive: npt.NDArray[np.bool_]) -> tuple[Floats, float]:
    """Weights and bias on the features as they are. Classes count the same in sum.

    Weights have the sign that the feature's meaning gives it or are 0 (``FREE_TO_FIT``).
    """
    centre, scale = rows.mean(axis=0), rows.std(axis=0)
    scale[scale < 1e-9] = 1.0
    design = np.column_stack([(rows - centre) / scale, np.ones(len(rows))])
    target = positive.astype(np.float64)
    share = target.mean()
    weight = np.where(positive, 0.5 / share, 0.5 / (1.0 - share))
    used = np.ones(design.shape[1], dtype=bool)
    signs = np.array([getattr(FREE_TO_FIT, field.name) for field in fields(PumpFeatures)])
    while True:
        solution = np.zeros(design.shape[1])
        solution[used] = _newton(design[:, used], target, weight)
        against = np.append(solution[:-1] * signs < 0.0, False)
        if not against.any():
            break
        used &= ~against
    weights = solution[:-1] / scale
    return weights, float(solution[-1] - weights @ centre)


def _newton(design: Floats, target: Floats, weight: Floats) -> Floats:
    ridge = np.eye(design.shape[1]) * _RIDGE
    ridge[-1, -1] = 0.0
    solution = np.zeros(design.shape[1])
    for _ in range(_NEWTON_STEPS):
        chance = 1.0 / (1.0 + np.exp(-np.clip(design @ solution, -30, 30)))
        gradient = design.T @ (weight * (target - chance)) - ridge @ solution
        bend = (design.T * (weight * chance * (1.0 - chance))) @ design + ridge
        step = np.linalg.solve(bend, gradient)
        solution = solution + step
        if float(np.abs(step).max()) < 1e-8:
            break
    return solution


def judge_likelihood(rises: Sequence[Rise]) -> LikelihoodReport | None:
    """AUC of the shipped weights and out of fold, per source of other rises; None without both.

    With fewer than two of a kind for each fold nothing is said out of fold.
    """
    rises = _without_bars_rush(rises)
    ordered = sorted(rises, key=lambda rise: (rise.is_pump, rise.source, rise.time_ms))
    positive = np.array([rise.is_pump for rise in ordered], dtype=bool)
    if not positive.any() or positive.all():
        return None
    rows = np.array([clipped(rise.features) for rise in ordered])
    shipped = np.array([pump_likelihood(rise.features) for rise in ordered])
    sources = np.array([rise.source for rise in ordered])
    folds = np.zeros(len(ordered), dtype=int)
    for source in set(sources):
        at = np.flatnonzero(sources == source)  # in time order
        folds[at] = np.arange(len(at)) * FOLDS // len(at)
    held_out, fitted = np.zeros(len(ordered)), []
    enough = min(int(positive.sum()), int((~positive).sum())) >= 2 * FOLDS
    for fold in range(FOLDS if enough else 0):
        train = folds != fold
        weights, bias = fit(rows[train], positive[train])
        held_out[~train] = rows[~train] @ weights + bias
        fitted.append(_named(weights, bias))
    weights, bias = fit(rows, positive)
    others = sorted(set(sources[~positive]))
    return {
        "pumps": int(positive.sum()),
        "other_rises": {source: int((sources == source).sum()) for source in others},
        "auc_shipped_weights": _rounded(auc(shipped, positive)),
        "auc_out_of_fold": _rounded(auc(held_out, positive)) if enough else None,
        "by_source": {
            source: {
                "auc_shipped_weights": _rounded(auc(shipped[at], positive[at])),
                "auc_out_of_fold": _rounded(auc(held_out[at], positive[at])) if enough else None,
            }
            for source in others
            for at in [positive | (sources == source)]
        },
        "shipped_weights": _named(np.array(clipped_order(WEIGHTS)), BIAS),
        "fitted_weights": _named(weights, bias),
        "fitted_weights_by_fold": fitted,
        "share_above_half": {
            "pumps": round(float((shipped[positive] > 0.5).mean()), 3),
            "other_rises": round(float((shipped[~positive] > 0.5).mean()), 3),
        },
    }


def _without_bars_rush(rises: Sequence[Rise]) -> list[Rise]:
    """Rises from minute bars get the median pump's rush: what they cannot show must not help."""
    of_pumps = [rise.features.rush_share for rise in rises if rise.is_pump]
    usual = statistics.median(of_pumps) if of_pumps else 0.0
    return [
        rise if rise.by_trade else replace(rise, features=replace(rise.features, rush_share=usual))
        for rise in rises
    ]


def clipped_order(features: PumpFeatures) -> tuple[float, ...]:
    return tuple(getattr(features, field.name) for field in fields(PumpFeatures))


def _named(weights: Floats, bias: float) -> dict[str, float]:
    names = [field.name for field in fields(PumpFeatures)]
    return {
        **{name: round(float(value), 3) for name, value in zip(names, weights, strict=True)},
        "bias": round(bias, 3),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
