"""Whose move a spike is: the pair's own, or BTC's with the pair in tow.

``isolated_share = 1 - clamp(beta × BTC's move / the pair's move, 0, 1)``, where beta is the slope
of the pair's one-minute returns on BTC's over the minutes before the move (the market model of
event studies; MacKinlay 1997). The move itself does not count: it must not define what is usual.
Where beta cannot be told it is 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from operator import mul

from trading.clock import MINUTE_MS
from trading.market.config import CoMovementConfig
from trading.market.symbol_state import SymbolState
from trading.market.windows import WINDOW_MINUTES
from trading.model.market import Bar
from trading.model.spike import CoMovement

_MIN_PAIRS = 10
_MAX_BTC_AGE_MS = 60_000


@dataclass(frozen=True, slots=True)
class SharedMove:
    """``isolated_share`` and ``btc_move_pct`` are None where BTC's move is not known."""

    kind: CoMovement
    isolated_share: float | None = None
    btc_move_pct: float | None = None


def measure_co_movement(
    config: CoMovementConfig,
    state: SymbolState,
    btc: SymbolState | None,
    move_pct: float,
    minutes: int,
    now_ms: int,
) -> SharedMove:
    """Hold a move of ``minutes`` that ends now against BTC's; BTC's own is the market's.

    Unknown while BTC has no fresh price or less past than the move is long.
    """
    if btc is None or not btc.has_price:
        return SharedMove(CoMovement.UNKNOWN)
    if state is btc:
        return SharedMove(CoMovement.MARKET, 0.0, move_pct)
    if now_ms - btc.windows.last_time_ms > _MAX_BTC_AGE_MS:
        return SharedMove(CoMovement.UNKNOWN)
    window = next(at for at, length in enumerate(WINDOW_MINUTES) if length >= minutes)
    btc.windows.expire(now_ms)
    btc_move = (btc.windows.last_price / btc.windows.first_price(window) - 1.0) * 100.0
    wanted = config.beta_minutes + minutes + 1
    before_ms = now_ms - minutes * MINUTE_MS
    beta = _beta(state.bars.last(wanted), btc.bars.last(wanted), before_ms)
    if move_pct == 0.0:
        return SharedMove(CoMovement.UNKNOWN, None, btc_move)
    explained = beta * btc_move / move_pct
    share = 1.0 - min(1.0, max(0.0, explained))
    if share >= config.isolated_from:
        return SharedMove(CoMovement.ISOLATED, share, btc_move)
    if share < config.market_below:
        return SharedMove(CoMovement.MARKET, share, btc_move)
    return SharedMove(CoMovement.PARTLY, share, btc_move)


def _beta(bars: tuple[Bar, ...], reference: tuple[Bar, ...], before_ms: int) -> float:
    """Slope of the returns on the reference's, both up to ``before_ms``; 1 when it is unknown.

    Bars come without gaps (``MinuteBars`` fills them), so equal ends make equal minutes.
    """
    if not bars or not reference:
        return 1.0
    end_ms = min(before_ms, bars[-1].close_time_ms, reference[-1].close_time_ms)
    closes = [bar.close for bar in bars if bar.open_time_ms + MINUTE_MS <= end_ms]
    others = [bar.close for bar in reference if bar.open_time_ms + MINUTE_MS <= end_ms]
    count = min(len(closes), len(others))
    if count <= _MIN_PAIRS:
        return 1.0
    ys = [new / old for old, new in pairwise(closes[-count:])]
    xs = [new / old for old, new in pairwise(others[-count:])]
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    xs = [x - mean_x for x in xs]
    spread: float = sum(map(mul, xs, xs))
    if spread <= 0.0:
        return 1.0
    together: float = sum(map(mul, xs, [y - mean_y for y in ys]))
    return together / spread
