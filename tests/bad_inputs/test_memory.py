"""Files that would fill the memory or never end, were they read as they ask for it."""

import gzip
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bad_inputs.deliver import Judged, judged
from tests.landing_book import sound_book, write_book

GIBIBYTE = 1 << 30
HEADER = b"account_id,security_id,lot_id,quantity,unit_cost_usd,acquired_date\n"
HINT = "Hint: the file may have lost its line ends."
LIMIT_AND_JUDGE = """
import resource, sys
from pathlib import Path
from tests.bad_inputs.deliver import judged
from tests.landing_book import sound_book, write_book
import tempfile
with tempfile.TemporaryDirectory() as sound:
    write_book(Path(sound), sound_book(), "csv")
    assert not judged(Path(sound)).refusal
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(judged(Path(sys.argv[1])).refusal, end="")
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10, file=sys.stderr)
"""


def folder_with(folder: Path, name: str, *parts: bytes) -> Path:
    """The sound book with a file of lots made of parts."""
    write_book(folder, sound_book(), "csv")
    (folder / "lots.csv").unlink()
    with (folder / name).open("wb") as file:
        file.writelines(parts)
    return folder / name


def judged_apart(folder: Path) -> tuple[str, int]:
    """The refusal, and by how many MiB the memory of a process grew beyond what a sound book takes."""
    command = [sys.executable, "-c", LIMIT_AND_JUDGE, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout, int(done.stderr)


def test_two_gibibytes_of_nul_are_refused_at_once(tmp_path: Path) -> None:
    with folder_with(tmp_path, "lots.csv").open("wb") as file:
        file.truncate(2 * GIBIBYTE)
    found = judged(tmp_path)
    assert found.refusal.startswith(
        "lots.csv cannot be read as CSV in UTF-8: it is binary: its first line holds NUL bytes;"
    )


@pytest.mark.parametrize("name", ["lots.csv", "lots.csv.gz"])
def test_a_line_of_64_mebibytes_is_refused_in_little_memory(tmp_path: Path, name: str) -> None:
    parts = [HEADER, b"A1,STK,1,", *[b"7" * (1 << 20)] * 64]
    if name.endswith(".gz"):
        parts = [gzip.compress(part, 1) for part in parts]
    folder_with(tmp_path, name, *parts)
    refusal, grown = judged_apart(tmp_path)
    assert refusal == f"{name} line 2 is longer than 16 MiB; needed one row a line\n\n{HINT}"
    assert grown < 128


def test_a_quote_left_open_above_64_mebibytes_of_rows_is_refused_in_little_memory(tmp_path: Path) -> None:
    row = b"A1,STK,1,10,90,2020-01-02\n"
    folder_with(tmp_path, "lots.csv", HEADER, b'"', *[row * 40_000] * 64)
    refusal, grown = judged_apart(tmp_path)
    assert refusal.startswith("lots.csv ")
    assert grown < 256


def test_a_cell_of_a_few_mebibytes_is_a_row_like_any_other(tmp_path: Path) -> None:
    folder_with(tmp_path, "lots.csv", HEADER, b"A1,STK,1,", b"7" * (4 << 20), b",90,2020-01-02\n")
    found: Judged = judged(tmp_path)
    assert found.verdicts == {"A1": "lots:quantity_readable"}
    assert len(found.messages[0]) < 300
