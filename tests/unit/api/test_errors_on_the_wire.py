"""Errors cross the control API as themselves."""

from __future__ import annotations

import pytest

from trading import errors
from trading.api.errors_on_the_wire import from_wire, to_wire

SAMPLES = (
    errors.TradingHaltedError("the breaker is TRIGGERED (epoch 4)"),
    errors.StaleEpochError("epoch 3 is not the current 4"),
    errors.IllegalTransitionError("a model may not clear"),
    errors.DecisionRejectedError("deadline", "2 s too late"),
    errors.RiskLimitError("max_exposure", limit="1000", value="1200", message="with open orders"),
    errors.RateLimitedError("slow down", retry_after_s=7.0),
    errors.OrderNotFoundError("unknown order"),
    errors.MarketDataError("no price for SOLUSDT"),
    errors.StoreCorruptError("not a database"),
)


@pytest.mark.parametrize("error", SAMPLES, ids=lambda error: type(error).__name__)
def test_an_error_comes_back_as_the_same_class_with_the_same_text(
    error: errors.SpikeguardError,
) -> None:
    status, body = to_wire(error)
    again = from_wire(status, body)
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert getattr(again, "rule", None) == getattr(error, "rule", None)
    assert 400 <= status < 600


def test_a_name_that_is_no_error_of_ours_becomes_a_control_api_error() -> None:
    again = from_wire(500, {"error": "annotations", "message": "boom"})
    assert type(again) is errors.ControlApiError
    assert again.status_code == 500
