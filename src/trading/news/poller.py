"""Goes through the sources, each at its own pace; one that fails holds up nobody else."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from trading.errors import NewsSourceError
from trading.model.news import NOT_CONFIGURED, SourceState
from trading.news.sources.base import Found, Kind, Source

logger = logging.getLogger(__name__)

FIRST_PAUSE_S = 60.0
LONGEST_PAUSE_S = 1_800.0


@dataclass(frozen=True, slots=True)
class Unconfigured:
    """A source without its key."""

    name: str
    kind: Kind


@dataclass(slots=True)
class _Watched:
    source: Source
    due_s: float = 0.0
    failures: int = 0
    detail: str = "not asked yet"
    ok: bool = False
    malformed: int = 0


class Poller:
    """Rounds through the sources. ``now_s`` is a monotonic clock, in seconds."""

    def __init__(
        self,
        sources: Sequence[Source],
        unconfigured: Sequence[Unconfigured],
        now_s: Callable[[], float],
    ) -> None:
        self._watched = [_Watched(source) for source in sources]
        self._unconfigured = tuple(unconfigured)
        self._now_s = now_s

    async def poll(self) -> Found:
        """Ask every source that is due, all at once. Raises nothing of theirs."""
        due = [one for one in self._watched if one.due_s <= self._now_s()]
        founds = await asyncio.gather(*(self._ask(one) for one in due))
        return Found(
            articles=[article for found in founds for article in found.articles],
            transfers=[transfer for found in founds for transfer in found.transfers],
            malformed=sum(found.malformed for found in founds),
        )

    @property
    def states(self) -> tuple[SourceState, ...]:
        """How each source fares, those without a key included."""
        asked = tuple(
            SourceState(
                name=one.source.name,
                kind=one.source.kind,
                configured=True,
                ok=one.ok,
                detail=one.detail[:200],
            )
            for one in self._watched
        )
        return asked + tuple(
            SourceState(
                name=one.name, kind=one.kind, configured=False, ok=False, detail=NOT_CONFIGURED
            )
            for one in self._unconfigured
        )

    async def _ask(self, one: _Watched) -> Found:
        source = one.source
        try:
            found = await source.fetch()
        except (NewsSourceError, TimeoutError) as error:
            asked_s = error.retry_after_s if isinstance(error, NewsSourceError) else None
            self._failed(one, str(error) or "no answer in time", asked_s)
        except Exception as error:  # whatever a source trips over, the others are read
            logger.exception("%s failed", source.name)
            self._failed(one, type(error).__name__, None)
        else:
            one.failures, one.ok = 0, True
            self._answered(one, found)
            one.due_s = self._now_s() + source.min_interval_s
            return found
        return Found()

    @staticmethod
    def _answered(one: _Watched, found: Found) -> None:
        """Items that were left out are counted since the start, and told once a round."""
        if found.malformed:
            logger.warning("%s: %d malformed items left out", one.source.name, found.malformed)
        one.malformed += found.malformed
        so_far = f"; {one.malformed} malformed items left out so far" if one.malformed else ""
        one.detail = f"answers{so_far}"

    def _failed(self, one: _Watched, detail: str, asked_s: float | None) -> None:
        """Ask again after a pause that doubles, and not before the source wants it."""
        if one.ok or not one.failures:
            logger.warning("%s", detail)
        pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**one.failures)
        one.failures += 1
        one.ok, one.detail = False, detail
        one.due_s = self._now_s() + max(pause_s, asked_s or 0.0, one.source.min_interval_s)
