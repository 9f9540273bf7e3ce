from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from crews.environment import Environment


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a configuration of its own; none of our variables are set."""
    for name in Environment.model_fields:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    write_config(tmp_path, {"storage": {"path": "data/test.sqlite3"}})
    return tmp_path


@pytest.fixture
def config(tmp_path: Path) -> list[str]:
    """Options that choose a configuration whose store is ``store.sqlite3`` in ``tmp_path``."""
    path = tmp_path / "config.yaml"
    path.write_text(
        f"storage:\n  path: {tmp_path / 'store.sqlite3'}\n"
        f"api:\n  runtime_directory: {tmp_path / 'run'}\n"
    )
    return ["--config", str(path)]


def write_config(folder: Path, settings: dict[str, object]) -> None:
    file = folder / "config" / "crewai_config.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(yaml.safe_dump(settings))
