"""What a perpetual costs: its price over the index, its mark price and its funding rate.

The contract's price is the spot price (the index) times one plus the basis. The basis is the sum of
a calm premium, seeded noise, an overreaction to the last minutes' move, and the push of forced
orders, which wears off. Mark price and funding follow Binance's published formulas: the mark is the
median of the index with what is left of funding, the index with the mean gap of the last 2.5
minutes, and the contract's price; funding is the mean premium plus the interest rate's distance
from it, clamped to 0.05 %.
"""

from __future__ import annotations

import math
import random
from collections import deque
from dataclasses import dataclass
from decimal import Decimal

from trading.simulator.futures_config import FuturesConfig

HOUR_MS = 3_600_000
CALM_BASIS = 0.0003
NOISE = 0.0001
NOISE_S = 600.0
TREND_S = 300.0
GAP_S = 150.0
IMPACT_HALF_LIFE_S = 30.0
MOST_BASIS = 0.03
LONGEST_STEP_S = 60.0
INTEREST_PER_8H = 0.0001
INTEREST_CLAMP = 0.0005
FUNDING_CAP = 0.02
REMEMBERED_FUNDINGS = 1000
EIGHT_DECIMALS = Decimal("0.00000001")


@dataclass(frozen=True, slots=True)
class FundingSettlement:
    """A funding that was paid: by longs to shorts where the rate is positive."""

    rate: Decimal
    time_ms: int
    mark_price: Decimal


class PerpetualPrice:
    """The price of one contract, moved by its index. Prices are floats, in the quote asset."""

    def __init__(self, symbol: str, config: FuturesConfig) -> None:
        self.index = 0.0
        self.contract = 0.0
        self.next_funding_ms = 0
        self.settlements: deque[FundingSettlement] = deque(maxlen=REMEMBERED_FUNDINGS)
        self._config = config
        self._interval_ms = config.funding_interval_hours * HOUR_MS
        self._random = random.Random(f"basis {config.seed} {symbol}")
        self._last_ms = 0
        self._trend = 0.0  # slow mean of the index
        self._gap = 0.0
        self._noise = 0.0
        self._impact = 0.0
        self._premium = 0.0
        self._premium_s = 0.0

    @property
    def basis(self) -> float:
        """The contract's price over the index, less one."""
        return self.contract / self.index - 1 if self.index else 0.0

    @property
    def funding_rate(self) -> float:
        """What would be settled for this interval if it ended now."""
        premium = self._premium / self._premium_s if self._premium_s else CALM_BASIS
        interest = INTEREST_PER_8H * self._config.funding_interval_hours / 8
        offset = max(-INTEREST_CLAMP, min(INTEREST_CLAMP, interest - premium))
        return max(-FUNDING_CAP, min(FUNDING_CAP, premium + offset))

    @property
    def mark(self) -> float:
        left = max(0.0, (self.next_funding_ms - self._last_ms) / self._interval_ms)
        with_funding = self.index * (1 + self.funding_rate * left)
        with_gap = self.index + self._gap
        return sorted((with_funding, with_gap, self.contract))[1]

    def advance(self, index: float, time_ms: int) -> float:
        """A new index price; returns the contract's."""
        if not self._last_ms:
            self._trend = index
            self._gap = index * CALM_BASIS
            self._begin(index, time_ms - time_ms % self._interval_ms)
        passed_s = min(LONGEST_STEP_S, max(0.0, (time_ms - self._last_ms) / 1000))
        self._last_ms = max(time_ms, self._last_ms)
        self.index = index
        self._trend += (index - self._trend) * -math.expm1(-passed_s / TREND_S)
        kept = math.exp(-passed_s / NOISE_S)
        self._noise *= kept
        self._noise += NOISE * math.sqrt(1 - kept * kept) * self._random.gauss(0.0, 1.0)
        self._impact *= 0.5 ** (passed_s / IMPACT_HALF_LIFE_S)
        overreaction = self._config.overreaction * (index / self._trend - 1)
        basis = CALM_BASIS + self._noise + overreaction + self._impact
        basis = max(-MOST_BASIS, min(MOST_BASIS, basis))
        self.contract = index * (1 + basis)
        self._gap += (self.contract - index - self._gap) * -math.expm1(-passed_s / GAP_S)
        self._premium += basis * passed_s
        self._premium_s += passed_s
        return self.contract

    def _begin(self, index: float, interval_start_ms: int) -> None:
        """The interval that is under way began with a settlement, at the calm premium's rate."""
        rate = Decimal(repr(round(self.funding_rate, 8))).quantize(EIGHT_DECIMALS)
        mark = as_decimal(index * (1 + CALM_BASIS))
        self.settlements.append(FundingSettlement(rate, interval_start_ms, mark))
        self.next_funding_ms = interval_start_ms + self._interval_ms

    def push(self, share: float) -> None:
        """Forced orders move the price by ``share``, for a while."""
        self._impact += share

    def settle(self) -> FundingSettlement:
        """The interval is over: what it costs, and the next one begins."""
        rate = Decimal(repr(round(self.funding_rate, 8))).quantize(EIGHT_DECIMALS)
        settlement = FundingSettlement(rate, self.next_funding_ms, as_decimal(self.mark))
        self.settlements.append(settlement)
        self._premium = self._premium_s = 0.0
        while self.next_funding_ms <= self._last_ms:
            self.next_funding_ms += self._interval_ms
        return settlement

    @property
    def is_funding_due(self) -> bool:
        return self._last_ms >= self.next_funding_ms > 0


def as_decimal(price: float) -> Decimal:
    """Eight decimals, as the venue shows mark and index prices."""
    return Decimal(repr(round(price, 8))).quantize(EIGHT_DECIMALS)
