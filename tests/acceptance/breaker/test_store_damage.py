"""Whatever happens to the store, the breaker halts, says which file it is, and forgets no trip."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from damaged_store import NOBODY
from proofs import Held, record
from zygote import Child, Zygote, zygote

from trading.clock import SystemClock
from trading.risk.breaker_store import create_store
from trading.storage.config import StorageConfig

Line = dict[str, Any]
Damage = Callable[["Place"], None]


@dataclass
class Place:
    """A folder with a store, a record and whatever holds them in their condition."""

    folder: Path
    held: ExitStack

    @property
    def store(self) -> Path:
        return self.folder / "store" / "store.sqlite3"

    @property
    def log(self) -> Path:
        return self.store.with_name("store.sqlite3-wal")

    def fork(self, parent: Zygote, *steps: str, mutant: str = "", as_nobody: bool = False) -> Child:
        return parent.fork(
            folder=str(self.folder), steps=list(steps), mutant=mutant, as_nobody=as_nobody
        )


# What somebody, or a disk, does to a store.


def delete(place: Place) -> None:
    place.store.unlink()


def replace_by_another(place: Place) -> None:
    other = place.folder / "another.sqlite3"
    create_store(StorageConfig(path=other), SystemClock())
    other.rename(place.store)


def cut_in_half(place: Place) -> None:
    os.truncate(place.store, place.store.stat().st_size // 2)


def empty(place: Place) -> None:
    os.truncate(place.store, 0)


def overwrite_the_header(place: Place) -> None:
    write_at(place.store, 0, b"\xde\xad" * 50)


def spoil_the_pages(place: Place) -> None:
    for page in range(1, place.store.stat().st_size // 4_096):
        write_at(place.store, page * 4_096, b"\xde\xad" * 100)


def cut_the_log_in_half(place: Place) -> None:
    os.truncate(place.log, place.log.stat().st_size // 2)


def cut_the_last_page_of_the_log(place: Place) -> None:
    os.truncate(place.log, place.log.stat().st_size - 100)


def empty_the_log(place: Place) -> None:
    os.truncate(place.log, 0)


def overwrite_the_log(place: Place) -> None:
    write_at(place.log, 0, b"\xde\xad" * 50)


def delete_the_log(place: Place) -> None:
    place.log.unlink()


def empty_the_log_and_let_another_write_behind_the_gap(place: Place) -> None:
    """A connection that is open goes on behind the place where it knows the end to be."""
    connection = place.held.enter_context(closing(sqlite3.connect(place.store)))
    connection.execute("SELECT count(*) FROM breaker_state").fetchone()
    os.truncate(place.log, 0)
    # As the order journal's connection would: the page is in its cache, the log's end in memory.
    with connection:
        connection.execute("UPDATE breaker_state SET reason = reason")


def lock(place: Place) -> None:
    other = place.held.enter_context(closing(sqlite3.connect(place.store, isolation_level=None)))
    other.execute("BEGIN IMMEDIATE")


def make_the_file_readonly(place: Place) -> None:
    place.store.chmod(0o444)


def make_the_folder_readonly(place: Place) -> None:
    place.store.parent.chmod(0o555)


def make_the_folder_unreadable(place: Place) -> None:
    place.store.parent.chmod(0o000)


def fill_the_disk(place: Place) -> None:
    with (place.store.parent / "filler").open("wb", buffering=0) as filler:
        try:
            while True:
                filler.write(b"\0" * 4_096)
        except OSError:
            pass


def nothing(place: Place) -> None:
    """The child does it to itself."""


def write_at(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


# And how it is undone, where it can be.


def unlock(place: Place) -> None:
    place.held.close()


def give_the_rights_back(place: Place) -> None:
    place.store.parent.chmod(0o755)
    place.store.chmod(0o644)


def free_the_disk(place: Place) -> None:
    (place.store.parent / "filler").unlink()


@dataclass(frozen=True)
class Case:
    """``noticed_by``: the step of a running core by which it must halt."""

    damage: Damage
    noticed_by: str = "look"
    remedy: str = ""
    cure: Damage = nothing
    as_nobody: bool = False
    needs_small_disk: bool = False
    by_the_child: tuple[str, ...] = ()
    keeps_the_log: bool = True  # at the start: the last run was killed, and left its log


BACKUP = "put a backup in its place"
AT_START = (
    Case(delete, remedy="crews.run init"),
    Case(cut_in_half, remedy=BACKUP, keeps_the_log=False),
    Case(empty, remedy=BACKUP, keeps_the_log=False),
    Case(overwrite_the_header, remedy=BACKUP, keeps_the_log=False),
    Case(spoil_the_pages, remedy=BACKUP, keeps_the_log=False),
    Case(cut_the_log_in_half),
    Case(cut_the_last_page_of_the_log),
    Case(empty_the_log),
    Case(overwrite_the_log),
    Case(delete_the_log),
    Case(lock, remedy="end the program", cure=unlock),
    Case(make_the_file_readonly, "", "writable", give_the_rights_back, as_nobody=True),
    Case(
        make_the_folder_readonly,
        remedy="writable",
        cure=give_the_rights_back,
        as_nobody=True,
        keeps_the_log=False,
    ),
    Case(make_the_folder_unreadable, "", "rights", give_the_rights_back, as_nobody=True),
    Case(
        fill_the_disk,
        remedy="space left",
        cure=free_the_disk,
        needs_small_disk=True,
        keeps_the_log=False,
    ),
)
WHILE_RUNNING = (
    Case(delete, remedy="put it back"),
    Case(replace_by_another, remedy="put it back"),
    Case(cut_in_half, remedy=BACKUP),
    Case(empty, remedy=BACKUP),
    Case(cut_the_log_in_half, remedy=BACKUP),
    Case(cut_the_last_page_of_the_log, remedy=BACKUP),
    Case(empty_the_log, remedy=BACKUP),
    Case(empty_the_log_and_let_another_write_behind_the_gap, remedy=BACKUP),
    Case(overwrite_the_log, remedy=BACKUP),
    Case(delete_the_log, remedy="put it back"),
    Case(lock, "warn", "end the program", unlock),
    Case(fill_the_disk, "warn", "free space", free_the_disk, needs_small_disk=True),
    Case(nothing, "warn", "look at its disk", by_the_child=("fill",)),
    # What SQLite has in its memory it does not read again: these show at the next start.
    Case(overwrite_the_header, "restart"),
    Case(spoil_the_pages, "restart"),
)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    storage = StorageConfig(path=tmp_path_factory.mktemp("template") / "store.sqlite3")
    create_store(storage, SystemClock())
    return storage.path


@contextmanager
def place_for(case: Case, folder: Path, template: Path) -> Iterator[Place]:
    folder.mkdir()
    with ExitStack() as held, ExitStack() as mounted:
        place = Place(folder, held)
        place.store.parent.mkdir()
        if case.needs_small_disk:
            mount(place.store.parent)
            mounted.callback(unmount, place.store.parent)
        shutil.copyfile(template, place.store)
        if case.as_nobody and os.getuid() == 0:
            for path in (folder, place.store.parent, place.store):
                os.chown(path, NOBODY, NOBODY)
        yield place


def mount(folder: Path) -> None:
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)],
        check=True,
        capture_output=True,
    )


def unmount(folder: Path) -> None:
    subprocess.run(["umount", str(folder)], check=True)


def can_mount(folder: Path) -> bool:
    """Where it cannot, a process without room for its files stands in for the full disk."""
    try:
        mount(folder)
    except (OSError, subprocess.CalledProcessError):
        return False
    unmount(folder)
    return True


def what_is_wrong(line: Line, case: Case, place: Place, epoch: int) -> list[str]:
    wrong = []
    if (line["status"], line["latch"], line["blocked"]) != ("TRIGGERED", "MANUAL", True):
        wrong.append(f"not halted: {line}")
    if line["epoch"] < epoch:
        wrong.append(f"epoch {line['epoch']} after {epoch}")
    return wrong


def wrong_words(line: Line, case: Case, place: Place) -> list[str]:
    named = str(place.store) in line["reason"] and case.remedy in line["reason"]
    return [] if named else [f"no help: {line['reason']}"]


def restart(parent: Zygote, case: Case, place: Place, epoch: int, mutant: str) -> list[str]:
    """What is wrong when the next core starts."""
    child = place.fork(parent, mutant=mutant, as_nobody=case.as_nobody)
    line = child.hear_until("after")
    child.kill()
    return what_is_wrong(line, case, place, epoch)


def damage_before_the_start(
    parent: Zygote, case: Case, place: Place, mutant: str = ""
) -> list[str]:
    """A run ends tripped, the store is damaged, and a core starts; then another, after the cure."""
    run = place.fork(parent, "trip", "clear", "trip", mutant=mutant, as_nobody=case.as_nobody)
    lines = [run.hear_until("after") for _ in range(4)]
    run.kill()
    if not case.keeps_the_log:
        with closing(sqlite3.connect(place.store)) as connection:
            connection.execute("SELECT count(*) FROM breaker_state").fetchone()
    case.damage(place)

    child = place.fork(parent, "trip", mutant=mutant, as_nobody=case.as_nobody)
    opened, tripped = child.hear_until("after"), child.hear_until("after")
    child.kill()
    wrong = what_is_wrong(opened, case, place, lines[-1]["epoch"])
    # Of a log that lacks something nothing can be seen but what the last run had in force.
    if case.remedy:
        wrong += wrong_words(opened, case, place)
    if tripped["epoch"] != opened["epoch"] + 1:
        wrong.append(f"no further trip: {tripped}")
    case.cure(place)
    return wrong + restart(parent, case, place, tripped["epoch"], mutant)


def damage_while_running(parent: Zygote, case: Case, place: Place, mutant: str = "") -> list[str]:
    """A core that has seen a halt and its end runs on while its store is damaged."""
    steps = ("trip", "clear", "wait", *case.by_the_child, "look", "warn", "trip")
    child = place.fork(parent, *steps, mutant=mutant)
    while child.hear_until("after")["after"] != "clear":
        pass
    case.damage(place)
    (place.folder / "go").touch()
    heard: dict[str, Line] = {}
    while "trip" not in heard:
        line = child.hear_until("after")
        heard[line["after"]] = line
    child.kill()
    wrong = []
    if case.noticed_by != "restart":
        noticed = heard[case.noticed_by]
        wrong += what_is_wrong(noticed, case, place, 2) + wrong_words(noticed, case, place)
    case.cure(place)
    return wrong + restart(parent, case, place, heard["trip"]["epoch"], mutant)


@pytest.mark.timeout(240)
def test_a_damaged_store_halts_says_which_and_forgets_no_trip(
    template: Path, tmp_path: Path
) -> None:
    has_small_disk = can_mount(tmp_path)
    counted: list[Case] = []

    def tried(form: Callable[..., list[str]], cases: Iterable[Case], mutant: str = "") -> list[str]:
        found = []
        for case in cases:
            if case.needs_small_disk and not has_small_disk:
                continue
            folder = root / f"{form.__name__}-{case.damage.__name__}-{mutant}"
            with place_for(case, folder, template) as place:
                wrong = form(parent, case, place, mutant)
            counted.append(case)
            found += [f"{form.__name__} {case.damage.__name__}: {text}" for text in wrong[:1]]
        return found

    with zygote("damaged_store") as parent, open_folder() as root:
        wrong = tried(damage_before_the_start, AT_START)
        wrong += tried(damage_while_running, WHILE_RUNNING)
        cases = len(counted)
        cut_logs = [case for case in WHILE_RUNNING if "the_log" in case.damage.__name__]
        blind = tried(damage_while_running, cut_logs, "blind")
        refusals = [case for case in WHILE_RUNNING if case.noticed_by == "warn"]
        deaf = tried(damage_while_running, refusals, "deaf")
    assert not wrong, "\n".join(wrong)
    assert len(blind) == len(cut_logs)
    assert deaf
    record(
        Held(
            section="Crash",
            guarantee="a store that is unreadable, cut, read-only, full, locked, deleted or "
            "replaced, at the start or in use: TRIGGERED and MANUAL, the file named, no trip lost",
            trials=cases,
            unit="kinds of damage",
            violations=len(wrong),
            mutant="looks neither at its files nor at its record; ignores what the store refuses",
            caught=f"{len(blind)} of {len(cut_logs)} cut logs and {len(deaf)} of {len(refusals)} "
            "refusals not noticed",
        )
    )


@contextmanager
def open_folder() -> Iterator[Path]:
    """Unlike pytest's, one that also nobody may enter."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
