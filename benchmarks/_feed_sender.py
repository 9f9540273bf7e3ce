"""A process that sends trades over a loopback WebSocket at a steady rate, in Binance's frames.

The departure of every frame is stamped by the monotonic clock, which the processes of one machine
share, in the instant before the bytes are handed to the socket.
"""

from __future__ import annotations

import asyncio
import json
import math
import multiprocessing
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from ctypes import c_int64
from multiprocessing.connection import Connection

MOST_FRAMES = 5_000_000
_PACE_S = 0.0005


@contextmanager
def steady_feed(prices: Mapping[str, float], per_s: int) -> Iterator[tuple[str, Sequence[int]]]:
    """Its address and the departures by frame; it sends to whom connects, one at a time."""
    departures = multiprocessing.RawArray(c_int64, MOST_FRAMES)
    pipe, far_end = multiprocessing.Pipe()
    process = multiprocessing.Process(
        target=_serve, args=(far_end, dict(prices), per_s, departures), daemon=True
    )
    process.start()
    far_end.close()
    try:
        yield f"ws://127.0.0.1:{pipe.recv()}", departures
    finally:
        process.kill()
        process.join()


def _serve(pipe: Connection, prices: dict[str, float], per_s: int, departures: list[int]) -> None:
    import uvloop
    import websockets

    async def session(socket: websockets.ServerConnection) -> None:
        send, pairs = socket.transport.write, list(prices.items())
        began, number = time.monotonic(), 0
        while number < MOST_FRAMES:
            for _ in range(int((time.monotonic() - began) * per_s) - number):
                round_of, pair = divmod(number, len(pairs))
                symbol, price = pairs[pair]
                frame = _frame(symbol, round_of, price * (1 + 1e-4 * math.sin(round_of / 500)))
                departures[number] = time.monotonic_ns()
                send(frame)
                number += 1
            await asyncio.sleep(_PACE_S)

    async def serve() -> None:
        async with websockets.serve(session, "127.0.0.1", 0, compression=None) as server:
            pipe.send(next(iter(server.sockets)).getsockname()[1])
            await asyncio.Event().wait()

    uvloop.run(serve())


def _frame(symbol: str, number: int, price: float) -> bytes:
    """An aggTrade as the combined stream carries it, as the bytes of one text frame."""
    now_ms = time.time_ns() // 1_000_000
    data = {"e": "aggTrade", "E": now_ms, "s": symbol, "a": number, "p": f"{price:.2f}"}
    data |= {"q": "0.01", "f": number, "l": number, "T": now_ms, "m": True, "M": True}
    text = json.dumps({"stream": f"{symbol.lower()}@aggTrade", "data": data}).encode()
    return struct.pack("!BBH", 0x81, 126, len(text)) + text  # more than 125 bytes, always
