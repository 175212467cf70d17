"""The golden nights, compared whole: every public table and every exported file is what it was.

The book is ``landing/<as-of date>/<source>/*.csv``, made by hand: an account is named after what it shows. ``pytest tests/golden
--update-golden`` writes ``expected/`` anew; a person reads its diff, and the changelog says which trades changed.
"""

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.golden.night import HERE, GoldenNights, golden_nights

EXPECTED = HERE / "expected"
LINES_SHOWN, FILES_SHOWN = 30, 5
"""Of a file's difference, and files whose differences are shown; of the others the names."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning"),  # exchange_calendars, under pandas 3.1
]


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> GoldenNights:
    return golden_nights(tmp_path_factory.mktemp("golden"))


def test_every_table_and_exported_file_of_the_golden_nights_is_what_it_was(
    nights: GoldenNights, request: pytest.FixtureRequest
) -> None:
    if request.config.getoption("--update-golden"):
        write(nights.files, EXPECTED)
    differences = list(differences_of(read(EXPECTED), nights.files))
    shown = [*differences[:FILES_SHOWN], *(one.partition("\n")[0] for one in differences[FILES_SHOWN:])]
    assert not shown, "\n".join([*shown, "", "Meant so? pytest tests/golden --update-golden, and read the diff."])


def test_a_difference_is_named_by_its_file_and_shown_by_its_lines() -> None:
    before = {"same.csv": "a\n", "changed.csv": "head\nold\n", "gone.csv": "x\n"}
    after = {"same.csv": "a\n", "changed.csv": "head\nnew\n", "more.csv": "y\n"}
    assert list(differences_of(before, after)) == [
        "--- expected/changed.csv\n+++ found/changed.csv\n@@ -2 +2 @@\n-old\n+new",
        "expected/gone.csv is not there any more",
        "found/more.csv is new",
    ]


def differences_of(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    """A short unified diff of each file that changed, and each file that came or went."""
    for name in sorted({*before, *after}):
        if name not in after:
            yield f"expected/{name} is not there any more"
        elif name not in before:
            yield f"found/{name} is new"
        elif before[name] != after[name]:
            lines = list(
                difflib.unified_diff(
                    before[name].splitlines(),
                    after[name].splitlines(),
                    f"expected/{name}",
                    f"found/{name}",
                    n=0,
                    lineterm="",
                )
            )
            more = [f"... and {len(lines) - LINES_SHOWN} lines more"] if len(lines) > LINES_SHOWN else []
            yield "\n".join([*lines[:LINES_SHOWN], *more])


def read(folder: Path) -> dict[str, str]:
    """Text of every file below a folder, by path."""
    return {path.relative_to(folder).as_posix(): text_of(path) for path in folder.rglob("*") if path.is_file()}


def text_of(path: Path) -> str:
    """As it stands, whatever ends its lines."""
    return path.read_bytes().decode()


def write(files: Mapping[str, str], folder: Path) -> None:
    """Make the folder hold these files and no others."""
    for name in read(folder).keys() - files.keys():
        (folder / name).unlink()
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
