"""The pages point at what is there, and leave no page and no command out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from crews.cli.app import app

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
INDEX = ROOT / "docs" / "README.md"
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)\s]+)\)")


def broken_links(text: str, folder: Path) -> list[str]:
    """Relative links that lead to no file, or to no heading of it."""
    return [link for link in LINK.findall(text) if not leads_somewhere(link, folder)]


def leads_somewhere(link: str, folder: Path) -> bool:
    name, _, heading = link.partition("#")
    target = folder / name
    if not target.exists() or not heading:
        return target.exists()
    titles = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
    return heading in {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in titles}


def command_names(group: typer.Typer) -> Iterator[tuple[str, str]]:
    """Every command, with the name of its group."""
    for registered in group.registered_groups:
        assert registered.typer_instance is not None
        for command in registered.typer_instance.registered_commands:
            assert command.callback is not None
            name = command.name or command.callback.__name__.replace("_", "-")
            yield str(registered.name or registered.typer_instance.info.name), name
    for command in group.registered_commands:
        yield "", str(command.name)


def unlisted_commands(page: str) -> list[str]:
    """Commands without a place in the page's table."""
    rows = [
        re.findall(r"`([^`]+)`", line.split("|")[1]) for line in page.splitlines() if "|" in line
    ]
    listed = {
        f"{group} {name}".strip()
        for row in rows
        if row
        for group in (row[0].rpartition(" ")[0],)
        for name in (row[0].rpartition(" ")[2], *row[1:])
    }
    return [
        full
        for group, name in command_names(app)
        if (full := f"{group} {name}".strip()) not in listed
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    assert broken_links(page.read_text(), page.parent) == []


def test_a_link_that_leads_nowhere_is_found() -> None:
    text = "[a](docs/nowhere.md) [b](README.md#no-such-heading) [c](README.md#two-commands)"
    assert broken_links(text, ROOT) == ["docs/nowhere.md", "README.md#no-such-heading"]


def test_the_index_names_every_page() -> None:
    pages = {path for path in (ROOT / "docs").rglob("*.md") if path != INDEX}
    linked = {(INDEX.parent / link).resolve() for link in LINK.findall(INDEX.read_text())}
    assert pages - linked == set()


def test_the_index_names_every_command() -> None:
    page = INDEX.read_text()
    assert unlisted_commands(page) == []
    assert unlisted_commands(page.replace("`pause-agents`", "")) == ["emergency pause-agents"]


def shown_commands(page: str) -> list[list[str]]:
    """The words of every command line of ours in the page's code, without what follows it."""
    code = [*re.findall(r"```sh\n(.*?)```", page, re.DOTALL), *re.findall(r"`([^`\n]+)`", page)]
    start = re.compile(r"(?:\S*/)?(?:spikeguard|-m crews\.run) +(?=[a-z-])")
    lines = [
        line[found.end() :].split("#")[0].split("|")[0]
        for text in code
        for line in text.replace("\\\n", " ").splitlines()
        for found in [start.search(line)]
        if found
    ]
    return [re.sub(r"[\"'][^\"']*[\"']", "TEXT", line).split() for line in lines]


def unknown_words(words: list[str]) -> list[str]:
    """Of one command line, what the program does not know: a command, or an option of it."""
    command: Any = typer.main.get_command(app)
    names: set[str] = {"--help"}
    for word in words:
        if word.startswith("--"):
            break
        if not hasattr(command, "commands"):
            break
        if word == "…":
            return []
        if word not in command.commands:
            return [word]
        command = command.commands[word]
    names |= {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
    root = {option for each in typer.main.get_command(app).params for option in each.opts}
    given = [word.split("=")[0].rstrip(",;.)") for word in words if word.startswith("--")]
    return [option for option in given if option not in names | root]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_command_that_a_page_shows_exists(page: Path) -> None:
    shown = shown_commands(page.read_text())
    assert [(words, unknown) for words in shown if (unknown := unknown_words(words))] == []


def test_a_command_that_does_not_exist_is_found() -> None:
    page = "```sh\n.venv/bin/spikeguard replay --date DIR  # --no\n```\n`spikeguard trances ID`"
    assert [unknown_words(words) for words in shown_commands(page)] == [["--date"], ["trances"]]
