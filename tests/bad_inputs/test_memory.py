"""Files that would fill the memory or never end, were they read as they ask for it."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from schemas.errors import InputRefused
from tasks.formats.contract_file import read_batches
from tests.bad_inputs.deliver import Judged, judged
from tests.support.landing_book import sound_book, write_book

GIBIBYTE = 1 << 30
HEADER = b"account_id,security_id,lot_id,quantity,unit_cost_usd,acquired_date\n"
HINT = "Hint: the file may have lost its line ends."
JUDGE_EACH = """
import json, resource, sys
from pathlib import Path
from tests.bad_inputs.deliver import judged
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
assert not judged(Path(sys.argv[1])).refusal
found = []
for folder in sys.argv[2:]:
    before = peak()
    found.append([judged(Path(folder)).refusal, peak() - before])
print(json.dumps(found))
"""


def folder_with(folder: Path, name: str, *parts: bytes) -> Path:
    """The sound book with a file of lots made of parts."""
    write_book(folder, sound_book(), "csv")
    (folder / "lots.csv").unlink()
    with (folder / name).open("wb") as file:
        file.writelines(parts)
    return folder / name


def judged_apart(*folders: Path) -> list[tuple[str, int]]:
    """What a process of its own says of each folder, and by how many MiB its memory grew for it; the first is sound."""
    command = [sys.executable, "-c", JUDGE_EACH, *map(str, folders)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return [(refusal, grown) for refusal, grown in json.loads(done.stdout)]


def test_two_gibibytes_of_nul_are_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "lots.csv"
    with path.open("wb") as file:
        file.truncate(2 * GIBIBYTE)
    with pytest.raises(
        InputRefused, match=r"^lots\.csv cannot be read as CSV in UTF-8: it is binary: its first line holds"
    ):
        list(read_batches("lots", path))


def test_lines_and_quotes_of_64_mebibytes_are_refused_in_little_memory_and_the_process_ends_well(
    tmp_path: Path,
) -> None:
    folders = [tmp_path / name for name in ("sound", "line", "packed", "quote")]
    for folder in folders:
        folder.mkdir()
    long_line = [HEADER, b"A1,STK,1,", *[b"7" * (1 << 20)] * 64]
    write_book(folders[0], sound_book(), "csv")
    folder_with(folders[1], "lots.csv", *long_line)
    folder_with(folders[2], "lots.csv.gz", *(gzip.compress(part, 1) for part in long_line))
    folder_with(folders[3], "lots.csv", HEADER, b'"', *[b"A1,STK,1,10,90,2020-01-02\n" * 40_000] * 64)
    line, packed, quote = judged_apart(*folders)
    assert line[0] == f"lots.csv line 2 is longer than 16 MiB; needed one row a line\n\n{HINT}"
    assert packed[0] == f"lots.csv.gz line 2 is longer than 16 MiB; needed one row a line\n\n{HINT}"
    assert quote[0].startswith("lots.csv near row 1: a quoted cell runs over the end of its line")
    assert max(grown for _, grown in (line, packed, quote)) < 256


def test_a_cell_of_a_few_mebibytes_is_a_row_like_any_other(tmp_path: Path) -> None:
    folder_with(tmp_path, "lots.csv", HEADER, b"A1,STK,1,", b"7" * (4 << 20), b",90,2020-01-02\n")
    found: Judged = judged(tmp_path)
    assert found.verdicts == {"A1": "lots:quantity_readable"}
    assert len(found.messages[0]) < 300
