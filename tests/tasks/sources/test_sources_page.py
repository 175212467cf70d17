"""The page for operations shows entries that work."""

import re
import tomllib
from datetime import date
from pathlib import Path
from typing import Final

from schemas.settings import Settings
from schemas.sources import Source
from tasks.sources.names import UNFINISHED

PAGE: Final = (Path(__file__).parents[3] / "docs" / "how-to" / "sources.md").read_text()


def examples() -> list[Source]:
    blocks = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return list(Settings(**tomllib.loads("".join(blocks).replace("# endpoint", "endpoint"))).sources)


def test_the_page_has_an_entry_of_each_kind_that_the_settings_accept() -> None:
    sources = [source.on(date(2026, 11, 20)) for source in examples()]
    assert [source.scheme for source in sources] == ["file", "s3", "sftp", "postgresql"]
    assert {source.scheme for source in sources} == set(Source.SCHEMES)
    assert sources[0].url == "/srv/landing/2026-11-20"
    assert sources[2].files == "POS_20261120*.txt"


def test_the_page_names_the_endings_that_are_never_taken() -> None:
    assert all(f"`{ending}`" in PAGE for ending in UNFINISHED)


def test_the_page_shows_every_field_of_a_source() -> None:
    assert [name for name in Source.model_fields if name not in PAGE] == []
