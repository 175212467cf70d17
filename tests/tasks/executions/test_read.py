import gzip
from pathlib import Path

import pytest

from schemas.errors import InputRefused
from tasks.executions import file_bytes as whole
from tasks.executions.read import read_executions
from tasks.executions.words import ExecutionFormat
from tests.support.execution_writers import read_text
from tests.tasks.executions.test_fuzz import FILES


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("ending", ["csv", "fix", "xml", "json", ""])
def test_the_format_is_told_by_what_a_file_holds(tmp_path: Path, name: str, ending: str) -> None:
    format_, data = FILES[name]
    assert read_text(tmp_path, data, name=f"file.{ending}").format is format_


@pytest.mark.parametrize("name", FILES)
def test_a_mark_of_the_byte_order_changes_nothing(tmp_path: Path, name: str) -> None:
    format_, data = FILES[name]
    plain, marked = read_text(tmp_path, data), read_text(tmp_path, whole.BOM + data)
    assert marked.format is format_
    assert marked.executions.equals(plain.executions)
    assert marked.ignored == plain.ignored


@pytest.mark.parametrize("name", FILES)
def test_a_packed_file_is_read(tmp_path: Path, name: str) -> None:
    format_, data = FILES[name]
    found = read_text(tmp_path, gzip.compress(data), name="file.gz")
    assert found.format is format_
    assert found.executions.equals(read_text(tmp_path, data).executions)


@pytest.mark.parametrize("name", FILES)
def test_a_packed_file_cut_short_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputRefused, match=r"file\.gz cannot be read to its end"):
        read_text(tmp_path, gzip.compress(FILES[name][1])[:-9], name="file.gz")


@pytest.mark.parametrize(
    ("name", "packed", "message"),
    [
        ("file.csv", True, "file.csv is packed, and its name says otherwise; needed a name that ends in .gz"),
        ("file.gz", False, "file.gz is not packed, and its name says otherwise; needed a name that ends in .csv"),
    ],
)
def test_a_csv_is_called_what_it_is(tmp_path: Path, name: str, packed: bool, message: str) -> None:  # noqa: FBT001
    data = FILES["csv"][1]
    with pytest.raises(InputRefused) as found:
        read_text(tmp_path, gzip.compress(data) if packed else data, name=name)
    assert str(found.value) == f"{message}\n\nHint: rename the file."


def test_what_cannot_be_told_is_refused_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(InputRefused) as found:
        read_text(tmp_path, "Dear customer,\nyour trades are\n")
    assert str(found.value) == (
        "f.txt is in no format that can be told (it begins with 'Dear customer,'); needed CSV with a column execution_id, FIX "
        "messages, a Flex statement or Alpaca's trade events\n\nHint: pass --format csv, fix, flex or alpaca."
    )


@pytest.mark.parametrize("format_", [*ExecutionFormat, None])
@pytest.mark.parametrize("data", [b"", b" \r\n\t\n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_refused(tmp_path: Path, format_: ExecutionFormat | None, data: bytes) -> None:
    with pytest.raises(InputRefused) as found:
        read_text(tmp_path, data, format_)
    assert str(found.value) == (
        f"f.txt is empty ({len(data)} bytes); needed executions\n\nHint: deliver the file again."
    )


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    for path, what in ((tmp_path / "none.csv", "is not there"), (tmp_path, "is a folder")):
        with pytest.raises(InputRefused, match=f"{path.name} {what}; needed a file of executions"):
            read_executions(path)


def test_a_file_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole, "LARGEST", 1 << 20)
    bomb = gzip.compress(b"execution_id,kind,client_order_id\n" + b"\n" * (1 << 22))
    with pytest.raises(InputRefused) as found:
        read_text(tmp_path, bomb, name="bomb.csv.gz")
    assert str(found.value) == "bomb.csv.gz has more than 1 MiB of text; needed less\n\nHint: deliver it in parts."
