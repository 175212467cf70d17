import pytest

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


def test_with_a_marker_only_files_that_have_theirs_are_taken_and_no_marker() -> None:
    found = ["lots.csv", "lots.csv.done", "cash.csv", "accounts.csv.done", "lots.csv.done.done"]
    assert names_to_take(found, lambda _: True, ".done") == ["lots.csv"]
