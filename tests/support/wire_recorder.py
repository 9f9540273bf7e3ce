"""A far end of the wire that knows when bytes arrived, by the kernel's word and nobody else's.

Orders are datagrams over the loopback interface; the kernel stamps each one within the sender's own
``send`` call. So an order whose stamp is later than the moment at which a trip returned has left
after it, wherever the sender's thread was, and however late the recorder reads it.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from bisect import bisect_right

SO_TIMESTAMPNS = getattr(socket, "SO_TIMESTAMPNS", 35)
_RECEIVE_BUFFER_BYTES = 8 << 20


class WireRecorder:
    """Collects (arrival in UTC nanoseconds, order id) of every order, on a thread of its own."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.1)
        self.address: tuple[str, int] = self._socket.getsockname()
        self.arrivals: list[tuple[int, str]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def sender(self) -> Wire:
        return Wire(self.address)

    def close(self) -> None:
        """Read what is still there, then stop."""
        self._over.set()
        self._thread.join()
        self._socket.close()

    def _read(self) -> None:
        while True:
            try:
                data, ancillary, _, _ = self._socket.recvmsg(256, 256)
            except TimeoutError:
                if self._over.is_set():
                    return
                continue
            level_type_data = next(a for a in ancillary if a[1] == SO_TIMESTAMPNS)
            seconds, nanoseconds = struct.unpack("qq", level_type_data[2][:16])
            self.arrivals.append((seconds * 1_000_000_000 + nanoseconds, data.decode()))


class Wire:
    """A sender's end."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect(address)

    def send(self, order_id: str) -> None:
        self._socket.send(order_id.encode())

    def close(self) -> None:
        self._socket.close()


class Halts:
    """The stretches of time, from a trip's return to its clearing, in which nothing may arrive."""

    def __init__(self) -> None:
        self._from_ns: list[int] = []
        self._to_ns: list[int] = []
        self._excused: list[frozenset[str]] = []

    def returned(self, in_flight: tuple[str, ...]) -> None:
        """``trigger`` has returned and named what was in flight."""
        self._from_ns.append(time.time_ns())
        self._excused.append(frozenset(in_flight))

    def clearing(self) -> None:
        """The halt is about to be cleared."""
        self._to_ns.append(time.time_ns())

    def late(self, arrivals: list[tuple[int, str]]) -> list[str]:
        """Orders that arrived within a halt and were not named by its trip as in flight."""
        late = []
        for arrived_ns, order_id in arrivals:
            index = bisect_right(self._from_ns, arrived_ns) - 1
            if (
                index >= 0
                and arrived_ns < self._to_ns[index]
                and order_id not in self._excused[index]
            ):
                late.append(order_id)
        return late
