from datetime import date
from pathlib import Path

import pytest

from schemas.errors import InputRefused
from schemas.sources import Source
from tasks.pull.inputs import TakenFiles, take
from tasks.pull.naming import digest
from tests.support.landing_book import AS_OF, landing_paths, sound_book, write_book

CUSTODY = ("lots", "cash")


def book_in(folder: Path, *, without: tuple[str, ...] = (), kind: str = "csv") -> Path:
    folder.mkdir(exist_ok=True)
    write_book(folder, {table: rows for table, rows in sound_book().items() if table not in without}, kind)
    return folder


def taken(*sources: Source, as_of: date = AS_OF) -> TakenFiles:
    return take([source.on(as_of) for source in sources], Path("/nowhere"))


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_every_table_of_a_folder_is_found_and_other_files_are_not(tmp_path: Path, kind: str) -> None:
    write_book(tmp_path, sound_book(), kind)
    (tmp_path / "notes.txt").write_text("hello")
    assert landing_paths(tmp_path) == {table: tmp_path / f"{table}.{kind}" for table in sound_book()}


def test_optional_tables_may_be_absent(tmp_path: Path) -> None:
    book = sound_book()
    needed = {table: rows for table, rows in book.items() if table not in {"buy_list", "restrictions", "trades"}}
    write_book(tmp_path, needed, "csv")
    assert landing_paths(tmp_path).keys() == needed.keys()


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".csv.zst", ".parquet"])
def test_two_files_of_a_table_are_refused_by_name(tmp_path: Path, ending: str) -> None:
    write_book(tmp_path, sound_book(), "parquet" if ending != ".parquet" else "csv")
    (tmp_path / f"lots{ending}").write_text("x")
    with pytest.raises(InputRefused, match=r"lots\..* and lots\..* both deliver the table lots"):
        landing_paths(tmp_path)


def test_a_missing_required_table_is_refused_with_the_names_it_may_have(tmp_path: Path) -> None:
    write_book(tmp_path, sound_book(), "csv")
    (tmp_path / "cash.csv").unlink()
    with pytest.raises(
        InputRefused, match=r"no file of the table cash; needed one of cash\.parquet, cash\.csv, cash\.csv\.gz"
    ):
        landing_paths(tmp_path)


def test_a_folder_that_does_not_exist_is_refused_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match=r"nowhere is not a folder(.|\n)*Hint: pass --source"):
        landing_paths(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["Restrictions.csv", "restrictions_20260105.csv", "restrictions.CSV", "restrictions"])
def test_an_optional_table_under_nearly_its_name_is_not_passed_over(tmp_path: Path, name: str) -> None:
    book_in(tmp_path, without=("restrictions",))
    (tmp_path / name).write_text("x")
    with pytest.raises(InputRefused, match=rf"no file of the table restrictions, only {name}; needed one of"):
        landing_paths(tmp_path)


def test_several_sources_together_deliver_the_tables(tmp_path: Path) -> None:
    book = book_in(tmp_path / "book", without=CUSTODY)
    custody = book_in(tmp_path / "custody", without=tuple(set(sound_book()) - set(CUSTODY)))
    found = taken(Source(name="book", url=str(book)), Source(name="custody", url=str(custody)))
    assert {each.tables[0]: each.source.name for each in found.inputs} == {
        table: "custody" if table in CUSTODY else "book" for table in sound_book()
    }


def test_a_source_gives_only_the_tables_it_is_asked_for(tmp_path: Path) -> None:
    book_in(tmp_path / "book")
    first = Source(name="book", url=str(tmp_path / "book"))
    second = Source(name="prices", url=str(tmp_path / "book"), tables=("prices",))
    assert len(taken(first, second).of("prices")) == 2
    assert len(taken(first, second).of("lots")) == 1


def test_a_table_that_no_source_delivers_refuses_the_night(tmp_path: Path) -> None:
    book = Source(name="book", url=str(book_in(tmp_path / "book", without=("cash",))))
    custody = Source(name="custody", url=str(tmp_path / "nothing"))
    with pytest.raises(InputRefused, match=r"book and .*nothing has no file of the table cash; needed one of"):
        taken(book, custody)


