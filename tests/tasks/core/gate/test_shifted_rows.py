"""A row whose cells stand a column too far to the left or the right costs every account that it could concern."""

import pytest

from schemas.errors import InputRefused
from tests.support.landing_book import gated, parsed, rows_of, sound_book, spoilt
from tests.tasks.core.gate.test_damage import concerned

TABLES = ("trades", "restrictions", "households", "buy_list", "location_preferences", "model_targets", "lots", "cash")
PLACES = [(table, place) for table in TABLES for place in range(sound_book()[table].height)]


@pytest.mark.parametrize("way", ["left", "right"])
@pytest.mark.parametrize(("table", "place"), PLACES)
def test_a_shifted_row_is_not_lost(table: str, place: int, way: str) -> None:
    was = sound_book()[table].row(place, named=True)
    cells = list(was.values())
    moved = [*cells[1:], None] if way == "left" else [None, *cells[:-1]]
    tables = parsed(spoilt(table, place + 1, **dict(zip(was, moved, strict=True))))
    try:
        _, own = gated(tables)
    except InputRefused:
        return
    traded = set(tables["accounts"]["account_id"]) - set(own.accounts["account_id"])
    assert not traded & concerned(table, was)


def test_a_row_of_somebody_elses_account_still_costs_nobody() -> None:
    book = sound_book()
    header = " | ".join(book["trades"].columns)
    foreign = rows_of(f"{header}\nZ9 | STK | 2025-12-20 | sell | 2 | 100 | -30")
    _, own = gated(parsed(book | {"trades": book["trades"].vstack(foreign)}))
    assert own.accounts.is_empty()


def test_a_security_of_the_buy_list_has_a_class_of_the_models() -> None:
    tables = parsed(spoilt("securities", 1, asset_class="None"))
    _, own = gated(tables)
    assert {"A1", "A2"} <= set(own.accounts["account_id"])


def test_a_security_outside_the_models_may_have_any_class() -> None:
    _, own = gated(parsed(spoilt("securities", 3, asset_class="stamps")))
    assert own.accounts.is_empty()
