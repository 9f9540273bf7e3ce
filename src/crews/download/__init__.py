"""`download-data`: minute bars of past days, as the files that `replay` and `evaluate` read.

Days come from Binance's public archive, each with its published checksum, and where the archive
has no file (yet) from the public REST interface. Neither needs a key.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from crews.download.folder import DayFolder
from crews.download.sources import DownloadError, Sources

AT_ONCE = 4

# Told after every day: pair, day, what was done.
Progress = Callable[[str, date, str], None]


@dataclass(frozen=True, slots=True)
class DownloadPlan:
    """Which bars are wanted, and from where."""

    directory: Path
    pairs: tuple[str, ...]
    days: tuple[date, ...]
    interval: str
    archive_url: str
    rest_url: str


@dataclass(frozen=True, slots=True)
class DownloadReport:
    """What a run has done. ``missing_bars`` counts what the venue itself does not have."""

    downloaded_days: int
    present_days: int
    missing_bars: dict[str, int]  # by pair
    files: tuple[str, ...]


def last_days(count: int, today: date | None = None) -> tuple[date, ...]:
    """The last ``count`` whole days before ``today`` (UTC), oldest first."""
    today = today or datetime.now(UTC).date()
    return tuple(today - timedelta(days=back) for back in range(count, 0, -1))


def run_download(plan: DownloadPlan, progress: Progress) -> DownloadReport:
    """Fetch what is not there yet and write a file per pair and year.

    A day is kept as soon as it is whole, so a run that is interrupted goes on where it was.

    Raises:
        DownloadError: a source cannot be reached, lies about its checksum, or knows no such pair.
    """
    return asyncio.run(_download(plan, progress))


async def _download(plan: DownloadPlan, progress: Progress) -> DownloadReport:
    folder = DayFolder(plan.directory, plan.interval)
    slots = asyncio.Semaphore(AT_ONCE)
    downloaded = present = 0
    async with Sources(plan.archive_url, plan.rest_url, plan.interval) as sources:

        async def fetch(pair: str, day: date) -> None:
            nonlocal downloaded, present
            async with slots:
                if folder.has(pair, day):
                    present += 1
                    progress(pair, day, "present")
                    return
                bars, origin = await sources.day(pair, day)
                folder.keep(pair, day, bars)
                downloaded += 1
                progress(pair, day, origin)

        try:
            async with asyncio.TaskGroup() as group:
                for pair in plan.pairs:
                    for day in plan.days:
                        group.create_task(fetch(pair, day))
        except BaseExceptionGroup as errors:
            known, unknown = errors.split(DownloadError)
            if known is None or unknown is not None:
                raise
            raise _first(known) from None
    return DownloadReport(
        downloaded_days=downloaded,
        present_days=present,
        missing_bars={pair: folder.missing_bars(pair, plan.days) for pair in plan.pairs},
        files=tuple(str(path) for pair in plan.pairs for path in folder.merge(pair, plan.days)),
    )


def _first(group: BaseExceptionGroup[DownloadError]) -> DownloadError:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