def test_a_source_of_custodians_may_be_late_and_says_what_is_missing(tmp_path: Path) -> None:
    book = Source(name="book", url=str(book_in(tmp_path / "book", without=CUSTODY)))
    late = Source(name="acme", url=str(tmp_path / "acme"), tables=CUSTODY, custodians=("Acme",))
    (absent,) = taken(book, late).absent
    assert (absent.source.name, absent.is_refused) == ("acme", False)
    assert absent.note.startswith(f"{tmp_path}/acme has no file of the table lots")


def test_half_of_a_custodians_files_is_not_taken(tmp_path: Path) -> None:
    book = Source(name="book", url=str(book_in(tmp_path / "book", without=CUSTODY)))
    half = book_in(tmp_path / "acme", without=tuple(set(sound_book()) - {"lots"}))
    found = taken(book, Source(name="acme", url=str(half), tables=CUSTODY, custodians=("Acme",)))
    assert found.of("lots") == ()
    assert list(found.waiting) == ["Acme"]


def test_a_custodians_folder_that_cannot_be_used_is_refused_and_not_late(tmp_path: Path) -> None:
    book = Source(name="book", url=str(book_in(tmp_path / "book", without=CUSTODY)))
    (tmp_path / "acme" / "lots.csv").mkdir(parents=True)
    found = taken(book, Source(name="acme", url=str(tmp_path / "acme"), tables=CUSTODY, custodians=("Acme",)))
    (absent,) = found.absent
    assert (absent.is_refused, absent.note) == (True, "lots.csv is a folder; needed a file")


def test_the_name_of_a_run_depends_on_contents_and_not_on_where_they_are(tmp_path: Path) -> None:
    here, there = (Source(url=str(book_in(tmp_path / name))) for name in ("here", "there"))
    assert digest(taken(here)) == digest(taken(there))
    renamed = Source(name="other", url=there.url)
    assert digest(taken(renamed)) == digest(taken(here))
    prices = Path(there.url) / "prices.csv"
    prices.write_bytes(prices.read_bytes().replace(b"101.25", b"101.26"))
    assert digest(taken(there)) != digest(taken(here))


def test_contents_that_change_places_are_another_night(tmp_path: Path) -> None:
    here, there = (book_in(tmp_path / name) for name in ("here", "there"))
    (there / "lots.csv").rename(there / "spare")
    (there / "cash.csv").rename(there / "lots.csv")
    (there / "spare").rename(there / "cash.csv")
    assert digest(taken(Source(url=str(here)))) != digest(taken(Source(url=str(there))))


def test_what_is_waited_for_and_what_was_released_are_part_of_the_name(tmp_path: Path) -> None:
    book = Source(name="book", url=str(book_in(tmp_path / "book")))
    late = Source(name="acme", url=str(tmp_path / "acme"), tables=CUSTODY, custodians=("Acme",))
    assert len({digest(taken(book)), digest(taken(book, late)), digest(taken(book), ["released 1"])}) == 3


def test_a_table_that_a_source_is_said_to_deliver_is_needed_though_it_be_optional(tmp_path: Path) -> None:
    book = Source(name="book", url=str(book_in(tmp_path / "book", without=("trades",))))
    trades = Source(name="acme", url=str(tmp_path / "acme"), tables=("trades",))
    with pytest.raises(InputRefused, match="acme has no file of the table trades"):
        taken(book, trades)
    found = taken(book, trades.model_copy(update={"custodians": ("Acme",)}))
    assert list(found.waiting) == ["Acme"]


def test_the_file_of_a_format_is_found_by_its_pattern_packed_or_not(tmp_path: Path) -> None:
    book = Source(name="book", url=str(book_in(tmp_path / "book")))
    with pytest.raises(InputRefused, match=r"has no file \*20260105\*\.xml; needed those of flex"):
        taken(book, Source(name="broker", url=str(tmp_path), format="flex"))
    for name in ("a-20260105.xml", "b-20260105.xml.gz", "c-20260104.xml"):
        (tmp_path / name).write_text("x")
    found = taken(book, Source(name="broker", url=str(tmp_path), format="flex", tables=("lots",)))
    assert [(each.file.name, each.tables) for each in found.inputs if each.format] == [
        ("a-20260105.xml", ("lots",)),
        ("b-20260105.xml.gz", ("lots",)),
    ]
