"""The core's process where the venue takes no calls: it waits, tells its parent, ends when told."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest
from live_instance import isolated_config
from venue_server import ServedExchange, served_exchange

from crews.live.processes import Child, ChildFailedError, core_word
from crews.node_settings import node_config
from trading.clock import SystemClock
from trading.exchange.credentials import CREDENTIAL_NAMES
from trading.node.config import CoreLaunch
from trading.node.words import CoreWord
from trading.risk.breaker_store import create_store

OURS = "127.0.0.1"


def core_of(served: ServedExchange, folder: Path) -> Child:
    config = node_config(isolated_config(folder).config)
    create_store(config.storage, SystemClock())
    key = served.server.keys[0]
    names = CREDENTIAL_NAMES[config.exchange.venue]
    return Child(
        name="core",
        module="trading.node",
        settings=CoreLaunch(config=config.model_copy(update={"exchange": served.config()})),
        environment={**os.environ, names[0]: key.key, names[1]: key.secret},
        log_path=folder / "core.log",
    )


async def first_wait(core: Child) -> CoreWord:
    """What it says first; on a thread, for the exchange answers on this loop."""

    def listen() -> CoreWord:
        ends_s = time.monotonic() + 60
        while time.monotonic() < ends_s:
            for line in core.lines():
                word = core_word(line)
                assert word is not None
                return word
            time.sleep(0.02)
        raise AssertionError(f"it says nothing: {core.last_words()}")

    return await asyncio.to_thread(listen)


async def test_a_core_that_waits_says_so_and_ends_at_once_when_it_is_told_to(
    tmp_path: Path,
) -> None:
    async with served_exchange() as served:
        served.server.context.limiter.refuse(OURS, 60, banned=True)
        core = core_of(served, tmp_path)
        core.start()
        try:
            word = await first_wait(core)
            assert "IP banned until" in word.waiting
            assert 50 < word.for_s < 62
            begun = time.monotonic()
            await asyncio.to_thread(core.stop, 30)
            assert time.monotonic() - begun < 10, "it did not wait for the venue"
        finally:
            core.kill()
    assert core.exit_code == 1


async def test_a_core_that_waits_ends_at_once_when_its_parent_is_gone(tmp_path: Path) -> None:
    async with served_exchange() as served:
        served.server.context.limiter.refuse(OURS, 60, banned=True)
        core = core_of(served, tmp_path)
        core.start()
        try:
            await first_wait(core)
            assert core.process is not None
            assert core.process.stdin is not None
            core.process.stdin.close()
            await asyncio.to_thread(core.process.wait, 10)
        finally:
            core.kill()


async def test_a_banned_core_ends_and_says_until_when_another_start_is_of_no_use(
    tmp_path: Path,
) -> None:
    async with served_exchange() as served:
        served.server.context.limiter.refuse(OURS, 240, banned=True)
        core = core_of(served, tmp_path)
        core.start()
        try:
            word = await first_wait(core)
            with pytest.raises(ChildFailedError, match=r"takes no calls before 2.* UTC, 2\d\d s"):
                await asyncio.to_thread(core.wait_ready, 30)
        finally:
            core.kill()
    assert word.waiting == ""
    assert 200 < word.refused_for_s <= 240
