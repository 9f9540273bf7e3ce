"""Past bars come from a public archive with checksums, or from REST, and are fetched once."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import subprocess
import sys
import threading
import zipfile
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from crews.cli.app import run
from crews.download import DownloadPlan, DownloadReport, last_days, run_download
from crews.download.bars import day_start_ms
from crews.download.folder import DayFolder
from crews.download.sources import DownloadError
from trading.simulator.recorded_market import RecordedMarket

MINUTE_MS = 60_000
TODAY = date(2025, 3, 4)
PAIRS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")


class PublicData:
    """Serves the archive and the klines of the last days, on a thread of its own."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.not_archived: set[date] = {TODAY - timedelta(days=1)}
        self.corrupt_times = 0
        self.refuse_times = 0
        self.silent_minutes = 0  # at the end of each day
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.url = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)

    async def _start(self) -> str:
        app = web.Application()
        app.router.add_get("/data/spot/daily/klines/{pair}/{interval}/{name}", self._archive)
        app.router.add_get("/api/v3/klines", self._klines)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def rows(self, pair: str, day: date) -> list[list[Any]]:
        start_ms = day_start_ms(day)
        price = {"BTCUSDT": 80_000.0, "ETHUSDT": 2_000.0, "SOLUSDT": 150.0}[pair]
        times = range(start_ms, start_ms + (1440 - self.silent_minutes) * MINUTE_MS, MINUTE_MS)
        return [
            [at, price, price + 1, price - 1, price + 0.5, 12.5, at + MINUTE_MS - 1] for at in times
        ]

    async def _archive(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        day = date.fromisoformat(name.removesuffix(".CHECKSUM").removesuffix(".zip")[-10:])
        if day in self.not_archived or request.match_info["pair"] not in PAIRS:
            raise web.HTTPNotFound
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            lines = [
                ",".join(map(str, (row[0] * 1000, *row[1:])))  # in µs, as since 2025
                for row in self.rows(request.match_info["pair"], day)
            ]
            entry = zipfile.ZipInfo(name.replace(".zip", ".csv").removesuffix(".CHECKSUM"))
            archive.writestr(entry, "\n".join(lines))
        if name.endswith(".CHECKSUM"):
            digest = hashlib.sha256(packed.getvalue()).hexdigest()
            if self.corrupt_times > 0:
                self.corrupt_times -= 1
                digest = "0" * 64
            return web.Response(text=f"{digest}  {name.removesuffix('.CHECKSUM')}\n")
        self.asked[name] += 1
        if self.refuse_times > 0:
            self.refuse_times -= 1
            return web.Response(status=429, headers={"Retry-After": "0"})
        return web.Response(body=packed.getvalue())

    async def _klines(self, request: web.Request) -> web.Response:
        pair = request.query["symbol"]
        if pair not in PAIRS:
            return web.json_response({"code": -1121, "msg": "Invalid symbol."}, status=400)
        start_ms, end_ms = int(request.query["startTime"]), int(request.query["endTime"])
        self.asked["klines"] += 1
        day = datetime.fromtimestamp(start_ms / 1000, UTC).date()
        rows = [row for row in self.rows(pair, day) if start_ms <= row[0] <= end_ms]
        return web.json_response(rows[: int(request.query["limit"])])


@pytest.fixture
def public() -> Iterator[PublicData]:
    served = PublicData()
    yield served
    served.stop()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crews.download.sources.FIRST_PAUSE_S", 0.001)


def download(
    public: PublicData, directory: Path, *, pairs: tuple[str, ...] = PAIRS, days: int = 2
) -> DownloadReport:
    plan = DownloadPlan(directory, pairs, last_days(days, TODAY), "1m", public.url, public.url)
    return run_download(plan, lambda pair, day, origin: None)


def test_what_was_downloaded_can_be_replayed(public: PublicData, tmp_path: Path) -> None:
    report = download(public, tmp_path)
    assert report.downloaded_days == 6
    assert [Path(name).name for name in report.files] == [
        f"binance_spot_{pair}_1m_2025.parquet" for pair in PAIRS
    ]
    start_ms = day_start_ms(TODAY - timedelta(days=2))
    market = RecordedMarket.load(tmp_path, start_ms=start_ms, end_ms=start_ms + 2 * 86_400_000)
    assert market.symbols == PAIRS
    assert {len(one) for one in market.history().values()} == {240}
    assert market.bar_count == 3 * (2 * 1440 - 240)


def test_a_day_that_the_archive_lacks_comes_from_rest_page_by_page(
    public: PublicData, tmp_path: Path
) -> None:
    download(public, tmp_path, pairs=("BTCUSDT",), days=1)
    assert public.asked["klines"] == 2  # 1,000 bars and 440


def test_an_interrupted_download_goes_on_where_it_was(public: PublicData, tmp_path: Path) -> None:
    download(public, tmp_path, pairs=("BTCUSDT",), days=3)
    asked = public.asked.copy()
    report = download(public, tmp_path, pairs=("BTCUSDT",), days=4)
    assert (report.downloaded_days, report.present_days) == (1, 3)
    assert sum((public.asked - asked).values()) == 1


def test_a_kept_day_that_was_damaged_is_fetched_again(public: PublicData, tmp_path: Path) -> None:
    download(public, tmp_path, pairs=("BTCUSDT",))
    damaged = sorted((tmp_path / ".days").glob("*.parquet"))[0]
    damaged.write_bytes(damaged.read_bytes()[:-10])
    report = download(public, tmp_path, pairs=("BTCUSDT",))
    assert (report.downloaded_days, report.present_days) == (1, 1)


def test_a_file_that_does_not_match_its_checksum_is_fetched_again_and_never_kept(
    public: PublicData, tmp_path: Path
) -> None:
    public.not_archived.clear()
    public.corrupt_times = 2
    assert download(public, tmp_path, pairs=("BTCUSDT",), days=1).downloaded_days == 1
    public.corrupt_times = 1_000
    with pytest.raises(DownloadError, match=r"ETHUSDT-1m-2025-03-03\.zip: .*checksum"):
        download(public, tmp_path, pairs=("ETHUSDT",), days=1)
    assert not DayFolder(tmp_path, "1m").has("ETHUSDT", TODAY - timedelta(days=1))


def test_a_refusal_for_too_many_calls_is_waited_for(public: PublicData, tmp_path: Path) -> None:
    public.refuse_times = 3
    assert download(public, tmp_path, pairs=("BTCUSDT",)).downloaded_days == 2


def test_bars_that_the_venue_lacks_are_counted(public: PublicData, tmp_path: Path) -> None:
    public.silent_minutes = 7
    assert download(public, tmp_path, pairs=("SOLUSDT",)).missing_bars == {"SOLUSDT": 14}


def test_a_bar_that_contradicts_itself_is_refused(public: PublicData, tmp_path: Path) -> None:
    good = public.rows

    def wrong(pair: str, day: date) -> list[list[Any]]:
        rows = good(pair, day)
        rows[3][2] = 1.0  # the high below everything
        return rows

    public.rows = wrong  # type: ignore[method-assign]
    with pytest.raises(DownloadError, match=r"BTCUSDT 2025-03-0\d: .*contradicts itself"):
        download(public, tmp_path, pairs=("BTCUSDT",))


def test_the_command_names_an_unknown_pair_and_prints_its_report_as_json(
    public: PublicData, tmp_path: Path
) -> None:
    public.not_archived = {date.today() - timedelta(days=back) for back in range(4)}  # noqa: DTZ011

    def command(pair: str) -> subprocess.CompletedProcess[str]:
        where = ("--archive-url", public.url, "--rest-url", public.url, "--data", str(tmp_path))
        arguments = ("--pairs", pair, "--days", "1", "--json", *where)
        return subprocess.run(
            [sys.executable, "-m", "crews.run", "download-data", *arguments],
            capture_output=True,
            text=True,
            timeout=170,
            check=False,
        )

    done = command("btcusdt")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["downloaded_days"] == 1
    refused = command("NOPEUSDT")
    assert refused.returncode == 1
    assert "NOPEUSDT" in json.loads(refused.stdout)["message"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--data", "/proc/nowhere"], "/proc/nowhere"),
        (["--archive-url", "ftp://x"], "does not begin with https://"),
    ],
)
def test_a_folder_or_address_that_cannot_be_is_a_usage_error(
    options: list[str], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["download-data", "--pairs", "BTCUSDT", "--days", "1", *options]) == 4
    assert said in capfd.readouterr().err
