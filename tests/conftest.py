"""A test that hangs even after its time-out ends with its process; certificates are read once.

pytest-timeout fails a test once. What still hangs then (a fixture on its way out, a call that no
signal interrupts) would hang for ever.
"""

from __future__ import annotations

import faulthandler
import functools
import ssl
import sys
from collections.abc import Generator, Iterator
from typing import Any

import pytest
from hypothesis import settings

GRACE_S = 60.0

# An example may take as long as the machine makes it: what hangs is called off as a test.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")


def _end_process_in(seconds: float) -> None:
    faulthandler.dump_traceback_later(seconds, exit=True, file=sys.__stderr__)


@pytest.hookimpl(wrapper=True)
def pytest_timeout_set_timer(settings: Any) -> Generator[None, Any, Any]:
    _end_process_in(settings.timeout + GRACE_S)
    return (yield)


@pytest.hookimpl(trylast=True)
def pytest_exception_interact(node: Any) -> None:
    if isinstance(node, pytest.Item):  # pytest has just called it off
        _end_process_in(GRACE_S)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Generator[None, Any, Any]:
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


@pytest.fixture(scope="session", autouse=True)
def _certificates_are_read_once() -> Iterator[None]:
    """Each model of a crew makes two clients, and each client reads all root certificates anew,
    though all that it speaks to in a test is on loopback, and without TLS."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", functools.cache(ssl.create_default_context))
        yield
