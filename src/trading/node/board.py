"""What the screens show: the latest spikes, activity, signs of life, counters."""

from __future__ import annotations

import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable

from trading.api.schemas import STARTING, ActivityEntry, ComponentHealth, SpikeView
from trading.clock import Clock
from trading.model.spike import Spike, SpikeStatus

SHOWN_SPIKES = 40
SHOWN_ACTIVITY = 60
# From its start until a worker is heard first: CrewAI is loaded, on a busy machine for minutes.
WORKER_MUTE_AFTER_S = 300.0


class Board:
    """Bounded memory of what happened lately. Safe to write from any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._begun_ms = time.monotonic_ns() // 1_000_000
        self._lock = threading.Lock()
        self._spikes: OrderedDict[str, SpikeView] = OrderedDict()
        self._activity: deque[ActivityEntry] = deque(maxlen=SHOWN_ACTIVITY)
        self._workers: dict[str, tuple[int, str]] = {}
        self._given_up: dict[str, str] = {}  # workers, and why nobody starts them again
        self._counters: Counter[str] = Counter()
        self._listeners: tuple[Callable[[ActivityEntry], None], ...] = ()

    def say(self, source: str, text: str, level: str = "info") -> None:
        """Add one line of activity, stamped with market time."""
        self.add(ActivityEntry(time_ms=self._clock.now_ms(), source=source, text=text, level=level))

    def add(self, entry: ActivityEntry) -> None:
        with self._lock:
            self._activity.append(entry)
        for listener in self._listeners:
            listener(entry)

    def on_entry(self, listener: Callable[[ActivityEntry], None]) -> None:
        """Have ``listener`` called with every line, on the thread that adds it."""
        self._listeners = (*self._listeners, listener)

    def count(self, name: str, amount: int = 1) -> None:
        with self._lock:
            self._counters[name] += amount

    def show_spike(self, spike: Spike, status: SpikeStatus, note: str = "") -> None:
        """Add or update a spike."""
        with self._lock:
            self._spikes[spike.id] = SpikeView(spike=spike, status=status, note=note)
            while len(self._spikes) > SHOWN_SPIKES:
                self._spikes.popitem(last=False)

    def update_spike(self, spike_id: str, status: SpikeStatus, note: str = "") -> None:
        """Change a shown spike; one that is no longer shown is ignored."""
        with self._lock:
            if (view := self._spikes.get(spike_id)) is not None:
                self._spikes[spike_id] = SpikeView(spike=view.spike, status=status, note=note)

    def worker_seen(self, worker: str, detail: str, monotonic_ms: int) -> None:
        with self._lock:
            self._workers[worker] = (monotonic_ms, detail)
            self._given_up.pop(worker, None)

    def worker_given_up(self, worker: str, reason: str, monotonic_ms: int) -> None:
        """It is gone for good, for ``reason``, until it gives a sign of life again."""
        with self._lock:
            self._workers.setdefault(worker, (monotonic_ms, ""))
            self._given_up[worker] = reason

    def workers(
        self, monotonic_ms: int, lost_after_ms: int, *, expected: bool
    ) -> tuple[ComponentHealth, ...]:
        """Health of every worker seen so far; before that, where some are expected, of them all."""
        with self._lock:
            seen, given_up = sorted(self._workers.items()), dict(self._given_up)
        if expected and not seen:
            mute_ms = monotonic_ms - self._begun_ms
            starting = mute_ms < WORKER_MUTE_AFTER_S * 1000
            detail = "" if starting else f"no worker seen for {mute_ms // 1000} s"
            return (ComponentHealth(name="crews", ok=False, detail=detail, starting=starting),)
        healthy = {
            name: name not in given_up and monotonic_ms - at_ms < lost_after_ms
            for name, (at_ms, _) in seen
        }
        return tuple(
            ComponentHealth(
                name=name,
                ok=healthy[name],
                detail=given_up.get(name, detail),
                age_ms=monotonic_ms - at_ms,
                starting=healthy[name] and detail == STARTING,
            )
            for name, (at_ms, detail) in seen
        )

    @property
    def spikes(self) -> tuple[SpikeView, ...]:
        """Newest first."""
        with self._lock:
            return tuple(reversed(self._spikes.values()))

    @property
    def activity(self) -> tuple[ActivityEntry, ...]:
        """Newest first."""
        with self._lock:
            return tuple(reversed(self._activity))

    @property
    def counters(self) -> dict[str, int]:
        with self._lock:
            return dict(self._counters)
