import pytest

from schemas.errors import SourceUnreachable
from tasks.sources.names import is_takeable, names_to_take


@pytest.mark.parametrize("name", ["lots.csv", "POS_20260102.txt", "a b.csv", "Füße.csv", "x"])
def test_plain_names_may_be_taken(name: str) -> None:
    assert is_takeable(name)


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", ".lots.csv", "lots.csv.part", "lots.csv.tmp", "lots.filepart", "LOTS.CSV.PART"),
        *(
            "../lots.csv",
            "a/lots.csv",
            "a\\lots.csv",
            "lots\n.csv",
            "lots\x00",
            "lots\x7f",
            "lots\u202e.csv",
            "lots\udcff",
        ),
    ],
)
def test_names_of_unfinished_hidden_or_dangerous_files_never_are(name: str) -> None:
    assert not is_takeable(name)


def test_only_wanted_names_are_taken_in_order() -> None:
    assert names_to_take(["b", "c", "a"], "ab".__contains__, "") == ["a", "b"]


def test_with_a_marker_every_wanted_file_needs_its_own_and_no_marker_is_taken() -> None:
    found = ["lots.csv", "lots.csv.done", "accounts.csv.done", "lots.csv.done.done", "notes.txt"]
    assert names_to_take(found, lambda name: "csv" in name, ".done") == ["lots.csv"]
    with pytest.raises(SourceUnreachable, match=r"cash\.csv has no cash\.csv\.done beside it"):
        names_to_take([*found, "cash.csv"], lambda name: "csv" in name, ".done")
