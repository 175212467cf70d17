import hashlib
from collections.abc import Mapping

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.gate import FilePlace, gate_accounts, gate_globals
from tasks.core.gate.rows import with_places
from tests.support.landing_book import ACCOUNT_TABLES, AS_OF, GLOBAL_TABLES, gated, parsed, sound_book, spoilt

TWO_FILES = {"lots": (FilePlace("acme_lots.csv", 1), FilePlace("other_lots.csv", 4))}


def quarantined(tables: Mapping[str, pl.DataFrame], places: Mapping[str, tuple[FilePlace, ...]]) -> pl.DataFrame:
    common = gate_globals({name: tables[name] for name in GLOBAL_TABLES}, places, AS_OF)
    own = gate_accounts({name: tables[name] for name in ACCOUNT_TABLES}, common, places, AS_OF)
    return pl.concat([common.quarantine, own.quarantine])


def test_a_row_is_named_by_its_file_and_the_row_in_it() -> None:
    rows = quarantined(parsed(spoilt("lots", 4, quantity="-1")), TWO_FILES)
    place = rows.select("file_name", "row_number", "landed_row").row(0)
    assert place == ("other_lots.csv", 1, 4)
    assert rows["message"].to_list() == ["other_lots.csv row 1: quantity is -1; needed a number of 0 or more."]


def test_every_sentence_of_a_message_names_the_place() -> None:
    rows = quarantined(parsed(spoilt("lots", 3, quantity="-1", lot_id="a/b")), TWO_FILES)
    assert rows["message"][0].count("acme_lots.csv row 3: ") == 2


def test_a_table_without_places_stands_in_one_that_is_called_after_it() -> None:
    rows = quarantined(parsed(spoilt("cash", 2, settled_usd="x")), {})
    assert rows.select("file_name", "row_number", "landed_row").row(0) == ("cash", 2, 2)


def test_a_row_has_the_same_name_in_any_file_at_any_place_and_another_in_another_table() -> None:
    book = spoilt("lots", 1, quantity="-3")
    first = gated(parsed(book))[1].quarantine
    book["lots"] = book["lots"].reverse()
    again = quarantined(parsed(book), TWO_FILES)
    assert first["quarantine_id"].to_list() == again["quarantine_id"].to_list()
    sentence = first["message"][0].removeprefix("lots.csv row 1: ")
    expected = hashlib.sha256(f"lots\n{first['row'][0]}\n{sentence}".encode()).hexdigest()[:16]
    assert first["quarantine_id"][0] == expected


def test_a_row_that_reads_otherwise_has_another_name() -> None:
    one, other = (gated(parsed(spoilt("lots", 1, quantity=text)))[1].quarantine for text in ("-3", "-3.0"))
    assert one["quarantine_id"][0] != other["quarantine_id"][0]


def test_restrictions_for_everyone_are_placed_too() -> None:
    places = {"restrictions": (FilePlace("a.csv", 1), FilePlace("b.csv", 2))}
    tables = parsed(spoilt("restrictions", 2, security_id="NOPE"))
    assert quarantined(tables, places)["message"][0].startswith("b.csv row 1: security_id is NOPE;")


@given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.data())
def test_every_landed_row_stands_where_laying_the_files_end_to_end_puts_it(
    heights: list[int], data: st.DataObject
) -> None:
    walked = [(f"f{file}", row) for file, height in enumerate(heights) for row in range(1, height + 1)]
    places = [FilePlace(f"f{file}", sum(heights[:file]) + 1) for file in range(len(heights))]
    asked = data.draw(st.lists(st.integers(1, len(walked)), unique=True))
    rows = with_places(pl.DataFrame({"landed_row": asked}, schema={"landed_row": pl.Int64}), "lots", {"lots": places})
    assert rows.rows() == [(number, *walked[number - 1]) for number in sorted(asked)]


def test_a_sound_book_has_no_rows_to_place() -> None:
    assert quarantined(parsed(sound_book()), TWO_FILES).is_empty()
