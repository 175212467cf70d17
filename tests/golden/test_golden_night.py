"""The golden nights, compared whole: every public table and every exported file is what it was.

The book is ``landing/<as-of date>/<source>/*.csv``, made by hand: an account is named after what it shows. ``pytest tests/golden
--update-golden`` writes ``expected/`` anew and shows what changed; a person reads it, and the changelog says which trades changed.
Ids are hashes of what a run was given: one account more is another run, and no line of ``git diff`` stays as it was. What is
shown are the public tables, which files of exports are made of, without ids.
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.golden.night import HERE, GoldenNights, golden_nights

EXPECTED = HERE / "expected"
LINES_SHOWN, FILES_SHOWN = 30, 5
"""Of a file's difference, and files whose differences are shown; of the others the names."""
HASH = re.compile(r"[0-9a-f]{12,64}")
"""Ids of runs, proposals, orders and rows, and hashes of files."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning"),  # exchange_calendars, under pandas 3.1
]


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> GoldenNights:
    return golden_nights(tmp_path_factory.mktemp("golden"))


def test_every_table_and_exported_file_of_the_golden_nights_is_what_it_was(
    nights: GoldenNights, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    if request.config.getoption("--update-golden"):
        before = read(EXPECTED)
        write(nights.files, EXPECTED)
        with capsys.disabled():
            print("\nchanged in the public tables, beside ids:")
            print(*differences_of(tables_without_ids(before), tables_without_ids(nights.files)), sep="\n")
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


def test_what_is_shown_after_an_update_is_what_changed_beside_ids() -> None:
    before = {"_SUCCESS": "x", "tables/orders.csv": "id,account\n0123456789abcdef0123,a\nfedcba98765432100123,b\n"}
    after = {
        "_SUCCESS": "y",
        "tables/orders.csv": "id,account\n5555555555aaaaaaaaaa,b\n7777777777aaaaaaaaaa,a\n7777777777bbbbbbbbbb,c\n",
    }
    assert list(differences_of(tables_without_ids(before), tables_without_ids(after))) == [
        "--- expected/tables/orders.csv\n+++ found/tables/orders.csv\n@@ -2,0 +3 @@\n+#,c"
    ]


def tables_without_ids(files: Mapping[str, str]) -> dict[str, str]:
    """The public tables without their ``HASH``, lines sorted: ids decide what stands before what."""
    tables = {name: text for name, text in files.items() if "tables/" in name}
    return {name: "\n".join(sorted(HASH.sub("#", text).splitlines())) for name, text in tables.items()}


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
