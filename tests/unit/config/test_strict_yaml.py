from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from crews.strict_yaml import read_yaml
from trading.errors import ConfigurationError


def _file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    return path


def test_values_come_with_the_lines_they_stand_on(tmp_path: Path) -> None:
    document = read_yaml(_file(tmp_path, "risk:\n  # a comment\n  size: 1.5\nnames: [a, b]\n"))
    assert document.data == {"risk": {"size": 1.5}, "names": ["a", "b"]}
    assert document.line_of("risk.size") == 3
    assert document.line_of("risk.size.deeper.still") == 3
    assert document.line_of("unknown") is None


def test_a_key_given_twice_is_refused_where_pyyaml_keeps_the_last(tmp_path: Path) -> None:
    text = "risk:\n  limit: 5\n  limit: 50\n"
    assert yaml.safe_load(text) == {"risk": {"limit": 50}}
    with pytest.raises(
        ConfigurationError, match=r":3: risk.limit is given twice \(first on line 2"
    ):
        read_yaml(_file(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("# nothing but a comment\n", "is empty"),
        ("- a\n- b\n", "is not a mapping"),
        ("a: [1, 2\n", "is not YAML"),
        ("a: 1\n b: 2\n", "is not YAML"),
        ("a: !!python/object:os.system x\n", "is not YAML"),
        ("a: .nan\n", "must be a finite number"),
        ("a:\n  b: -.inf\n", "a.b = -.inf: must be a finite number"),
        ("? [1, 2]\n: x\n", "must be plain text"),
        ("a: &loop\n  b: *loop\n", "contains itself"),
    ],
)
def test_what_cannot_be_a_configuration_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        read_yaml(_file(tmp_path, text))
    assert message in str(raised.value)
    assert "settings.yaml" in str(raised.value)


def test_a_missing_file_is_an_error_and_not_an_empty_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no such file"):
        read_yaml(tmp_path / "absent.yaml")


def test_a_folder_given_as_the_file_is_called_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="Is a directory"):
        read_yaml(tmp_path)


def test_dates_stay_text_and_keys_are_taken_literally(tmp_path: Path) -> None:
    document = read_yaml(_file(tmp_path, "window: 2020-03-12\non: 1\n5: x\n"))
    assert document.data == {"window": "2020-03-12", "on": 1, "5": "x"}
