"""The lease, and what of its settings is refused."""

from __future__ import annotations

import time

import pytest
from pydantic import ValidationError

from trading.risk.redis_config import RedisConfig
from trading.risk.redis_lease import Lease, no_lease, steady_ns
from trading.risk.redis_record import Membership


def test_a_lease_ends_at_its_moment_and_says_why_nothing_may_leave() -> None:
    lease = Lease(until_ns=1_000)
    assert lease.refusal(999) is None
    assert "run out" in str(lease.refusal(1_000))
    assert no_lease("halted").refusal(0) == "halted"


def test_the_lease_clock_stands_still_while_the_wall_clock_is_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = steady_ns()
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert 0 <= steady_ns() - before < 60 * 10**9


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"renew_interval_ms": 500, "timeout_ms": 500}, "must stay below lease_ms=1000"),
        ({"lease_ms": 1_501}, "less than or equal to 1500"),
        ({"url": "redis://:secret@host"}, "REDIS_PASSWORD"),
        ({"url": "http://host"}, "redis"),
    ],
)
def test_settings_that_would_halt_for_nothing_or_too_late_are_refused(
    settings: dict[str, object], problem: str
) -> None:
    with pytest.raises(ValidationError, match=problem):
        RedisConfig(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("field", [None, "", "1:2", "1:2:x", "1:2:3:4"])
def test_a_members_field_that_makes_no_sense_is_no_membership(field: str | None) -> None:
    assert Membership.parse(field) is None
    assert Membership.parse("3:17:2200") == Membership(3, 17, 2_200)
