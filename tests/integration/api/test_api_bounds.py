"""A worker that floods its socket neither stops the core nor keeps the operator out."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import httpx
import pytest
from served_breaker import serving_breaker

from trading.api.body_limit import MAX_BODY_BYTES
from trading.api.http_client import HttpTradingClient
from trading.api.schemas import TripCommand
from trading.clock import SystemClock
from trading.node.instance import RuntimePaths
from trading.node.servers import MAX_CONNECTIONS
from trading.risk.breaker_store import create_store
from trading.storage.config import StorageConfig


@pytest.fixture
def paths(tmp_path: Path) -> Iterator[RuntimePaths]:
    storage = StorageConfig(path=tmp_path / "store.sqlite3")
    create_store(storage, SystemClock())
    with serving_breaker(storage, tmp_path / "run"):
        yield RuntimePaths(tmp_path / "run")


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_refused_and_changes_nothing(
    paths: RuntimePaths, chunked: bool
) -> None:
    body = b'{"reason": "x", "details": {"a": "' + b"y" * MAX_BODY_BYTES + b'"}}'
    transport = httpx.HTTPTransport(uds=str(paths.worker_socket))
    with httpx.Client(transport=transport, base_url="http://core") as client:
        response = client.post(
            "/v1/breaker/trip",
            content=iter([body[:1000], body[1000:]]) if chunked else body,
            headers={"content-type": "application/json"},
        )
        assert response.status_code == 413
    with HttpTradingClient(paths.operator_socket) as operator:
        assert operator.breaker().snapshot.epoch == 0


def test_a_flood_of_connections_is_cut_off_and_the_operator_still_gets_through(
    paths: RuntimePaths,
) -> None:
    with ExitStack() as stack:
        flood = []
        for _ in range(MAX_CONNECTIONS + 20):
            connection = stack.enter_context(closing(socket.socket(socket.AF_UNIX)))
            connection.settimeout(2)
            connection.connect(str(paths.worker_socket))
            flood.append(connection)
        assert [connection.recv(1) for connection in flood[-20:]] == [b""] * 20
        with HttpTradingClient(paths.operator_socket) as operator:
            assert operator.trip(TripCommand(reason="flooded")).applied
