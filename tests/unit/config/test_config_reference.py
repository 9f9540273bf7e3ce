"""The file in config/ and the page in docs/ say exactly what the models say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from crews.config import AppConfig
from crews.config_reference import markdown_reference, yaml_reference

ROOT = Path(__file__).resolve().parents[3]
REWRITE = "; write it anew: python -m crews.run config schema --format "


def _leaves(value: Any, dotted: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves(item, f"{dotted}.{key}" if dotted else key)
    else:
        yield dotted, value


def _sections(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield model
    for info in model.model_fields.values():
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield from _sections(info.annotation)


def test_the_file_has_every_key_with_its_default_and_no_other_key() -> None:
    file = dict(_leaves(yaml.safe_load((ROOT / "config/crewai_config.yaml").read_text())))
    models = dict(_leaves(AppConfig().model_dump(mode="json")))
    assert file.keys() - models.keys() == set()
    assert models.keys() - file.keys() == set()
    assert file == models


def test_the_file_is_the_one_written_from_the_models() -> None:
    written = (ROOT / "config/crewai_config.yaml").read_text()
    assert written == yaml_reference(), "config/crewai_config.yaml is out of date" + REWRITE


def test_the_page_is_the_one_written_from_the_models() -> None:
    written = (ROOT / "docs/configuration.md").read_text()
    assert written == markdown_reference(), "docs/configuration.md is out of date" + REWRITE


def test_every_setting_is_described() -> None:
    missing = [
        f"{section.__name__}.{name}"
        for section in _sections(AppConfig)
        for name, info in section.model_fields.items()
        if not info.description
    ]
    assert missing == []


def test_every_setting_has_a_default_and_sections_refuse_unknown_keys() -> None:
    for section in _sections(AppConfig):
        assert section.model_config.get("extra") == "forbid", section
        assert section.model_config.get("frozen") is True, section
        for name, info in section.model_fields.items():
            assert not info.is_required(), f"{section.__name__}.{name}"
