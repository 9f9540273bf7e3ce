"""Settings of the comparison with the venue's account."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from trading.model.base import ConfigModel


class ReconcileConfig(ConfigModel):
    """What a difference between our books and the venue's account means."""

    dust_value: float = Field(
        default=1.0,
        ge=0,
        le=1_000,
        description="Differences worth less than this, in the quote asset, are ignored.",
    )
    tolerance_pct: float = Field(
        default=0.05,
        ge=0,
        le=5,
        description="Confirmed differences worth at most this share of the equity each are set "
        "right in our books without asking; larger ones trip the breaker and latch it.",
    )
    fix_limit_pct: float = Field(
        default=0.2,
        ge=0,
        le=20,
        description="Most that may be set right so in 24 hours, as a share of the equity; what "
        "comes beyond it trips and latches, too.",
    )

    @model_validator(mode="after")
    def _one_fix_fits_the_limit(self) -> Self:
        if self.tolerance_pct > self.fix_limit_pct:
            raise ValueError(
                f"tolerance_pct={self.tolerance_pct} is above fix_limit_pct={self.fix_limit_pct}"
            )
        return self
