"""Settings of how positions are left, beside the protective stop that they always have."""

from __future__ import annotations

from itertools import pairwise
from typing import Self

from pydantic import Field, model_validator

from trading.model.base import ConfigModel


class ExitConfig(ConfigModel):
    """How positions are left. Every position also has its protective stop on the exchange."""

    take_profits: tuple[tuple[float, float], ...] = Field(
        default=((1.0, 1.0),),
        min_length=1,
        max_length=10,
        description="Where profits are taken: pairs of a share of the way from the entry price to "
        "the take-profit price, and a share of the position to sell there. The first rise, the "
        "second add up to 1: [[0.5, 0.5], [1.0, 0.5]] sells one half half-way.",
    )
    breakeven_after_first: bool = Field(
        default=False,
        description="Once a first part is sold at a profit, the stop moves up to the entry price.",
    )
    trailing_stop_pct: float = Field(
        default=0.0,
        ge=0,
        lt=50,
        description="The stop follows the highest price since the entry at this distance, in %; "
        "0 leaves it where it is.",
    )
    trailing_from_pct: float = Field(
        default=1.0,
        ge=0,
        le=100,
        description="It begins to follow once the price has risen so far above the entry's, in %.",
    )
    trailing_step_pct: float = Field(
        default=0.2,
        gt=0,
        le=10,
        description="It moves in steps of at least this, in %: each is an order replaced.",
    )
    max_holding_minutes: float = Field(
        default=240.0,
        ge=0,
        le=43_200,
        description="A position is sold at market when it is so old, in minutes; 0: at no age.",
    )
    exit_when_resolved: bool = Field(
        default=True,
        description="Sell at market when risk.max_resolved_share of the spike's move is undone: "
        "what the entry was made for is over.",
    )

    @model_validator(mode="after")
    def _levels_rise_to_the_whole(self) -> Self:
        ways = [way for way, _ in self.take_profits]
        shares = [share for _, share in self.take_profits]
        if ways[0] <= 0 or any(later <= sooner for sooner, later in pairwise(ways)):
            raise ValueError(f"take_profits: the shares of the way {ways} must rise from above 0")
        if min(shares) <= 0 or abs(sum(shares) - 1) > 1e-9:
            raise ValueError(f"take_profits: the shares to sell {shares} must add up to 1")
        return self
