"""Where downloaded days are kept until a year's file is made of them."""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

from trading.clock import DAY_MS
from trading.errors import ConfigurationError
from trading.exchange.intervals import interval_ms

PARTS = ".days"


class DayFolder:
    """Day files below ``directory/.days`` with their checksums, and the year files beside it.

    Raises ConfigurationError for a directory that cannot be made.
    """

    def __init__(self, directory: Path, interval: str) -> None:
        self._directory = directory
        self._interval = interval
        self._parts = directory / PARTS
        try:
            self._parts.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(f"--data {directory}: {error.strerror or error}") from error

    def has(self, pair: str, day: date) -> bool:
        """Whether the day was kept and its file is still as it was."""
        path = self._part(pair, day)
        try:
            wanted = json.loads(path.with_suffix(".json").read_text())["sha256"]
            return bool(_sha256(path) == wanted)
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def keep(self, pair: str, day: date, table: Any) -> None:
        """Keep a whole day; a crash leaves either nothing or all of it."""
        path = self._part(pair, day)
        _write(path, table)
        facts = {"sha256": _sha256(path), "bars": table.num_rows}
        temporary = path.with_suffix(".json.part")
        temporary.write_text(json.dumps(facts) + "\n")
        os.replace(temporary, path.with_suffix(".json"))

    def missing_bars(self, pair: str, days: Iterable[date]) -> int:
        """Bars that the venue's own record lacks on these days."""
        full = DAY_MS // interval_ms(self._interval)
        facts = (json.loads(self._part(pair, day).with_suffix(".json").read_text()) for day in days)
        return sum(full - int(fact["bars"]) for fact in facts)

    def merge(self, pair: str, days: Iterable[date]) -> Iterator[Path]:
        """Write the file of each year that ``days`` touch, from all days kept of it."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        kept: defaultdict[int, list[Path]] = defaultdict(list)
        for path in sorted(self._parts.glob(f"{pair}-{self._interval}-*.parquet")):
            day = date.fromisoformat(path.stem.removeprefix(f"{pair}-{self._interval}-"))
            kept[day.year].append(path)
        for year in sorted({day.year for day in days}):
            target = self._directory / f"binance_spot_{pair}_{self._interval}_{year}.parquet"
            _write(target, pa.concat_tables([pq.read_table(path) for path in kept[year]]))
            yield target

    def _part(self, pair: str, day: date) -> Path:
        return self._parts / f"{pair}-{self._interval}-{day}.parquet"


def _write(path: Path, table: Any) -> None:
    import pyarrow.parquet as pq

    temporary = path.with_suffix(".parquet.part")
    pq.write_table(table, temporary, compression="zstd")
    os.replace(temporary, path)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
