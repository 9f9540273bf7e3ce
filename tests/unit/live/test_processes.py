"""Child processes of a live run."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from pydantic import BaseModel

from crews.live.processes import Child, ChildFailedError, RestartPolicy
from trading.node.words import CoreWord


class Settings(BaseModel):
    word: str = "hello"


@pytest.fixture
def child_module(tmp_path: Path) -> Path:
    """A module on the child's path that echoes its settings and then waits for end of file."""
    (tmp_path / "echoing.py").write_text(
        "import sys\n"
        "print(sys.stdin.readline().strip(), flush=True)\n"
        "sys.stdin.read()\n"
        "open('ended', 'w').close()\n"
    )
    (tmp_path / "dying.py").write_text("import sys\nsys.exit('no such key: x')\n")
    return tmp_path


def make_child(folder: Path, module: str) -> Child:
    return Child(
        name=module,
        module=module,
        settings=Settings(),
        environment={**os.environ, "PYTHONPATH": str(folder)},
        log_path=folder / f"{module}.log",
    )


def test_a_child_gets_its_settings_on_standard_input(child_module: Path) -> None:
    child = make_child(child_module, "echoing")
    child.start()
    try:
        assert child.wait_ready(10) == b'{"word":"hello"}'
        assert child.is_alive
    finally:
        child.stop(5)
    assert not child.is_alive


def test_a_child_that_is_slow_to_end_is_not_called_slow_to_start(child_module: Path) -> None:
    (child_module / "closing.py").write_text(
        "import os, sys, time\nos.close(1)\ntime.sleep(0.3)\nos._exit(7)\n"
    )
    child = make_child(child_module, "closing")
    child.start()
    with pytest.raises(ChildFailedError, match="ended with code 7"):
        child.wait_ready(10)


def test_a_child_that_says_what_it_waits_for_gets_that_much_longer(child_module: Path) -> None:
    waiting = CoreWord(pid=1, waiting="a minute's end", for_s=20.0).model_dump_json()
    (child_module / "waiting.py").write_text(
        f"import time\nprint({waiting!r}, flush=True)\ntime.sleep(2)\nprint('on', flush=True)\n"
        "time.sleep(60)\n"
    )
    child = make_child(child_module, "waiting")
    heard: list[CoreWord] = []
    child.start()
    try:
        assert child.wait_ready(1.5, on_waiting=heard.append) == b"on"
    finally:
        child.kill()
    assert [word.waiting for word in heard] == ["a minute's end"]


def test_a_child_that_is_silent_for_longer_is_ended(child_module: Path) -> None:
    (child_module / "mute.py").write_text("import time\ntime.sleep(60)\n")
    child = make_child(child_module, "mute")
    child.start()
    with pytest.raises(ChildFailedError, match=r"not ready in 0\.5 s"):
        child.wait_ready(0.5)
    assert not child.is_alive


def test_nobody_waits_for_a_child_once_the_run_is_to_end(child_module: Path) -> None:
    (child_module / "mute.py").write_text("import time\ntime.sleep(60)\n")
    child = make_child(child_module, "mute")
    child.start()
    try:
        with pytest.raises(ChildFailedError, match="not ready before the end"):
            child.wait_ready(30, is_ending=lambda: True)
        assert child.is_alive, "it is ended in order, with all the others"
    finally:
        child.kill()


def test_a_child_that_was_killed_is_reported_with_the_signal(child_module: Path) -> None:
    child = make_child(child_module, "echoing")
    child.start()
    child.wait_ready(10)
    child.kill()
    assert child.last_words().startswith("by SIGKILL (log: ")


def test_what_an_earlier_run_said_is_not_taken_for_the_last_words(child_module: Path) -> None:
    (child_module / "silent.py").write_text("import sys\nsys.exit(1)\n")
    child = make_child(child_module, "silent")
    child.log_path.write_text("WindowNotFoundError: yesterday's mistake\n")
    child.start()
    with pytest.raises(ChildFailedError, match="it said nothing"):
        child.wait_ready(10)


def test_a_child_that_dies_at_the_start_is_reported_with_its_last_words(
    child_module: Path,
) -> None:
    child = make_child(child_module, "dying")
    child.start()
    with pytest.raises(ChildFailedError, match="no such key: x"):
        child.wait_ready(10)


def test_a_child_sees_the_end_of_its_parent(
    child_module: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(child_module)
    child = make_child(child_module, "echoing")
    child.start()
    child.wait_ready(10)
    assert child.process is not None
    assert child.process.stdin is not None
    child.process.stdin.close()
    child.process.wait(30)
    assert (child_module / "ended").exists()
    child.stop(1)


def test_restarts_pause_longer_each_time() -> None:
    policy = RestartPolicy(first_s=0.02, most_s=0.05)
    pauses = []
    for _ in range(3):
        policy.started()
        begun = time.monotonic()
        while not policy.is_due():
            time.sleep(0.001)
        pauses.append(time.monotonic() - begun)
    assert pauses[0] < pauses[1] < 1


def test_what_dies_again_and_again_is_left_alone_and_a_long_life_is_forgiven() -> None:
    policy = RestartPolicy(first_s=0.001, most_s=0.001, reset_after_s=0.2, limit=3)

    def dies() -> bool:
        """Whether it is started again."""
        policy.started()
        ends_s = time.monotonic() + 0.05
        while time.monotonic() < ends_s:
            if policy.is_due():
                return True
        return False

    assert [dies() for _ in range(2)] == [True, True]
    policy.started()
    time.sleep(0.3)
    assert not policy.is_due(), "there is a pause first"
    assert not policy.is_exhausted
    assert [dies() for _ in range(3)] == [True, True, False]
    assert policy.is_exhausted
