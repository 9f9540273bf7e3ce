"""Workers beside their core: one that gives no sign of life is ended, one left alone is told of."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from crews.live.forked import ForkedChild
from crews.live.processes import Child, RestartPolicy
from trading.api.operator_client import OperatorClient
from trading.api.schemas import WorkerFailure
from trading.errors import ControlApiError
from trading.node.board import WORKER_MUTE_AFTER_S
from trading.node.notify_config import NotificationLevel

# Workers beat once a second as long as their loops move on.
WORKER_HUNG_AFTER_MS = 30_000
LOOK_AT_WORKERS_EVERY_S = 2.0

Note = Callable[[str, NotificationLevel], None]


@dataclass(slots=True)
class Watched:
    """A child that is started again when it dies; ``given_up`` says why it is not any longer."""

    child: Child | ForkedChild
    policy: RestartPolicy = field(default_factory=RestartPolicy)
    given_up: str = ""


class WorkerWatch:
    """Asks the core about the workers and tells it of those that will not come back."""

    def __init__(self, core: OperatorClient, note: Note) -> None:
        self._core = core
        self._note = note
        self._next_look_s = 0.0

    def give_up(self, watched: Watched, why: str) -> None:
        """Leave an ended child alone from now on; people are told at once."""
        watched.given_up = f"{why} and is left alone until the next start; it ended "
        watched.given_up += watched.child.last_words()
        self._note(f"{watched.child.name} {watched.given_up}", NotificationLevel.CRITICAL)
        self._next_look_s = 0.0  # the core's status shall not wait

    def look(self, workers: list[Watched]) -> None:
        """Kill workers that the core has not heard for long, so that they are started again."""
        now = time.monotonic()
        if now < self._next_look_s or not workers:
            return
        self._next_look_s = now + LOOK_AT_WORKERS_EVERY_S
        try:
            components = self._core.status().components
            for watched in workers:
                if watched.given_up:  # again and again: the core may be a new one
                    failure = WorkerFailure(worker=_name(watched.child), reason=watched.given_up)
                    self._core.worker_given_up(failure)
        except ControlApiError:
            return  # what the core cannot tell is no reason to kill anybody
        silent_ms = {one.name: one.age_ms for one in components if one.age_ms is not None}
        for child in (watched.child for watched in workers):
            lives_s = now - child.started_at
            heard_s = silent_ms.get(_name(child), lives_s * 1000) / 1000
            was_heard = heard_s < lives_s  # and not only the one before it
            most_s = WORKER_HUNG_AFTER_MS / 1000 if was_heard else WORKER_MUTE_AFTER_S
            silent_s = min(heard_s, lives_s)
            if child.is_alive and silent_s >= most_s:
                what = f"{child.name} was silent for {silent_s:.0f} s and was killed"
                self._note(what, NotificationLevel.WARNING)
                child.kill()


def _name(child: Child | ForkedChild) -> str:
    """As the worker calls itself to the core."""
    return child.name.replace(" ", "-")
