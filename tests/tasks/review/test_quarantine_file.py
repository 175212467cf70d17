import csv
import json
import stat
from pathlib import Path

import polars as pl
import pytest

from schemas.errors import WrongUsage
from tasks.review.quarantine_file import FORMATS, FileFormat, format_of, write_rows
from tests.support.quarantine_scene import quarantine

ROWS = quarantine().with_columns(is_releasable=pl.lit(value=True))


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet", "rows.json", "ROWS.JSON"])
def test_the_ending_says_the_format(name: str) -> None:
    assert format_of(Path(name)) == name.lower().rpartition(".")[2]


@pytest.mark.parametrize("name", ["rows", "rows.xlsx", ".csv"])
def test_another_ending_says_nothing(name: str) -> None:
    with pytest.raises(WrongUsage, match=r"does not end in \.csv, \.parquet or \.json"):
        format_of(Path(name))


def read_back(path: Path, file_format: FileFormat) -> list[dict[str, object]]:
    if file_format == "csv":
        with path.open(newline="") as file:
            return list(csv.DictReader(file))
    return json.loads(path.read_text()) if file_format == "json" else pl.read_parquet(path).to_dicts()


@pytest.mark.parametrize("file_format", FORMATS)
def test_every_row_and_column_is_written_for_its_owner_alone(tmp_path: Path, file_format: FileFormat) -> None:
    write_rows(ROWS, tmp_path / "rows", file_format)

    assert stat.S_IMODE((tmp_path / "rows").stat().st_mode) == 0o600
    found = read_back(tmp_path / "rows", file_format)
    assert [row["quarantine_id"] for row in found] == ROWS["quarantine_id"].to_list()
    assert list(found[0]) == ROWS.columns
    assert [str(row["row_number"]) for row in found] == [str(number) for number in ROWS["row_number"]]


def test_no_cell_of_a_csv_file_starts_a_formula(tmp_path: Path) -> None:
    write_rows(ROWS, tmp_path / "rows", "csv")

    names = [row["file_name"] for row in read_back(tmp_path / "rows", "csv")]
    assert names == ["cash.csv", "'=lots.csv", "more.csv", "more.csv", "more.csv"]


def test_the_source_row_is_text_in_csv_and_an_object_in_json(tmp_path: Path) -> None:
    for file_format in ("csv", "json"):
        write_rows(ROWS, tmp_path / file_format, file_format)

    text, told = (read_back(tmp_path / name, name)[0]["row"] for name in ("csv", "json"))
    assert json.loads(str(text)) == told == {"account_id": "A3", "settled_usd": "900000", "pending_usd": "0"}


@pytest.mark.parametrize("file_format", FORMATS)
def test_no_rows_make_a_file_without_rows(tmp_path: Path, file_format: FileFormat) -> None:
    write_rows(ROWS.clear(), tmp_path / "rows", file_format)

    assert read_back(tmp_path / "rows", file_format) == []
    if file_format == "csv":
        assert (tmp_path / "rows").read_text() == ",".join(ROWS.columns) + "\n"


def test_nothing_is_overwritten_nor_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("theirs")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")

    for name in ("there", "link"):
        with pytest.raises(WrongUsage, match="is there already"):
            write_rows(ROWS, tmp_path / name, "csv")

    assert (tmp_path / "there").read_text() == "theirs"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "there"]


def test_a_place_where_no_file_can_be_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match="cannot be written: No such file or directory"):
        write_rows(ROWS, tmp_path / "nowhere" / "rows.csv", "csv")
