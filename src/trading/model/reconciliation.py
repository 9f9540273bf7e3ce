"""What a comparison of our books with the venue's account found, and what was done about it."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from trading.model.base import ValueModel


class ReconciliationOutcome(StrEnum):
    CLEAN = "clean"
    DIFFERS = "differs"  # seen, not confirmed yet
    FIXED = "fixed"  # within tolerance: our books were set right
    LATCHED = "latched"  # beyond it: the breaker is tripped and latched
    ACCEPTED = "accepted"  # an operator took the venue's word for it
    INCOMPLETE = "incomplete"  # could not be asked, or something moved: nothing is concluded


class AssetComparison(ValueModel):
    """One asset. Quantities are of the asset; ``price`` values one unit in the quote asset.

    ``ours`` is what our positions hold, or our cash; ``external`` what was in the account before
    or came by other hands; ``dust`` what closed positions left over.
    """

    asset: str
    ours: Decimal
    external: Decimal
    dust: Decimal
    venue: Decimal
    tolerance: Decimal
    price: Decimal | None

    @property
    def difference(self) -> Decimal:
        """The venue's less ours."""
        return self.venue - self.ours - self.external - self.dust

    @property
    def value(self) -> Decimal | None:
        """What the difference is worth, in the quote asset; None without a price."""
        return None if self.price is None else abs(self.difference) * self.price


class ReconciliationReport(ValueModel):
    """One comparison. ``cause`` says why it was made."""

    time_ms: int
    cause: str
    outcome: ReconciliationOutcome
    problem: str = ""
    assets: tuple[AssetComparison, ...] = ()  # those of positions, and those that differ
    external_orders: tuple[str, ...] = ()  # client order ids that are not ours
    fixed_value: Decimal = Decimal(0)  # quote asset
    duration_ms: int = 0
