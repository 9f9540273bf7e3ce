"""A process that plays a crash over a loopback WebSocket, in Binance's combined-stream frames.

Each crash is a calm stretch and a fall of 18 % in BTC in steps of 2 %, with ETH falling before it.
The departure of every frame of BTC's fall is stamped by the monotonic clock, which the processes of
one machine share, in the instant before the bytes are handed to the socket.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import struct
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from multiprocessing.connection import Connection

CALM_TICKS = 10
INTERVAL_S = 0.005
START_PRICE = 60_000.0
ETH_PRICE = 3_000.0
FALL_STEPS = 10
STEP = 0.98

_numbers: defaultdict[str, Iterator[int]] = defaultdict(lambda: count(1))


class CrashSender:
    """The parent's end. One connection at a time may listen at ``url``."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self.url = f"ws://127.0.0.1:{pipe.recv()}"

    def crash(self) -> list[int]:
        """Play one; returns the departures in monotonic ns. Blocks."""
        self._pipe.send(True)
        departures: list[int] = self._pipe.recv()
        return departures


@contextmanager
def crash_sender() -> Iterator[CrashSender]:
    pipe, far_end = multiprocessing.Pipe()
    process = multiprocessing.Process(target=_serve, args=(far_end,), daemon=True)
    process.start()
    try:
        yield CrashSender(pipe)
    finally:
        process.kill()
        process.join()


def _serve(pipe: Connection) -> None:
    import uvloop
    import websockets

    async def session(socket: websockets.ServerConnection) -> None:
        loop = asyncio.get_running_loop()
        while await loop.run_in_executor(None, pipe.recv):
            pipe.send(await play(socket))

    async def play(socket: websockets.ServerConnection) -> list[int]:
        send = socket.transport.write
        for _ in range(CALM_TICKS):
            send(_frame("BTCUSDT", START_PRICE))
            send(_frame("ETHUSDT", ETH_PRICE))
            await asyncio.sleep(INTERVAL_S)
        for share in (0.96, 0.92):  # ETH falls too: a witness, so that no hold is waited for
            send(_frame("ETHUSDT", ETH_PRICE * share))
        departures = []
        for step in range(1, FALL_STEPS + 1):
            await asyncio.sleep(INTERVAL_S)
            frame = _frame("BTCUSDT", START_PRICE * STEP**step)
            departures.append(time.monotonic_ns())
            send(frame)
        return departures

    async def serve() -> None:
        async with websockets.serve(session, "127.0.0.1", 0, compression=None) as server:
            pipe.send(next(iter(server.sockets)).getsockname()[1])
            await asyncio.Event().wait()

    uvloop.run(serve())


def _frame(symbol: str, price: float) -> bytes:
    """An aggTrade as the combined stream carries it, as the bytes of one text frame."""
    now_ms = time.time_ns() // 1_000_000
    number = next(_numbers[symbol])  # without a gap, and never twice, or the feed passes over it
    data = {"e": "aggTrade", "E": now_ms, "s": symbol, "a": number, "p": f"{price:.2f}"}
    data |= {"q": "0.01", "f": number, "l": number, "T": now_ms, "m": True, "M": True}
    text = json.dumps({"stream": f"{symbol.lower()}@aggTrade", "data": data}).encode()
    return struct.pack("!BBH", 0x81, 126, len(text)) + text  # more than 125 bytes, always
