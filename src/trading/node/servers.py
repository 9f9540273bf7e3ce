"""The control API's two sockets, served on the core's main loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import uvicorn
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from trading.api.app import Role, create_app
from trading.api.config import ApiConfig
from trading.api.service import CoreService
from trading.node.instance import RuntimePaths

# More than all clients of one machine need, and far from the process's limit on open files, which
# the exchange's connections need too.
MAX_CONNECTIONS = 100


class _BoundedProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]  # chosen when imported
    """Closes connections beyond ``MAX_CONNECTIONS`` of its server at once."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.close()


class _Server(uvicorn.Server):
    """Signals are the core's own business."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def control_api(
    service: CoreService, config: ApiConfig, paths: RuntimePaths
) -> AsyncIterator[None]:
    """Serve both roles until the block ends. The sockets belong to the user alone (mode 0600)."""
    servers: list[_Server] = []
    tasks: list[asyncio.Task[None]] = []
    sockets = ((Role.OPERATOR, paths.operator_socket), (Role.WORKER, paths.worker_socket))
    try:
        for role, path in sockets:
            server = _Server(
                uvicorn.Config(
                    create_app(service, role, config),
                    http=_BoundedProtocol,
                    log_config=None,
                    access_log=False,
                    lifespan="off",
                    timeout_graceful_shutdown=1,
                )
            )
            tasks.append(asyncio.create_task(server.serve(sockets=[_listen(path)])))
            servers.append(server)
        while not all(server.started for server in servers):
            for task in tasks:
                if task.done():
                    task.result()
            await asyncio.sleep(0.005)
        yield
    finally:
        for server in servers:
            server.should_exit = True
        await asyncio.gather(*tasks, return_exceptions=True)
        for _, path in sockets:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()


def _listen(path: Path) -> socket.socket:
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listening.bind(str(path))
    finally:
        os.umask(before)
    listening.listen(64)
    return listening
