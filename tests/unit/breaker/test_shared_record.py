"""The shared record: what was written is read, and anything doubtful reads as TRIGGERED."""

from __future__ import annotations

import mmap
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from trading.model.breaker import BreakerSnapshot, BreakerStatus
from trading.risk import shared_record
from trading.risk.shared_record import SIZE, SharedRecordReader, SharedRecordWriter

HALT = BreakerStatus.TRIGGERED


def safe(epoch: int = 3, reason: str = "fine") -> BreakerSnapshot:
    return BreakerSnapshot(
        status=BreakerStatus.SAFE, epoch=epoch, changed_at_ms=5, size_multiplier=1.0, reason=reason
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "breaker.shm"


@pytest.fixture
def writer(path: Path) -> Iterator[SharedRecordWriter]:
    writer = SharedRecordWriter(path)
    writer.write(safe())
    writer.beat(1_000)
    yield writer
    writer.close()


@pytest.fixture
def pass_ms(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Holds the clock of the heartbeat, and lets so much time pass on it."""
    now_ns = time.monotonic_ns()

    def pass_ms(duration_ms: int) -> None:
        nonlocal now_ns
        now_ns += duration_ms * 1_000_000

    monkeypatch.setattr(shared_record.time, "monotonic_ns", lambda: now_ns)
    return pass_ms


def spoil(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file, mmap.mmap(file.fileno(), SIZE) as memory:
        memory[offset : offset + len(data)] = data


def test_what_was_written_is_read_with_the_cores_market_time(
    writer: SharedRecordWriter, path: Path
) -> None:
    reader = SharedRecordReader(path)
    assert reader.read() == safe()
    assert reader.now_ms() == 1_000
    writer.write(safe(epoch=4))
    assert reader.read().epoch == 4


def test_a_missing_record_reads_as_triggered_until_it_appears(path: Path) -> None:
    reader = SharedRecordReader(path)
    assert reader.read().status is HALT
    assert "no shared record" in reader.read().reason
    writer = SharedRecordWriter(path)
    writer.write(safe())
    writer.beat(1)
    time.sleep(0.12)
    assert reader.read() == safe()
    writer.close()


def test_a_record_that_never_beat_reads_as_triggered(path: Path) -> None:
    writer = SharedRecordWriter(path)
    writer.write(safe())
    assert SharedRecordReader(path).read().status is HALT
    writer.close()


def test_a_stale_heartbeat_reads_as_triggered_with_the_last_epoch_and_recovers(
    pass_ms: Callable[[int], None], writer: SharedRecordWriter, path: Path
) -> None:
    reader = SharedRecordReader(path, stale_after_ms=50)
    pass_ms(50)
    assert reader.read() == safe()
    pass_ms(1)
    stale = reader.read()
    assert (stale.status, stale.epoch, stale.size_multiplier) == (HALT, 3, 0.0)
    assert "heartbeat is stale" in stale.reason
    writer.beat(2_000)
    assert reader.read() == safe()


def test_a_reader_that_ignores_the_heartbeat_would_trust_a_dead_core(
    pass_ms: Callable[[int], None], writer: SharedRecordWriter, path: Path
) -> None:
    careless = SharedRecordReader(path, stale_after_ms=10**9)
    careful = SharedRecordReader(path, stale_after_ms=30)
    careless.read()
    careful.read()
    pass_ms(50)
    assert careless.read().status is BreakerStatus.SAFE
    assert careful.read().status is HALT


def test_a_beat_from_the_future_is_one_of_an_earlier_boot(
    writer: SharedRecordWriter, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_ns = time.monotonic_ns()
    monkeypatch.setattr(shared_record.time, "monotonic_ns", lambda: now_ns - 3_600 * 10**9)
    assert SharedRecordReader(path).read().status is HALT


def test_a_closed_record_reads_as_triggered_at_once(writer: SharedRecordWriter, path: Path) -> None:
    reader = SharedRecordReader(path)
    assert reader.read() == safe()
    writer.close()
    assert reader.read().status is HALT
    writer.beat(2)  # a late beat does not revive it
    assert reader.read().status is HALT


def test_a_torn_payload_reads_as_triggered(writer: SharedRecordWriter, path: Path) -> None:
    for start in shared_record._SLOTS:
        spoil(path, start + 20, b"\xff\xff")
    assert "torn" in SharedRecordReader(path).read().reason


def test_a_file_of_another_size_or_kind_reads_as_triggered(
    writer: SharedRecordWriter, path: Path, tmp_path: Path
) -> None:
    short = tmp_path / "short"
    short.write_bytes(b"x" * 100)
    assert SharedRecordReader(short).read().status is HALT
    spoil(path, 0, b"OTHERS!!")
    assert "not ours" in SharedRecordReader(path).read().reason


def test_a_reader_finds_the_record_of_a_core_that_replaced_the_file(
    pass_ms: Callable[[int], None], writer: SharedRecordWriter, path: Path
) -> None:
    reader = SharedRecordReader(path, stale_after_ms=50)
    assert reader.read() == safe()
    path.unlink()
    successor = SharedRecordWriter(path)
    successor.write(safe(epoch=9))
    pass_ms(150)
    successor.beat(1)
    assert reader.read().epoch == 9
    successor.close()


def test_reasons_too_long_for_the_slot_are_shortened(
    writer: SharedRecordWriter, path: Path
) -> None:
    long = "x" * 3_000
    writer.write(safe(epoch=8, reason=long).model_copy(update={"causes": (long, long)}))
    snapshot = SharedRecordReader(path).read()
    assert (snapshot.epoch, snapshot.reason) == (8, "x" * 500)


def _write_many(path: str, stop_at: int) -> None:
    writer = SharedRecordWriter(Path(path))
    for epoch in range(1, stop_at + 1):
        writer.write(safe(epoch=epoch, reason=str(epoch) * (epoch % 7 + 1)))
        writer.beat(epoch)
    time.sleep(5)


def test_readers_in_another_process_see_only_whole_states_that_move_forward(path: Path) -> None:
    process = multiprocessing.get_context("fork").Process(
        target=_write_many, args=(str(path), 3_000), daemon=True
    )
    process.start()
    try:
        reader = SharedRecordReader(path)
        deadline = time.monotonic() + 60
        last = 0
        while last < 3_000 and time.monotonic() < deadline:
            snapshot = reader.read()
            if snapshot.status is HALT:
                continue
            assert snapshot.epoch >= last
            assert snapshot.reason == str(snapshot.epoch) * (snapshot.epoch % 7 + 1)
            last = snapshot.epoch
        assert last == 3_000
    finally:
        process.kill()
        process.join()


def test_threads_share_one_reader(writer: SharedRecordWriter, path: Path) -> None:
    reader = SharedRecordReader(path)
    wrong: list[BreakerSnapshot] = []
    done = threading.Event()

    def read() -> None:
        last = 0
        while not done.is_set():
            snapshot = reader.read()
            if snapshot.status is HALT or snapshot.epoch < last:
                wrong.append(snapshot)
            last = snapshot.epoch

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for epoch in range(4, 300):
        writer.write(safe(epoch=epoch))
        writer.beat(epoch)
    done.set()
    for thread in threads:
        thread.join()
    assert wrong == []
