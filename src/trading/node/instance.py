"""One core for one store: a lock that dies with its process, and where to find it."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pydantic import ValidationError

from trading.errors import ConfigurationError, StoreError
from trading.model.base import ValueModel

# sun_path of a Unix socket address holds 108 bytes on Linux and 104 on macOS, one of them zero.
LONGEST_SOCKET_PATH = 100
LOCK_TRIES = 5
LOCK_PAUSE_S = 0.05


class InstanceInfo(ValueModel):
    """What core.json says about the core that runs, or ran last."""

    pid: int
    venue: str
    account: str
    dry_run: bool
    store: str
    operator_socket: str
    worker_socket: str
    breaker_record: str
    started_at_ms: int


@dataclass(frozen=True, slots=True)
class RuntimePaths:
    """Files of a running core, beside its store."""

    directory: Path

    @property
    def info(self) -> Path:
        return self.directory / "core.json"

    @property
    def lock(self) -> Path:
        return self.directory / "core.lock"

    @property
    def breaker_record(self) -> Path:
        return self.directory / "breaker.shm"

    @property
    def operator_socket(self) -> Path:
        return self._socket("core.sock")

    @property
    def worker_socket(self) -> Path:
        return self._socket("worker.sock")

    def _socket(self, name: str) -> Path:
        """In the directory itself, or, where that path is too long for a socket, a private
        folder of the user's under the system's temporary one."""
        path = self.directory.absolute() / name
        if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
            return path
        digest = hashlib.sha256(os.fsencode(self.directory.absolute())).hexdigest()[:16]
        folder = Path(tempfile.gettempdir()) / f"spikeguard-{os.getuid()}-{digest}"
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.stat().st_uid != os.getuid():
            raise ConfigurationError(
                f"api.runtime_directory: {self.directory} is too long for a socket and {folder} "
                "belongs to somebody else; set a shorter directory"
            )
        return folder / name


class FileLock:
    """A lock that dies with its process; the file names the process. ``subject``: held on what."""

    def __init__(self, path: Path, subject: str) -> None:
        self._path = path
        self._subject = subject
        self._file: IO[str] | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            ConfigurationError: another core holds it; names its process id.
            StoreError: the file cannot be made or opened.
        """
        try:
            handle = self._path.open("a+")
        except OSError as error:
            raise StoreError(
                f"the lock {self._path} cannot be opened: {error.strerror} (look at the rights of "
                "the folder)"
            ) from error
        try:
            _lock_with_patience(handle)
        except OSError as error:
            handle.seek(0)
            holder = handle.read().strip() or "unknown"
            handle.close()
            raise ConfigurationError(
                f"a core with process id {holder} already runs on {self._subject}; "
                "stop it first, or give this one its own storage.path and api.runtime_directory"
            ) from error
        handle.seek(0)
        handle.truncate()
        handle.write(str(os.getpid()))
        handle.flush()
        self._file = handle

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def is_held(self) -> bool:
        """Whether some process, this one included, holds the lock now.

        Raises:
            ConfigurationError: this user may not look.
        """
        if self._file is not None:
            return True
        try:
            handle = self._path.open("r")
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise ConfigurationError(
                f"{self._path} cannot be read: {error.strerror}; be the user whom the core on "
                f"{self._subject} runs as"
            ) from error
        with handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return True
            return False


class InstanceLock(FileLock):
    """Held by the one core of a runtime directory for as long as it lives."""

    def __init__(self, paths: RuntimePaths) -> None:
        super().__init__(paths.lock, str(paths.directory))
        self._directory = paths.directory

    def acquire(self) -> None:
        """Take the lock, in a directory that is its user's alone. Raises like ``FileLock``."""
        self._directory.mkdir(parents=True, exist_ok=True)
        self._directory.chmod(0o700)
        super().acquire()


class AccountLock(FileLock):
    """Held by the one core that trades an account over a store, whatever its runtime directory.

    Two venues may share a store and its breaker; two cores on one account would each protect, and
    sell, the same positions.
    """

    def __init__(self, store: Path, account: str) -> None:
        path = store.with_name(f"{store.name}.{account}.lock")
        super().__init__(path, f"the store {store} for {account}")


def _lock_with_patience(handle: IO[str]) -> None:
    """`is_held` of another process takes the lock for an instant; that must not refuse a start."""
    for _ in range(LOCK_TRIES - 1):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            time.sleep(LOCK_PAUSE_S)
        else:
            return
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def write_info(paths: RuntimePaths, info: InstanceInfo) -> None:
    """Replace core.json at once, so that a reader never sees half of it."""
    temporary = paths.info.with_suffix(".tmp")
    temporary.write_text(info.model_dump_json(indent=2))
    temporary.replace(paths.info)


def running_instance(directory: Path) -> InstanceInfo | None:
    """The core that runs on ``directory`` now, or None."""
    paths = RuntimePaths(directory)
    if not InstanceLock(paths).is_held():
        return None
    try:
        return InstanceInfo.model_validate(json.loads(paths.info.read_text()))
    except (OSError, ValueError, ValidationError):
        return None  # it holds the lock and has not written its card yet
