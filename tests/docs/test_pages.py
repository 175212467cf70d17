"""What the pages say can be done can be done: commands parse, links lead somewhere, targets and modules are there."""

import json
import re
import tomllib
from pathlib import Path
from typing import Final

import pytest
import yaml

from schemas.events import EventName
from schemas.settings import PREFIX, Settings
from tests.support.pages import PAGES, ROOT, anchors, command_of, fences, links, name_of, parse, prose, typed

OF_SETTINGS: Final = ("sources", "profiles", "deliveries", "executions")
"""Tables of `trimtab.toml` that pages show."""
FOLDERS: Final = ("console", "deploy", "docs", "examples", "flows", "schemas", "tasks", "tests", "warehouse")
YOURS: Final = {"deploy/mine.yaml"}
"""Files that a page has its reader write."""
INLINE: Final = sorted({words for page in PAGES for words in re.findall(r"`trimtab ([a-z][^`\n]*)`", prose(page))})


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_link_leads_somewhere(page: Path) -> None:
    for target in links(page):
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), target


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_command_in_a_block_is_read_by_the_command_line(page: Path) -> None:
    for words in typed(page, "trimtab"):
        parse(words)


@pytest.mark.parametrize("words", INLINE)
def test_a_command_within_a_sentence_exists(words: str) -> None:
    command, rest = command_of(re.sub(r"[\[\]]", "", words).split())
    assert not hasattr(command, "commands") or not rest
    options = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in rest if word.startswith("--")} <= options


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_make_and_python_are_told_to_do_is_there(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {words[0] for words in typed(page, "make")} <= targets
    for _, module, *_ in (words for words in typed(page, "python") if words[:1] == ["-m"]):
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), module


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_that_a_page_names_are_there(page: Path) -> None:
    named = re.findall(rf"(?<![\w/.-])(?:{'|'.join(FOLDERS)})/[\w/-]+(?:\.\w+)?", page.read_text())
    assert [path for path in sorted(set(named) - YOURS) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_settings_that_a_page_shows_are_accepted(page: Path) -> None:
    blocks = [tomllib.loads(fence.text) for fence in fences(page) if fence.language == "toml"]
    shown = {kind: [entry for block in blocks for entry in block.get(kind, [])] for kind in OF_SETTINGS}
    assert Settings(**{kind: entries for kind, entries in shown.items() if entries})


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_settings_and_events_that_a_page_names_are_there(page: Path) -> None:
    settings = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    named = set(re.findall(rf"\b{PREFIX}[A-Z_]*[A-Z]\b(?!_)", page.read_text()))
    assert {name for name in named - settings if not any(each.startswith(name) for each in settings)} == set()
    events = set(re.findall(r"`(trimtab\.[a-z.-]+)`", page.read_text())) - {"trimtab.toml", "trimtab.halt"}
    assert events <= set(EventName)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_yaml_and_json_that_a_page_shows_can_be_read(page: Path) -> None:
    for fence in fences(page):
        if fence.language == "yaml":
            assert yaml.safe_load(fence.text)
        if fence.language == "json":
            assert [json.loads(line) for line in fence.text.splitlines()]
