"""Reaching the running core, or the stored breaker where none runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from trading.errors import CoreNotRunningError

if TYPE_CHECKING:
    from crews.config import AppConfig
    from trading.api.operator_client import OperatorClient
    from trading.node.instance import InstanceInfo

# A breaker command is answered within milliseconds or something is wrong with the core.
BREAKER_TIMEOUT_S = 3.0


def find_core(config: AppConfig) -> InstanceInfo | None:
    """The core that runs on this configuration's runtime folder; None when there is none."""
    from trading.node.instance import running_instance

    return running_instance(Path(config.api.runtime_directory))


@contextmanager
def running_core(config: AppConfig, timeout_s: float | None = None) -> Iterator[OperatorClient]:
    """A client of the running core.

    Raises:
        CoreNotRunningError: none is running.
    """
    instance = find_core(config)
    if instance is None:
        raise CoreNotRunningError(
            f"no core is running (none in {config.api.runtime_directory}); start one with "
            "`python -m crews.run live`"
        )
    from trading.api.operator_client import OperatorClient

    timeout_s = timeout_s or config.api.request_timeout_s
    with OperatorClient(Path(instance.operator_socket), timeout_s=timeout_s) as client:
        yield client
