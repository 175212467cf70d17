"""Files of the lake that were damaged or are gone: whoever reads them is told so in a sentence."""

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from schemas.enums import RunKind
from schemas.errors import StoreRefused, WrongUsage
from schemas.run import RunRef
from schemas.settings import Settings
from schemas.tables import PUBLIC
from tests.support.ledger_book import opened, route
from warehouse.lake.lake import open_lake
from warehouse.lake.public_query import query

RUN = RunRef("monday", date(2026, 7, 1), RunKind.NIGHTLY, 1)
ROWS = 3_000
SENTENCE = r"^a file of the lake is damaged or gone.*; what it held cannot be read\n\nHint: "


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    ledger = opened(settings.ledger_address)
    route(ledger, "monday", ["A1"])
    ledger.close()
    rows = {"account_id": [f"A{number}" for number in range(ROWS)], "outcome": "in_band", "reason": "no_trigger"}
    open_lake(settings).replace(RUN, 0, {"account_outcomes": pl.DataFrame(rows, schema=PUBLIC["account_outcomes"])})
    return settings


@pytest.fixture
def file(settings: Settings) -> Iterator[Path]:
    (path,) = settings.home.rglob("*.parquet")
    sound = path.read_bytes()
    yield path
    path.write_bytes(sound)


def readers(settings: Settings) -> list[Callable[[], pl.DataFrame]]:
    return [
        lambda: open_lake(settings).read("account_outcomes", "monday"),
        lambda: open_lake(settings).read_account("account_outcomes", "monday", "A7"),
        lambda: query(settings, "SELECT * FROM account_outcomes"),
        lambda: query(settings, "SELECT max(reason) FROM latest.account_outcomes"),
    ]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "cut short": lambda sound: sound[:-20],
    "empty": lambda _: b"",
    "the magic alone": lambda _: b"PAR1PAR1",
    "a footer of nothing": lambda sound: sound[:-400] + b"\xff" * 392 + sound[-8:],
    "something else": lambda _: b"<html>" * 100,
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_file_is_told_in_a_sentence(settings: Settings, file: Path, name: str) -> None:
    file.write_bytes(DAMAGE[name](file.read_bytes()))

    for read in readers(settings):
        with pytest.raises(StoreRefused, match=SENTENCE):
            read()


def test_a_file_that_is_gone_is_told_in_a_sentence(settings: Settings, file: Path) -> None:
    sound = file.read_bytes()
    file.unlink()
    try:
        for read in readers(settings):
            with pytest.raises(StoreRefused, match=SENTENCE):
                read()
    finally:
        file.write_bytes(sound)


@pytest.mark.parametrize("seed", range(12))
def test_whatever_is_damaged_there_are_rows_or_a_sentence(settings: Settings, file: Path, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - damage, not a secret
    damaged = bytearray(file.read_bytes())
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(len(damaged))
        damaged[at : at + chance.choice([1, 4, 60])] = chance.randbytes(1)
    file.write_bytes(bytes(damaged))

    for read in readers(settings):
        with suppress(StoreRefused):
            assert read().width


def test_a_mistake_in_a_query_is_no_damage(settings: Settings) -> None:
    for text in ("SELECT error('x')", "SELECT CAST('x' AS INTEGER)", "SELECT nothing FROM runs", "SELECT 1 +"):
        with pytest.raises(WrongUsage):
            query(settings, text)
