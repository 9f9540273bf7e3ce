"""Where bars come from: the public archive, and the public REST interface for what it lacks."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import zipfile
from collections.abc import Iterator
from datetime import date
from types import TracebackType
from typing import Any

import httpx

from crews.download.bars import day_start_ms, day_table
from trading.clock import DAY_MS
from trading.errors import MarketDataError
from trading.exchange.intervals import interval_ms

TRIES = 5
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 60.0
TIMEOUT_S = 30.0
PAGE = 1_000  # bars of one REST answer at most; source: binance-spot-api-docs, klines


class DownloadError(MarketDataError):
    """Past market data could not be had."""


class Sources:
    """Both sources over one HTTP client. A request that fails for a moment is repeated."""

    def __init__(self, archive_url: str, rest_url: str, interval: str) -> None:
        self._archive_url = archive_url.rstrip("/")
        self._rest_url = rest_url.rstrip("/")
        self._interval = interval
        self._client = httpx.AsyncClient(timeout=TIMEOUT_S, follow_redirects=False)

    async def __aenter__(self) -> Sources:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._client.aclose()

    async def day(self, pair: str, day: date) -> tuple[Any, str]:
        """One day's bars as an Arrow table, and which source they came from.

        Raises DownloadError.
        """
        rows, origin = await self._archived(pair, day), "archive"
        if rows is None:
            rows, origin = await self._asked(pair, day), "rest"
        try:
            table = day_table(pair, day, self._interval, rows)
        except MarketDataError as error:
            raise DownloadError(f"{origin}: {error}") from error
        if not table.num_rows:
            raise DownloadError(f"{pair} {day}: neither source has a bar of that day")
        return table, origin

    async def _archived(self, pair: str, day: date) -> list[list[str]] | None:
        """Rows of the archive's file; None where it has none."""
        name = f"{pair}-{self._interval}-{day}.zip"
        url = f"{self._archive_url}/data/spot/daily/klines/{pair}/{self._interval}/{name}"
        for _ in range(TRIES):
            packed = await self._get(url)
            sums = await self._get(f"{url}.CHECKSUM") if packed is not None else None
            if packed is None or sums is None:
                return None
            if sums.text.split()[:1] == [hashlib.sha256(packed.content).hexdigest()]:
                return list(_unpacked(packed.content, name))
        raise DownloadError(f"{name}: the file does not match its published checksum")

    async def _asked(self, pair: str, day: date) -> list[list[Any]]:
        start_ms, step_ms = day_start_ms(day), interval_ms(self._interval)
        end_ms = start_ms + DAY_MS
        rows: list[list[Any]] = []
        while start_ms < end_ms:
            answer = await self._get(
                f"{self._rest_url}/api/v3/klines",
                symbol=pair,
                interval=self._interval,
                startTime=start_ms,
                endTime=end_ms - 1,
                limit=PAGE,
            )
            page = _json(answer)
            if not isinstance(page, list):
                raise DownloadError(f"{pair} {day}: the venue answered {page!r}")
            if not page:
                break
            rows += page
            start_ms = int(page[-1][0]) + step_ms
        return rows

    async def _get(self, url: str, **parameters: str | int) -> httpx.Response | None:
        """The answer; None for "not found". Raises DownloadError when it does not come."""
        problem, pause_s = "", FIRST_PAUSE_S
        for _ in range(TRIES):
            try:
                answer = await self._client.get(url, params=parameters or None)
            except httpx.HTTPError as error:
                problem = f"{type(error).__name__}: {error}"
            else:
                if answer.status_code == httpx.codes.NOT_FOUND:
                    return None
                if answer.status_code == httpx.codes.BAD_REQUEST:
                    raise DownloadError(f"{url}: {parameters.get('symbol')}: {answer.text}")
                if answer.is_success:
                    return answer
                problem = f"HTTP {answer.status_code}"
                pause_s = max(pause_s, _retry_after_s(answer))
            await asyncio.sleep(min(pause_s, LONGEST_PAUSE_S))
            pause_s *= 2
        raise DownloadError(f"{url}: {problem}, {TRIES} times; run the command again to go on")


def _unpacked(packed: bytes, name: str) -> Iterator[list[str]]:
    """Rows of the only file in the archive, without the heading that newer ones have."""
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            text = archive.read(archive.namelist()[0]).decode()
    except (zipfile.BadZipFile, IndexError, UnicodeDecodeError) as error:
        raise DownloadError(f"{name}: not a readable archive ({error})") from error
    return (row for row in csv.reader(io.StringIO(text)) if row and row[0].isdecimal())


def _json(answer: httpx.Response | None) -> Any:
    try:
        return answer.json() if answer is not None else None
    except ValueError as error:
        raise DownloadError(f"{answer.url if answer else ''}: no JSON: {error}") from error


def _retry_after_s(answer: httpx.Response) -> float:
    try:
        return float(answer.headers.get("Retry-After", ""))
    except ValueError:
        return 0.0
